// Package program finds the programs of an image, and which platform they are built for.
//
// [ReadLayer] reads a layer from its uncompressed bytes and keeps a few bytes per file, and the paths of programs,
// within a [Budget]. [Find] takes the layers of an image and the [Command] of its config, and returns the programs
// that are run: it searches PATH, follows links and whiteouts through the layers, and continues with the interpreter
// of a script or of an ELF program and with the command that is passed to a shell, env or an init such as tini.
// [Count] takes the same and counts all programs and shared libraries that the layers leave in the file system.
// [Parse] recognizes a [Program] by the first bytes of its file, and [Program.RunsOn] compares it with a platform.
//
// Nothing is executed or written. Fetching and decompressing layers is up to package verify.
package program

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Format is the file format of a program.
type Format string

// The known formats.
const (
	ELF    Format = "ELF"
	PE     Format = "PE"
	MachO  Format = "Mach-O"
	Wasm   Format = "WebAssembly"
	Script Format = "script"
)

// Program describes a program by the first bytes of its file. The zero value is a file of an unknown format.
type Program struct {
	Format Format
	// Arch is the architecture as Go names it, or a description if Go has no name for it. A universal program has
	// several, separated by commas.
	Arch string
	// Interpreter is the first line of a script, without #!, or the interpreter that an ELF program names. Cut says
	// that the latter is beyond the bytes that were read.
	Interpreter string
	Cut         bool
	// Loadable says that it is a program or a shared library, not an object file, for an architecture that a platform
	// has. It is false for a .NET assembly, which may run on any.
	Loadable bool
}

// anyArch is the architecture of .NET assemblies.
const anyArch = "any architecture"

func (p Program) String() string {
	switch p.Format {
	case "":
		return "a file of unknown format"
	case Script:
		return "a script for " + p.Interpreter
	}
	return "a program for " + p.Arch + " (" + string(p.Format) + ")"
}

const (
	// headSize is how many bytes of a file are read.
	headSize = 4096
	// maxLine is the longest first line of a script: https://man7.org/linux/man-pages/man2/execve.2.html.
	maxLine = 255
)

// Parse returns the program that starts with head.
func Parse(head []byte) Program {
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return parseELF(head)
	case bytes.HasPrefix(head, []byte("MZqFpD")):
		return Program{} // a Cosmopolitan binary: PE, ELF and shell script in one, for several architectures
	case bytes.HasPrefix(head, []byte("MZ")):
		return parsePE(head)
	case bytes.HasPrefix(head, []byte("\x00asm")):
		return Program{Format: Wasm, Arch: "wasm"}
	case bytes.HasPrefix(head, []byte("#!")):
		line, _, _ := bytes.Cut(head[2:min(len(head), maxLine)], []byte("\n"))
		return Program{Format: Script, Interpreter: strings.ToValidUTF8(string(bytes.TrimSpace(line)), "?")}
	}
	return parseMachO(head)
}

type elfMachine struct {
	machine elf.Machine
	class   elf.Class
	order   elf.Data
}

// elfArches are the architectures of the machines in elf.h, as Go names them.
var elfArches = map[elfMachine]string{
	{elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB}:       "386",
	{elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB}:    "amd64",
	{elf.EM_X86_64, elf.ELFCLASS32, elf.ELFDATA2LSB}:    "amd64", // with 32-bit pointers
	{elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB}:       "arm",
	{elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB}:   "arm64",
	{elf.EM_LOONGARCH, elf.ELFCLASS64, elf.ELFDATA2LSB}: "loong64",
	{elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2MSB}:      "mips",
	{elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2LSB}:      "mipsle",
	{elf.EM_MIPS, elf.ELFCLASS64, elf.ELFDATA2MSB}:      "mips64",
	{elf.EM_MIPS, elf.ELFCLASS64, elf.ELFDATA2LSB}:      "mips64le",
	{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2MSB}:     "ppc64",
	{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB}:     "ppc64le",
	{elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB}:     "riscv64",
	{elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB}:      "s390x",
	{elf.EM_SPARCV9, elf.ELFCLASS64, elf.ELFDATA2MSB}:   "sparc64",
}

