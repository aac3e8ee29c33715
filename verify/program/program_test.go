package program

import (
	"bytes"
	"debug/elf"
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
	order.PutUint16(head[18:], uint16(m))
	return head
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
