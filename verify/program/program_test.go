package program

import (
	"bytes"
	"debug/elf"
	"debug/pe"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// elfHead returns the start of an ELF file.
func elfHead(m elf.Machine, class elf.Class, data elf.Data) []byte {
	head := make([]byte, 64)
	copy(head, elf.ELFMAG)
	head[elf.EI_CLASS], head[elf.EI_DATA] = byte(class), byte(data)
	var order binary.ByteOrder = binary.LittleEndian
	if data == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	order.PutUint16(head[16:], uint16(elf.ET_EXEC))
	order.PutUint16(head[18:], uint16(m))
	return head
}

// elfNaming returns the start of a 64-bit little-endian ELF program that names an interpreter at an offset.
func elfNaming(m elf.Machine, interpreter string, at int) []byte {
	head := elfHead(m, elf.ELFCLASS64, elf.ELFDATA2LSB)
	head[32], head[54], head[56] = 64, 56, 2 // program headers: position, size and count
	p := make([]byte, 2*56)
	p[0], p[56] = byte(elf.PT_PHDR), byte(elf.PT_INTERP)
	binary.LittleEndian.PutUint64(p[56+8:], uint64(at))
	binary.LittleEndian.PutUint64(p[56+32:], uint64(len(interpreter)+1))
	head = append(head, p...)
	return append(append(head, make([]byte, at-len(head))...), interpreter+"\x00"...)
}

// elfOf returns the start of a 64-bit little-endian ELF file of a type.
func elfOf(m elf.Machine, t elf.Type) string {
	head := elfHead(m, elf.ELFCLASS64, elf.ELFDATA2LSB)
	head[16] = byte(t)
	return string(head)
}

// peFile returns the start of a PE file; a managed one has a CLR header.
func peFile(machine uint16, wide, managed bool) string {
	var h any
	clr := pe.DataDirectory{}
	if managed {
		clr = pe.DataDirectory{VirtualAddress: 0x2008, Size: 72}
	}
	if wide {
		o := pe.OptionalHeader64{Magic: 0x20b, NumberOfRvaAndSizes: 16}
		o.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR] = clr
		h = o
	} else {
		o := pe.OptionalHeader32{Magic: 0x10b, NumberOfRvaAndSizes: 16}
		o.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR] = clr
		h = o
	}
	out := append(peHead(machine, 0x80), make([]byte, 18)...)
	out, err := binary.Append(out, binary.LittleEndian, h)
	if err != nil {
		panic(err)
	}
	return string(append(out, make([]byte, 100)...))
}

// peHead returns the start of a PE file whose signature is at an offset.
func peHead(machine uint16, at uint32) []byte {
	head := append([]byte("MZ"), make([]byte, 0x3e)...)
	binary.LittleEndian.PutUint32(head[0x3c:], at)
	head = append(head, make([]byte, int(at)-len(head))...)
	return binary.LittleEndian.AppendUint16(append(head, "PE\x00\x00"...), machine)
}