// parseELF reads the file header, whose first 20 bytes are the same in both classes.
func parseELF(head []byte) Program {
	if len(head) < 20 {
		return Program{}
	}
	var order binary.ByteOrder = binary.LittleEndian
	name := "little-endian"
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order, name = binary.BigEndian, "big-endian"
	}
	m := elfMachine{elf.Machine(order.Uint16(head[18:])), elf.Class(head[elf.EI_CLASS]), elf.Data(head[elf.EI_DATA])}
	arch, ok := elfArches[m]
	if !ok {
		arch = fmt.Sprintf("machine %d, class %d, %s", m.machine, m.class, name)
	}
	p := Program{Format: ELF, Arch: arch}
	if t := elf.Type(order.Uint16(head[16:])); ok && (t == elf.ET_EXEC || t == elf.ET_DYN) {
		p.Loadable = true
		p.Interpreter, p.Cut = elfInterpreter(head, order, m.class)
	}
	return p
}

// elfInterpreter returns the interpreter that the program headers name, "" for none, and whether it is beyond head.
func elfInterpreter(head []byte, order binary.ByteOrder, class elf.Class) (name string, cut bool) {
	var h elf.Header64
	var h32 elf.Header32
	var p elf.Prog64
	var p32 elf.Prog32
	header, segment := any(&h), any(&p)
	if class == elf.ELFCLASS32 {
		header, segment = &h32, &p32
	}
	if _, err := binary.Decode(head, order, header); err != nil {
		return "", false // the kernel runs no such file
	}
	at, n, size := h.Phoff+uint64(h32.Phoff), h.Phnum+h32.Phnum, uint64(h.Phentsize+h32.Phentsize)
	if size != uint64(binary.Size(segment)) {
		return "", false // nor this one
	}
	for ; n > 0; n, at = n-1, at+size {
		if at > uint64(len(head)) {
			return "", true
		}
		if _, err := binary.Decode(head[at:], order, segment); err != nil {
			return "", true
		}
		if elf.ProgType(p.Type+p32.Type) != elf.PT_INTERP {
			continue
		}
		offset, length := p.Off+uint64(p32.Off), p.Filesz+uint64(p32.Filesz)
		if offset > uint64(len(head)) || length > uint64(len(head))-offset {
			return "", true
		}
		text, _, _ := bytes.Cut(head[offset:offset+length], []byte{0})
		return string(text), false
	}
	return "", false
}

var peArches = map[uint16]string{
	pe.IMAGE_FILE_MACHINE_I386:        "386",
	pe.IMAGE_FILE_MACHINE_AMD64:       "amd64",
	pe.IMAGE_FILE_MACHINE_ARM:         "arm",
	pe.IMAGE_FILE_MACHINE_ARMNT:       "arm",
	pe.IMAGE_FILE_MACHINE_ARM64:       "arm64",
	pe.IMAGE_FILE_MACHINE_LOONGARCH64: "loong64",
	pe.IMAGE_FILE_MACHINE_RISCV64:     "riscv64",
}

// parsePE reads the machine after the signature that the DOS header points to.
func parsePE(head []byte) Program {
	if len(head) < 0x40 {
		return Program{}
	}
	at := uint64(binary.LittleEndian.Uint32(head[0x3c:]))
	if at+6 > uint64(len(head)) || string(head[at:at+4]) != "PE\x00\x00" {
		return Program{}
	}
	machine := binary.LittleEndian.Uint16(head[at+4:])
	arch, ok := peArches[machine]
	if !ok {
		arch = fmt.Sprintf("machine %#x", machine)
	}
	managed, known := isManaged(head[min(at+4+uint64(binary.Size(pe.FileHeader{})), uint64(len(head))):])
	if managed { // whatever the machine, which is also that of the system if the code was compiled ahead of time
		return Program{Format: PE, Arch: anyArch}
	}
	return Program{Format: PE, Arch: arch, Loadable: ok && known}
}

