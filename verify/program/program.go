// Package program finds the programs that an image runs, and which platform they are built for.
//
// [ReadLayer] reads a layer from its uncompressed bytes and keeps a few bytes per file, within a [Budget]. [Find]
// takes the layers of an image and the [Command] of its config, and returns the programs that are run: it searches
// PATH, follows links and whiteouts through the layers, and continues with the interpreter of a script and with the
// command that is passed to a shell, env or an init such as tini. [Parse] recognizes a [Program] by the first bytes
// of its file, and [Program.RunsOn] compares it with a platform.
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
	// Interpreter is the first line of a script, without #!.
	Interpreter string
}

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
	return Program{Format: ELF, Arch: arch}
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
	return Program{Format: PE, Arch: arch}
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
	case p.Format == PE && p.Arch == "386" && os == "windows" && arch != "386" && arch != "amd64":
		return Undecided // .NET assemblies have this architecture, too, and run everywhere
	}
	if want, ok := formatOf(os); !ok {
		return Undecided
	} else if want != p.Format {
		return Incompatible
	}
	for one := range strings.SplitSeq(p.Arch, ",") {
		if one == arch || one == compatible[arch] {
			return Compatible
		}
	}
	return Incompatible
}

// formatOf returns the format of programs for an operating system; false if it is not known.
func formatOf(os string) (Format, bool) {
	switch {
	case os == "windows":
		return PE, true
	case os == "darwin" || os == "ios":
		return MachO, true
	case slices.Contains([]string{"aix", "plan9", ""}, os):
		return "", false
	}
	return ELF, true
}