func TestParse(t *testing.T) {
	fat := "\xca\xfe\xba\xbe\x00\x00\x00\x02" + "\x01\x00\x00\x07" + strings.Repeat("\x00", 16) + "\x01\x00\x00\x0c" + strings.Repeat("\x00", 16)
	for name, tt := range map[string]struct {
		head string
		want string
	}{
		"amd64":             {string(elfHead(elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB)), "a program for amd64 (ELF)"},
		"ppc64":             {string(elfHead(elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2MSB)), "a program for ppc64 (ELF)"},
		"ppc64le":           {string(elfHead(elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB)), "a program for ppc64le (ELF)"},
		"mips":              {string(elfHead(elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2MSB)), "a program for mips (ELF)"},
		"mipsle":            {string(elfHead(elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2LSB)), "a program for mipsle (ELF)"},
		"big arm64":         {string(elfHead(elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2MSB)), "a program for machine 183, class 2, big-endian (ELF)"},
		"unknown":           {string(elfHead(9999, 7, 9)), "a program for machine 9999, class 7, little-endian (ELF)"},
		"short ELF":         {"\x7fELF\x02\x01", "a file of unknown format"},
		"PE":                {string(peHead(0xaa64, 0x80)), "a program for arm64 (PE)"},
		"odd PE":            {string(peHead(0x1234, 0x40)), "a program for machine 0x1234 (PE)"},
		"DOS":               {"MZ" + strings.Repeat("\x00", 100), "a file of unknown format"},
		"actually portable": {"MZqFpD='\n" + string(peHead(0x8664, 0x80))[9:], "a file of unknown format"},
		"far PE":            {"MZ" + strings.Repeat("\x00", 0x3a) + "\xff\xff\xff\xff", "a file of unknown format"},
		"Mach-O":            {"\xcf\xfa\xed\xfe\x0c\x00\x00\x01", "a program for arm64 (Mach-O)"},
		"old Mach-O":        {"\xfe\xed\xfa\xce\x00\x00\x00\x07", "a program for 386 (Mach-O)"},
		"universal":         {fat, "a program for amd64,arm64 (Mach-O)"},
		"cut universal":     {fat[:30], "a file of unknown format"},
		"universal of none": {"\xca\xfe\xba\xbe\x00\x00\x00\x00", "a file of unknown format"},
		"Java class":        {"\xca\xfe\xba\xbe\x00\x00\x00\x34" + strings.Repeat("\x00", 2000), "a file of unknown format"},
		"wasm":              {"\x00asm\x01\x00\x00\x00", "a program for wasm (WebAssembly)"},
		"script":            {"#! /bin/sh -e \necho", "a script for /bin/sh -e"},
		"long script":       {"#!/" + strings.Repeat("a", 1000), "a script for /" + strings.Repeat("a", maxLine-3)},
		"text":              {"hello", "a file of unknown format"},
		"empty":             {"", "a file of unknown format"},
	} {
		if got := Parse([]byte(tt.head)).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

// Programs that Go compiles for a platform run on it, and not on another one.
func TestCompiledPrograms(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module m\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for platform, other := range map[string]string{"windows/arm64": "windows/amd64", "darwin/arm64": "darwin/amd64"} {
		goos, arch, _ := strings.Cut(platform, "/")
		file := filepath.Join(dir, arch)
		cmd := exec.Command("go", "build", "-o", file, "-ldflags=-s -w", ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", platform, err, out)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := Parse(content[:headSize])
		_, wrong, _ := strings.Cut(other, "/")
		if right, wrong := p.RunsOn(goos, arch), p.RunsOn(goos, wrong); right != Compatible || wrong != Incompatible {
			t.Errorf("%s: got %d on %s and %d on %s, want %d and %d", p, right, platform, wrong, other, Compatible, Incompatible)
		}
	}
}

func TestRunsOn(t *testing.T) {
	for _, tt := range []struct {
		format   Format
		arch     string
		platform string
		want     Compatibility
	}{
		{ELF, "amd64", "linux/amd64", Compatible},
		{ELF, "amd64", "linux/arm64", Incompatible},
		{ELF, "386", "linux/amd64", Compatible},
		{ELF, "amd64", "linux/386", Incompatible},
		{ELF, "arm", "linux/arm64", Compatible},
		{ELF, "arm64", "linux/arm", Incompatible},
		{ELF, "ppc64", "linux/ppc64le", Incompatible},
		{ELF, "mipsle", "linux/mips", Incompatible},
		{ELF, "riscv64", "freebsd/riscv64", Compatible},
		{ELF, "machine 83, class 1, little-endian", "linux/amd64", Incompatible},
		{ELF, "amd64", "linux/vax", Undecided},
		{ELF, "amd64", "/amd64", Undecided},
		{ELF, "amd64", "plan9/amd64", Undecided},
		{ELF, "amd64", "windows/amd64", Incompatible},
		{ELF, "amd64", "wasi/wasm", Incompatible},
		{PE, "amd64", "linux/amd64", Incompatible},
		{PE, "amd64", "windows/amd64", Compatible},
		{PE, "amd64", "windows/arm64", Incompatible},
		{PE, "386", "windows/amd64", Compatible},
		{PE, "386", "windows/arm64", Undecided},
		{MachO, "amd64,arm64", "darwin/arm64", Compatible},
		{MachO, "amd64", "darwin/arm64", Incompatible},
		{Wasm, "wasm", "wasip1/wasm", Compatible},
		{Wasm, "wasm", "wasi/wasm32", Compatible},
		{Wasm, "wasm", "linux/amd64", Undecided},
		{Script, "", "linux/amd64", Undecided},
		{"", "", "linux/amd64", Undecided},
	} {
		os, arch, _ := strings.Cut(tt.platform, "/")
		if got := (Program{Format: tt.format, Arch: tt.arch}).RunsOn(os, arch); got != tt.want {
			t.Errorf("%s %s on %s: got %d, want %d", tt.format, tt.arch, tt.platform, got, tt.want)
		}
	}
}

// Only programs and shared libraries for processors of platforms are counted, and not .NET assemblies, which run on
// any. The interpreter is read if it is in the bytes that are kept.
func TestParseLoadable(t *testing.T) {
	const loader = "/lib64/ld-linux-x86-64.so.2"
	for name, tt := range map[string]struct {
		head string
		want Program
	}{
		"program":           {elfOf(elf.EM_X86_64, elf.ET_EXEC), Program{Format: ELF, Arch: "amd64", Loadable: true}},
		"library":           {elfOf(elf.EM_AARCH64, elf.ET_DYN), Program{Format: ELF, Arch: "arm64", Loadable: true}},
		"object":            {elfOf(elf.EM_AARCH64, elf.ET_REL), Program{Format: ELF, Arch: "arm64"}},
		"core":              {elfOf(elf.EM_AARCH64, elf.ET_CORE), Program{Format: ELF, Arch: "arm64"}},
		"BPF":               {elfOf(elf.EM_BPF, elf.ET_DYN), Program{Format: ELF, Arch: "machine 247, class 2, little-endian"}},
		"CUDA":              {elfOf(elf.EM_CUDA, elf.ET_EXEC), Program{Format: ELF, Arch: "machine 190, class 2, little-endian"}},
		"interpreter":       {string(elfNaming(elf.EM_X86_64, loader, 1000)), Program{Format: ELF, Arch: "amd64", Loadable: true, Interpreter: loader}},
		"cut interpreter":   {string(elfNaming(elf.EM_X86_64, loader, headSize))[:headSize], Program{Format: ELF, Arch: "amd64", Loadable: true, Cut: true}},
		"cut in the middle": {string(elfNaming(elf.EM_X86_64, loader, headSize-9))[:headSize], Program{Format: ELF, Arch: "amd64", Loadable: true, Cut: true}},
		"cut headers":       {string(elfNaming(elf.EM_X86_64, loader, 1000))[:130], Program{Format: ELF, Arch: "amd64", Loadable: true, Cut: true}},
		"cut file header":   {string(elfNaming(elf.EM_X86_64, loader, 1000))[:63], Program{Format: ELF, Arch: "amd64", Loadable: true}},
		"32-bit": {"\x7fELF\x01\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00\x28\x00\x01\x00\x00\x00\x00\x00\x00\x00\x34\x00\x00\x00" + strings.Repeat("\x00", 10) +
			"\x20\x00\x01\x00" + strings.Repeat("\x00", 6) + "\x03\x00\x00\x00\x54\x00\x00\x00" + strings.Repeat("\x00", 8) + "\x05\x00\x00\x00" + strings.Repeat("\x00", 12) + "/ld\x00x",
			Program{Format: ELF, Arch: "arm", Loadable: true, Interpreter: "/ld"}},
		"PE":                   {peFile(0xaa64, true, false), Program{Format: PE, Arch: "arm64", Loadable: true}},
		"PE32":                 {peFile(0x14c, false, false), Program{Format: PE, Arch: "386", Loadable: true}},
		"PE for no platform":   {peFile(0x1234, true, false), Program{Format: PE, Arch: "machine 0x1234"}},
		"cut PE":               {peFile(0xaa64, true, false)[:0x90], Program{Format: PE, Arch: "arm64"}},
		"managed":              {peFile(0x14c, false, true), Program{Format: PE, Arch: anyArch}},
		"managed PE32+":        {peFile(0x8664, true, true), Program{Format: PE, Arch: anyArch}},
		"compiled for Linux":   {peFile(0x8664^0x7b79, true, true), Program{Format: PE, Arch: anyArch}},
		"Linux without header": {peFile(0xaa64^0x7b79, true, false), Program{Format: PE, Arch: "machine 0xd11d"}},
		"Mach-O":               {"\xcf\xfa\xed\xfe\x0c\x00\x00\x01", Program{Format: MachO, Arch: "arm64"}},
	} {
		if got := Parse([]byte(tt.head)); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
	if got := (Program{Format: PE, Arch: anyArch}).RunsOn("windows", "arm64"); got != Compatible {
		t.Errorf("got %d for a .NET assembly on windows/arm64, want %d", got, Compatible)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(elfHead(elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB))
	f.Add(peHead(0x8664, 0x80))
	f.Add([]byte("\xca\xfe\xba\xbf\x00\x00\x00\x01\x01\x00\x00\x07" + strings.Repeat("\x00", 28)))
	f.Add([]byte("#!/bin/sh"))
	f.Fuzz(func(t *testing.T, head []byte) {
		p := Parse(head)
		if len(p.Interpreter) > 3*maxLine || (p.Format == Script) != bytes.HasPrefix(head, []byte("#!")) {
			t.Errorf("got %+v for %q, want a script with a short first line or none", p, head[:min(len(head), 2)])
		}
		p.RunsOn("linux", "amd64")
	})
}
