// Package program finds the program that an image runs, in the layers of the image, and tells which machine
// it was built for. Layers are streams of which it keeps a few bytes for each file, in bounds that are told
// to it. Where layers come from, and what platform an image claims, is not its matter.
package program

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Format is how a program is stored.
type Format string

// The formats that are known.
const (
	ELF    Format = "ELF"
	PE     Format = "PE"
	MachO  Format = "Mach-O"
	Wasm   Format = "WebAssembly"
	Script Format = "script"
)

// Program is what the first bytes of a file tell of it; the zero value for a file that is none of the known
// formats.
type Program struct {
	Format Format
	// Arch is the architecture by its name in Go, or a description where Go has no name; those of a
	// universal program are separated by commas.
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
	// headSize is how much of a file is looked at.
	headSize = 4096
	// maxLine is the longest first line of a script: https://man7.org/linux/man-pages/man2/execve.2.html.
	maxLine = 255
)

// Parse returns what head, the first bytes of a file, tells.
func Parse(head []byte) Program {
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return parseELF(head)
	case bytes.HasPrefix(head, []byte("MZqFpD")):
		return Program{} // Cosmopolitan's: PE, ELF and a shell script in one, for several machines
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

// elfArches are the architectures of the machines in elf.h, by the name that Go gives them.
var elfArches = map[elfMachine]string{
	{elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB}:       "386",
	{elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB}:    "amd64",
	{elf.EM_X86_64, elf.ELFCLASS32, elf.ELFDATA2LSB}:    "amd64", // with pointers of 32 bits
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

// parseELF reads the file header, whose first 20 bytes are alike in both classes.
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

// parsePE reads the machine behind the signature that the DOS header points to.
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
	// maxFat is the largest number of programs in a universal one; what seems to have more is a Java class,
	// with its version in that place.
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

// Fit says whether a program runs on a platform.
type Fit int

// The fits.
const (
	Undecided Fit = iota
	Fits
	Misfits
)

// also are the architectures whose programs a machine of another one runs.
var also = map[string]string{"amd64": "386", "arm64": "arm"}

// Fit returns whether p runs on the platform os/arch, named as in Go, without looking at variants.
func (p Program) Fit(os, arch string) Fit {
	wasm := strings.HasPrefix(arch, "wasm")
	switch {
	case p.Format == Wasm && wasm:
		return Fits
	case p.Format == "", p.Format == Script, p.Format == Wasm, !wasm && !named(arch):
		return Undecided
	case p.Format == PE && p.Arch == "386" && os == "windows" && arch != "386" && arch != "amd64":
		return Undecided // code of .NET says this too, and runs everywhere
	}
	if want, ok := formatOf(os); !ok {
		return Undecided
	} else if want != p.Format {
		return Misfits
	}
	for one := range strings.SplitSeq(p.Arch, ",") {
		if one == arch || one == also[arch] {
			return Fits
		}
	}
	return Misfits
}

// named reports whether arch is one that programs are known for.
func named(arch string) bool {
	for _, known := range elfArches {
		if known == arch {
			return true
		}
	}
	return false
}

// formatOf returns the format of programs for an operating system; false when it is none of these.
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