// isManaged reports whether an optional header has a CLR header, as .NET assemblies do; known is false if the bytes
// do not tell.
func isManaged(header []byte) (managed, known bool) {
	var h pe.OptionalHeader32
	var h64 pe.OptionalHeader64
	if _, err := binary.Decode(header, binary.LittleEndian, &h); err != nil {
		return false, false
	}
	count, directories := h.NumberOfRvaAndSizes, h.DataDirectory
	if h.Magic == 0x20b { // PE32+
		if _, err := binary.Decode(header, binary.LittleEndian, &h64); err != nil {
			return false, false
		}
		count, directories = h64.NumberOfRvaAndSizes, h64.DataDirectory
	}
	return count > pe.IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR && directories[pe.IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR].VirtualAddress != 0, true
}

var machoArches = map[macho.Cpu]string{
	macho.Cpu386: "386", macho.CpuAmd64: "amd64", macho.CpuArm: "arm", macho.CpuArm64: "arm64", macho.CpuPpc64: "ppc64",
}

const (
	magicFat64 = macho.MagicFat + 1
	// maxFat is the largest number of programs in a universal one. A file that seems to have more is a Java class,
	// which has its version there.
	maxFat = 40
)

func parseMachO(head []byte) Program {
	if len(head) < 8 {
		return Program{}
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if magic := order.Uint32(head); magic == macho.Magic32 || magic == macho.Magic64 {
			return Program{Format: MachO, Arch: machoArch(order.Uint32(head[4:]))}
		}
	}
	magic, n, size := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:]), 20
	if magic == magicFat64 {
		size = 32
	}
	if magic != macho.MagicFat && magic != magicFat64 || n == 0 || n > maxFat || 8+int(n)*size > len(head) {
		return Program{}
	}
	var arches []string
	for i := range int(n) {
		arches = append(arches, machoArch(binary.BigEndian.Uint32(head[8+i*size:])))
	}
	return Program{Format: MachO, Arch: strings.Join(arches, ",")}
}

func machoArch(cpu uint32) string {
	if arch, ok := machoArches[macho.Cpu(cpu)]; ok {
		return arch
	}
	return fmt.Sprintf("CPU type %#x", cpu)
}

// Compatibility says whether a program runs on a platform.
type Compatibility int

// The results of a comparison.
const (
	Undecided Compatibility = iota
	Compatible
	Incompatible
)

// compatible are the architectures whose programs also run on another one.
var compatible = map[string]string{"amd64": "386", "arm64": "arm"}

// RunsOn returns whether p runs on the platform os/arch, as Go names it, regardless of variants.
func (p Program) RunsOn(os, arch string) Compatibility {
	wasm := strings.HasPrefix(arch, "wasm")
	switch {
	case p.Format == Wasm && wasm:
		return Compatible
	case p.Format == "", p.Format == Script, p.Format == Wasm, !wasm && !slices.Contains(slices.Collect(maps.Values(elfArches)), arch):
		return Undecided
	case p.Format == PE && p.Arch == "386" && os == "windows" && arch == "arm64":
		return Undecided // Windows emulates it, but not in every container
	}
	switch formatOf(os) {
	case "":
		return Undecided
	case p.Format:
	default:
		return Incompatible
	}
	for one := range strings.SplitSeq(p.Arch, ",") {
		if one == anyArch || one == arch || one == compatible[arch] {
			return Compatible
		}
	}
	return Incompatible
}

// formatOf returns the format of programs for an operating system, "" if it is not known.
func formatOf(os string) Format {
	switch os {
	case "windows":
		return PE
	case "darwin", "ios":
		return MachO
	case "aix", "plan9", "":
		return ""
	}
	return ELF
}
