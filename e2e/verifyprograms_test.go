package e2e

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"debug/pe"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// entries are the entries of a layer: "PATH CONTENT" for a file (see [workshop.content]), "PATH -> TARGET" for a
// symbolic link, "PATH => TARGET" for a hard link, "PATH" for a directory or a whiteout, and "deb PACKAGE ARCHITECTURE
// [DIRECTORY]" for all of a Debian package.
type entries []string

// join returns layers one after the other.
func join(groups ...[]entries) []entries { return slices.Concat(groups...) }

// debian is a base system; its layers are those of Debian's packages.
func debian(arch string) []entries {
	return []entries{{"deb libc6 " + arch}, {"deb libtinfo6 " + arch}, {"deb bash " + arch}, {"bin/sh -> bash"}}
}

func python(arch string) []entries {
	return join(debian(arch), []entries{{"deb python " + arch}, {"deb python3-minimal " + arch}})
}

// alpine is a base system like Alpine's: musl, busybox and links to it.
func alpine(arch string) []entries {
	return []entries{{"deb musl " + arch, "deb busybox-static " + arch, "bin/sh -> busybox", "bin/ls -> busybox"}}
}

// windowsBase is a base system for Windows.
func windowsBase(arch string) []entries {
	return []entries{{"Files/Windows/System32/cmd.exe pe " + arch, "Files/Windows/System32/kernel32.dll pe " + arch, "Files/Windows/explorer.exe pe " + arch}}
}

func one(layer ...string) []entries { return []entries{layer} }

var busyboxNames = func() entries {
	out := entries{"deb busybox-static amd64"}
	for i := range 300 {
		out = append(out, fmt.Sprintf("bin/applet%d => bin/busybox", i))
	}
	return out
}()

// programCases are images, and the findings of verify --deep on their programs, with "..." for any text. An image
// without findings, or only with information, is valid.
var programCases = []struct {
	name, platform, command string
	layers                  []entries
	findings                []string
}{
	// Right images, of which some seem odd.
	{"Debian for amd64", "linux/amd64", "bash", debian("amd64"), nil},
	{"Debian for arm64", "linux/arm64", "bash", debian("arm64"), nil},
	{"Debian for arm64 with a shell command", "linux/arm64", "/bin/sh -c bash", debian("arm64"), nil},
	{"Python for amd64", "linux/amd64", "/usr/bin/python3 app.py", python("amd64"), nil},
	{"Python script for arm64", "linux/arm64", "/app/run", join(python("arm64"), one("app/run script #!/usr/bin/python3")), nil},
	{"Python script by env", "linux/arm64", "/app/run", join(python("arm64"), one("usr/bin/env go arm64", "app/run script #!/usr/bin/env python3")), nil},
	{"Alpine for arm64", "linux/arm64", "/bin/sh", alpine("arm64"), nil},
	{"musl program", "linux/arm64", "app", join(alpine("arm64"), one("usr/bin/app linked arm64 /lib/ld-musl-aarch64.so.1")), nil},
	{"static busybox alone", "linux/arm64", "/bin/busybox sh", one("deb busybox-static arm64"), nil},
	{"static Go program alone", "linux/arm64", "/app", one("app go arm64"), nil},
	{"static Go program on data", "linux/arm64", "/app", []entries{{"etc/passwd text", "usr/share/zoneinfo/UTC text"}, {"app go arm64"}}, nil},
	{"C program", "linux/" + runtime.GOARCH, "app", join(debian(runtime.GOARCH), one("usr/local/bin/app c")), nil},
	{"static C program alone", "linux/" + runtime.GOARCH, "/app", one("app c-static"), nil},
	{"init", "linux/arm64", "tini -- bash", join(debian("arm64"), one("usr/bin/tini go arm64")), nil},
	{"PATH", "linux/arm64", "app", one("opt/bin/app go arm64", "usr/bin/app text"), nil},
	{"merged /usr", "linux/arm64", "bash", join(one("bin -> usr/bin", "lib -> usr/lib", "usr/bin", "usr/lib"), debian("arm64")), nil},
	{"386 on amd64", "linux/amd64", "app", join(debian("amd64"), one("usr/bin/app elf 386", "usr/lib/i386-linux-gnu/a.so lib 386")), nil},
	{"arm on arm64", "linux/arm64", "/app", one("app elf arm", "lib/a.so lib arm"), nil},
	{"s390x", "linux/s390x", "/app", one("app elf s390x"), nil},
	{"ppc64le", "linux/ppc64le", "/app", one("app elf ppc64le"), nil},
	{"riscv64", "linux/riscv64", "/app", one("app linked riscv64 /lib/ld-linux-riscv64-lp64d.so.1", "lib/ld-linux-riscv64-lp64d.so.1 lib riscv64"), nil},
	{"only data", "linux/arm64", "", one("data/model.bin text"), []string{"info: the program that the image runs could not be checked: the image has no command"}},
	{"nothing at all", "linux/arm64", "", nil, []string{"info: the program that the image runs could not be checked: the image has no command"}},
	{"only scripts and a shell", "linux/arm64", "/run.sh", one("deb busybox-static arm64", "bin/sh => bin/busybox", "run.sh script #!/bin/sh", "lib/a.sh script #!/bin/sh"), nil},
	{"object files and kernel modules", "linux/arm64", "/bin/sh", join(alpine("arm64"), one("usr/lib/crt1.o object amd64", "lib/modules/a.ko object amd64")), nil},
	{"BPF objects", "linux/arm64", "/bin/sh", join(alpine("arm64"), one("usr/lib/bpf/a.o elf bpf", "usr/lib/b.o lib bpf", "usr/bin/c elf bpf")), nil},
	{"CUDA objects", "linux/arm64", "/bin/sh", join(alpine("arm64"), one("usr/lib/a.cubin elf cuda", "usr/lib/b.cubin elf cuda", "usr/lib/c.cubin elf cuda")), nil},
	{"programs for macOS and Windows", "linux/arm64", "/bin/sh", join(alpine("arm64"), one("usr/bin/a macho", "usr/bin/b.exe pe amd64", "usr/bin/c.exe pe 386", "usr/bin/d.dll pe arm64")), nil},
	{"WebAssembly", "wasip1/wasm", "/app.wasm", one("app.wasm wasm"), nil},
	{".NET, framework-dependent", "linux/arm64", "dotnet app.dll", join(debian("arm64"), one("usr/bin/dotnet elf arm64", "app/app.dll net", "app/lib.dll net amd64")), nil},
	{".NET, self-contained", "linux/arm64", "/app/app", join(debian("arm64"), one("app/app linked arm64 /lib/ld-linux-aarch64.so.1", "app/libcoreclr.so lib arm64", "app/System.dll ready arm64", "app/x.dll ready amd64")), nil},
	{"Windows for arm64", "windows/arm64", "cmd", windowsBase("arm64"), nil},
	{"Windows with .NET assemblies", "windows/arm64", `C:\app\app.exe`, join(windowsBase("arm64"), one("Files/app/app.exe net 386", "Files/app/b.dll net amd64")), nil},
	{"Windows with 386 programs on amd64", "windows/amd64", `C:\app\app`, join(windowsBase("amd64"), one("Files/app/app.exe pe 386")), nil},

	// Foreign files that do no harm.
	{"test file", "linux/arm64", "/bin/sh", join(alpine("arm64"), one("usr/src/testdata/hello go amd64")), []string{"info: 1 of 3 programs and libraries are not for linux/arm64 but for amd64: /usr/src/testdata/hello; in layer sha256:"}},
	{"foreign library", "linux/arm64", "bash", join(debian("arm64"), one("usr/lib/aarch64-linux-gnu/liba.so lib amd64")), []string{"info: 1 of"}},
	{"cross compiler with a sysroot", "linux/amd64", "bash", join(debian("amd64"), one("deb libc6 arm64 usr/aarch64-linux-gnu")), []string{"info: "}},
	{"cross compiler with libraries beside its own", "linux/amd64", "bash", join(debian("amd64"), []entries{{"deb libc6 arm64"}, {"deb libtinfo6 arm64"}, {"usr/lib/arm-linux-gnueabihf/a.so lib s390x"}}), []string{"info: ... but for arm64, s390x: /lib/aarch64-linux-gnu/..."}},
	{"Python packages", "linux/arm64", "python3", join(python("arm64"), one("usr/lib/python3/dist-packages/pip/_vendor/distlib/w64.exe pe amd64", "usr/lib/python3/dist-packages/pip/_vendor/distlib/w64-arm.exe pe arm64", "usr/local/lib/python3.11/site-packages/a/a.x86_64.so lib amd64", "usr/local/lib/python3.11/site-packages/a/a.aarch64.so lib arm64")),
		[]string{"info: 1 of"}},
	{"Node prebuilds", "linux/arm64", "/bin/sh", join(alpine("arm64"), one("app/node_modules/x/prebuilds/linux-x64/x.node lib amd64", "app/node_modules/x/prebuilds/linux-arm64/x.node lib arm64", "app/node_modules/x/prebuilds/linux-arm/x.node lib arm", "app/node_modules/x/prebuilds/darwin-x64/x.node macho", "app/node_modules/x/prebuilds/win32-x64/x.node pe amd64")),
		[]string{"info: 1 of 5 programs and libraries are not for linux/arm64 but for amd64: /app/node_modules/x/prebuilds/linux-x64/x.node"}},
	{".NET with native libraries for all", "linux/arm64", "dotnet app.dll", join(debian("arm64"), one("usr/bin/dotnet elf arm64", "app/runtimes/linux-x64/native/a.so lib amd64", "app/runtimes/linux-arm64/native/a.so lib arm64", "app/runtimes/win-x64/native/a.dll pe amd64")), []string{"info: 1 of"}},
	{"tools for all platforms", "linux/arm64", "/bin/sh", join(alpine("arm64"), one("dist/amd64/a go amd64", "dist/arm64/a go arm64", "dist/s390x/a elf s390x", "dist/ppc64le/a elf ppc64le", "dist/386/a elf 386")), []string{"info: 4 of 7 programs and libraries are not for linux/arm64 but for amd64, s390x, ppc64le, 386"}},
	{"hard links of one foreign file", "linux/arm64", "/usr/bin/bash", join(debian("arm64"), one("usr/bin/bash => bin/bash"), []entries{busyboxNames}), []string{"info: 1 of"}},
	{"Windows with DLLs for amd64", "windows/arm64", "cmd", join(windowsBase("arm64"), one("Files/Program Files/x/a.dll pe amd64", "Files/Program Files/x/b.dll pe amd64", "Files/Program Files/x/c.dll pe amd64", "Files/Program Files/x/d.dll pe amd64")), []string{"info: 4 of 7 programs and libraries are not for windows/arm64 but for amd64: /program files/x/a.dll"}},
	{"interpreter far in the file", "linux/arm64", "/app", one("app far arm64 /nix/store/ld-linux-aarch64.so.1"), []string{"info: the program that the image runs could not be checked: the interpreter of /app is not in its first 4096 bytes"}},

	// Layers that hide files of others.
	{"foreign program removed", "linux/arm64", "bash", join(debian("arm64"), one("usr/bin/a go amd64"), one("usr/bin/.wh.a")), nil},
	{"foreign base removed", "linux/arm64", "/app", join(debian("amd64"), one(".wh..wh..opq", "app go arm64")), nil},
	{"foreign base removed by directories", "linux/arm64", "/app", join(debian("amd64"), one(".wh.bin", ".wh.lib", ".wh.lib64", ".wh.usr", ".wh.sbin"), one("app go arm64")), nil},
	{"foreign program replaced", "linux/arm64", "/app", []entries{{"app go amd64"}, {"app go arm64"}}, nil},
	{"loader removed", "linux/arm64", "bash", join(debian("arm64"), one("lib/.wh.ld-linux-aarch64.so.1")), []string{"error: the image cannot run: /lib/ld-linux-aarch64.so.1, the interpreter of /bin/bash, is not in the image"}},
	{"right program replaced", "linux/arm64", "/app", []entries{{"app go arm64"}, {"app go amd64"}}, []string{"error: /app is a program for amd64 (ELF), but the image is for linux/arm64; in layer sha256:"}},
	{"hard link of a removed name", "linux/arm64", "/b", []entries{{"a go amd64", "b => a"}, {".wh.a"}}, []string{"error: /b is a program for amd64 (ELF)"}},

	// Wrong images.
	{"foreign base below a static program", "linux/arm64", "/app", join(debian("amd64"), one("app go arm64", "usr/lib/git-core/git go amd64")), []string{"error: ... programs and libraries in the directories of PATH and of the loader are not for linux/arm64 but for amd64: /bin/bash, ...", "info: 1 of 2 programs and libraries in other directories are not for linux/arm64 but for amd64: /usr/lib/git-core/git; in layer ..."}},
	{"foreign base below a linked program", "linux/arm64", "/app", join(debian("amd64"), one("app linked arm64 /lib/ld-linux-aarch64.so.1")), []string{"error: the image cannot run: /lib/ld-linux-aarch64.so.1, the interpreter of /app, is not in the image", "error: ... in the directories of PATH ..."}},
	{"foreign Alpine", "linux/arm64", "app", join(alpine("amd64"), one("usr/local/bin/app go arm64")), []string{"error: 2 of 3 programs and libraries in the directories of PATH and of the loader are not for linux/arm64 but for amd64: "}},
	{"foreign libraries without a shell", "linux/arm64", "app", []entries{{"deb libc6 amd64"}, {"usr/bin/app go arm64"}}, []string{"error: ... in the directories of PATH ... but for amd64: /lib/x86_64-linux-gnu/..."}},
	{"image of another platform", "linux/arm64", "bash", debian("amd64"), []string{"error: /bin/bash is a program for amd64 (ELF), but the image is for linux/arm64", "error: ... in the directories of PATH ..."}},
	{"foreign program", "linux/arm64", "app", join(debian("arm64"), one("usr/local/bin/app go amd64")), []string{"error: /usr/local/bin/app is a program for amd64 (ELF), but the image is for linux/arm64"}},
	{"foreign program by a link", "linux/arm64", "app", join(debian("arm64"), one("opt/app/run go amd64", "usr/bin/app -> /opt/app/run")), []string{"error: /opt/app/run is a program for amd64"}},
	{"foreign program of a shell command", "linux/arm64", "/bin/sh -c app", join(debian("arm64"), one("usr/bin/app go amd64")), []string{"error: /usr/bin/app is a program for amd64"}},
	{"foreign program of an init", "linux/arm64", "tini -- app", join(debian("arm64"), one("usr/bin/app go amd64", "usr/bin/tini go arm64")), []string{"error: /usr/bin/app is a program for amd64"}},
	{"foreign program first in PATH", "linux/arm64", "app", join(debian("arm64"), one("usr/local/bin/app go amd64", "usr/bin/app go arm64")), []string{"error: /usr/local/bin/app is a program for amd64"}},
	{"foreign interpreter of a script", "linux/arm64", "/app/run", join(debian("arm64"), one("deb python amd64", "usr/bin/python3 -> python3.11", "usr/bin/python3.11 go amd64", "app/run script #!/usr/bin/python3")), []string{"error: /usr/bin/python3.11 is a program for amd64"}},
	{"absent program", "linux/arm64", "app", debian("arm64"), []string{"error: the image cannot run: app is not in the image"}},
	{"absent loader", "linux/arm64", "/bin/bash", one("deb bash arm64"), []string{"error: the image cannot run: /lib/ld-linux-aarch64.so.1, the interpreter of /bin/bash, is not in the image"}},
	{"absent loader of a C program", "linux/" + runtime.GOARCH, "/app", one("app c"), []string{"error: the image cannot run: /lib"}},
	{"absent loader of musl", "linux/arm64", "app", join(debian("arm64"), one("usr/bin/app linked arm64 /lib/ld-musl-aarch64.so.1")), []string{"error: the image cannot run: /lib/ld-musl-aarch64.so.1, the interpreter of /usr/bin/app, is not in the image"}},
	{"absent loader of the shell", "linux/arm64", "/bin/sh -c 'cd /'", one("deb bash arm64", "bin/sh -> bash"), []string{"error: the image cannot run: /lib/ld-linux-aarch64.so.1, the interpreter of /bin/bash, is not in the image"}},
	{"foreign loader", "linux/arm64", "/app", one("app linked arm64 /lib/ld-linux-aarch64.so.1", "lib/ld-linux-aarch64.so.1 lib amd64", "lib/a.so lib arm64"), []string{"error: /lib/ld-linux-aarch64.so.1 is a program for amd64"}},
	{"absent shell", "linux/arm64", "/bin/sh -c /app", one("app go arm64"), []string{"error: the image cannot run: /bin/sh is not in the image"}},
	{"script without a shell", "linux/arm64", "/run.sh", one("run.sh script #!/bin/sh", "app go arm64"), []string{"error: the image cannot run: /bin/sh is not in the image"}},
	{"script without Python", "linux/arm64", "/run", join(debian("arm64"), one("usr/bin/env go arm64", "run script #!/usr/bin/env python3")), []string{"error: the image cannot run: python3 is not in the image"}},
	{".NET for another architecture", "linux/arm64", "/app/app", join(debian("arm64"), one("app/app linked amd64 /lib64/ld-linux-x86-64.so.2", "app/app.dll net", "app/libcoreclr.so lib amd64")), []string{"error: /app/app is a program for amd64 (ELF)", "info: 2 of"}},
	{"amd64 on 386", "linux/386", "/app", one("app elf amd64"), []string{"error: /app is a program for amd64"}},
	{"arm64 on arm", "linux/arm/v7", "/app", one("app elf arm64"), []string{"error: /app is a program for arm64"}},
	{"ppc64 on ppc64le", "linux/ppc64le", "/app", one("app elf ppc64"), []string{"error: /app is a program for ppc64"}},
	{"Linux program on Windows", "windows/amd64", `C:\app.exe`, join(windowsBase("amd64"), one("Files/app.exe go amd64")), []string{"error: /app.exe is a program for amd64 (ELF), but the image is for windows/amd64"}},
	{"Windows program for amd64", "windows/arm64", `C:\app\app.exe`, join(windowsBase("arm64"), one("Files/app/app.exe pe amd64")), []string{"error: /app/app.exe is a program for amd64 (PE)"}},
	{"foreign Windows", "windows/arm64", `C:\app.exe`, join(windowsBase("amd64"), one("Files/app.exe pe arm64")), []string{"error: 3 of 3 programs and libraries in the directories of PATH and of the loader are not for windows/arm64 but for amd64: /windows/system32/cmd.exe, /windows/system32/kernel32.dll, /windows/explorer.exe"}},
}

// Images of real packages and of made programs are judged by what is in them, all in one run.
func TestVerifyPrograms(t *testing.T) {
	s := newScene(t, harness.V3)
	w := newWorkshop(s)
	args := []string{"verify", "--deep", "--format", "json"}
	for i, tt := range programCases {
		args = append(args, harness.Put(t, s.registry, s.repo, fmt.Sprint(i), w.image(tt.platform, tt.command, tt.layers...)))
	}
	decoder := json.NewDecoder(strings.NewReader(s.ends(1, nil, args...).Stdout))
	for _, tt := range programCases {
		var got verified
		s.must(decoder.Decode(&got))
		want, texts := "ok", []string(nil)
		for _, f := range got.Findings {
			texts = append(texts, f.Severity+": "+f.Message)
		}
		if slices.ContainsFunc(tt.findings, func(f string) bool { return strings.HasPrefix(f, "error: ") }) {
			want = "invalid"
		}
		if got.State != want || !slices.EqualFunc(texts, tt.findings, matches) {
			t.Errorf("%s: got state %s and findings\n%s\nwant %s and\n%s", tt.name, got.State, strings.Join(texts, "\n"), want, strings.Join(tt.findings, "\n"))
		}
	}
}

// matches reports whether a text starts with a pattern, in which "..." stands for any text.
func matches(text, pattern string) bool {
	for i, part := range strings.Split(pattern, "...") {
		at := strings.Index(text, part)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

// A finding has the numbers, the first paths, the layer, and which platform of the list that layer is really of.
// Without --deep, the layer that both have is reported.
func TestVerifyForeignBase(t *testing.T) {
	s := newScene(t, harness.V3)
	w := newWorkshop(s)
	amd, arm := w.image("linux/amd64", "/app", join(alpine("amd64"), one("app go amd64"))...), w.image("linux/arm64", "/app", join(alpine("amd64"), one("app go arm64"))...)
	harness.Put(t, s.registry, s.repo, "1", images.Index(images.OCI, amd, arm))
	base := amd.Blobs[1].Descriptor.Digest.String()
	var got struct {
		Findings []struct {
			Platform string
			Programs struct {
				Foreign, Counted int
				Paths            []string
				Layers           []struct {
					Digest    string
					Foreign   int
					Platforms []string
				}
			}
		}
	}
	r := s.ends(1, nil, "verify", "--deep", "--format", "json", s.list)
	s.must(json.Unmarshal([]byte(r.Stdout), &got))
	want := "[{linux/arm64 {2 2 [/bin/busybox /lib/x86_64-linux-musl/libc.so] [{" + base + " 2 [linux/amd64]}]}}]"
	if got := fmt.Sprint(got.Findings); got != want {
		t.Errorf("got findings %s, want %s", got, want)
	}
	s.ends(1, []string{"(linux/arm64): error: 2 of 2 programs and libraries", "in layer " + base + ", which is also a layer of linux/amd64"}, "verify", "--deep", s.list)
	s.ends(0, []string{"(linux/arm64): info: linux/amd64 and linux/arm64 have their first layer " + base}, "verify", s.list)
}

// A layer that is cut off or that leaves the file system makes an image unknown: exit code 2, with the reason.
func TestVerifyHostileLayers(t *testing.T) {
	s := newScene(t, harness.V3)
	w := newWorkshop(s)
	args, words := []string{"verify", "--deep"}, []string(nil)
	for i, layer := range []images.Blob{w.layer(entries{"../../etc/passwd text"}), images.Archive([]byte("\x1f\x8b\x08\x00\x00\x00")), images.Archive(w.layer(entries{"app go arm64"}).Data[:900])} {
		config := ocispec.Image{Platform: arm64}
		config.RootFS.DiffIDs = []digest.Digest{layer.Descriptor.Digest}
		args = append(args, harness.Put(t, s.registry, s.repo, fmt.Sprint(i), images.Layered(config, layer)))
		words = append(words, "unknown: layer "+layer.Descriptor.Digest.String()+[]string{` has the entry "../../etc/passwd" outside the file system`, " ends too early to be unpacked", " ends too early to be unpacked"}[i])
	}
	s.ends(2, append(words, "could not be verified: "), args...)
}

// workshop makes images of packages and programs.
type workshop struct {
	*scene
	dir   string
	built map[string]string      // contents of programs that were compiled
	packs map[string][]byte      // archives of packages
	blobs map[string]images.Blob // layers by their entries
	sent  map[string]bool        // layers in the registry
}

func newWorkshop(s *scene) *workshop {
	return &workshop{s, s.TempDir(), map[string]string{}, map[string][]byte{}, map[string]images.Blob{}, map[string]bool{}}
}

// image returns an image that runs a command, whose words have spaces between them.
func (w *workshop) image(platform, command string, layers ...entries) images.Manifest {
	w.Helper()
	parts := strings.Split(platform+"/", "/")
	config := ocispec.Image{Platform: ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}}
	config.Config.Entrypoint = strings.Fields(command)
	if shell, script, ok := strings.Cut(command, " -c "); ok {
		config.Config.Entrypoint = []string{shell, "-c", strings.Trim(script, "'")}
	}
	if parts[0] == "linux" {
		config.Config.Env = []string{"PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	config.Config.WorkingDir = map[bool]string{true: `C:\`, false: "/"}[parts[0] == "windows"]
	var blobs []images.Blob
	for _, l := range layers {
		blobs = append(blobs, w.layer(l))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, w.layer(l).Descriptor.Digest)
	}
	m := images.Layered(config, blobs...)
	for i, b := range m.Blobs {
		if name := b.Descriptor.Digest.String(); w.sent[name] {
			m.Blobs[i].Data = nil
		} else {
			w.sent[name] = true
		}
	}
	return m
}

// layer returns the layer with these entries.
func (w *workshop) layer(l entries) images.Blob {
	w.Helper()
	key := strings.Join(l, "\n")
	if blob, ok := w.blobs[key]; ok {
		return blob
	}
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, entry := range l {
		name, rest, _ := strings.Cut(entry, " ")
		if i := strings.Index(entry, ".exe "); strings.HasPrefix(entry, "Files/") && i < 0 { // a name with a space
			i = strings.Index(entry, ".dll ")
			name, rest = entry[:i+4], entry[i+5:]
		}
		h := tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}
		kind, target, _ := strings.Cut(rest, " ")
		content := ""
		switch {
		case name == "deb":
			w.addPackage(archive, strings.Fields(rest))
			continue
		case kind == "->":
			h.Typeflag, h.Linkname = tar.TypeSymlink, target
		case kind == "=>":
			h.Typeflag, h.Linkname = tar.TypeLink, target
		case rest == "" && !strings.HasPrefix(path.Base(name), ".wh."):
			h.Typeflag = tar.TypeDir
		case rest != "":
			content = w.content(kind, target)
		}
		h.Size = int64(len(content))
		w.must(archive.WriteHeader(&h))
		_, err := io.WriteString(archive, content)
		w.must(err)
	}
	w.must(archive.Close())
	w.blobs[key] = images.Archive(out.Bytes())
	return w.blobs[key]
}

// addPackage adds the files of a Debian package, an architecture and a directory, without most of the large ones that
// are no programs, and without the 250 character sets of libc6.
func (w *workshop) addPackage(archive *tar.Writer, words []string) {
	w.Helper()
	name := words[0] + "_" + words[1] + ".deb"
	if w.packs[name] == nil {
		file := harness.Package(w.T, name)
		out, err := exec.Command("dpkg-deb", "--fsys-tarfile", file).Output()
		w.must(err)
		w.packs[name] = out
	}
	source := tar.NewReader(bytes.NewReader(w.packs[name]))
	for {
		h, err := source.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		w.must(err)
		if strings.Contains(h.Name, "/share/") || strings.Contains(h.Name, "/gconv/") {
			continue
		}
		if len(words) > 2 {
			h.Name = words[2] + "/" + strings.TrimPrefix(h.Name, "./")
		}
		w.must(archive.WriteHeader(h))
		_, err = io.Copy(archive, source)
		w.must(err)
	}
}

// content returns the content of a file of a kind: "go ARCH" is a compiled program, "c" and "c-static" are ones for
// this machine; the others only have the right headers: "elf", "lib", "object" and "pe" with an architecture, "linked"
// and "far" also with an interpreter, "net" (a .NET assembly) and "ready" (one that is compiled for Linux).
func (w *workshop) content(kind, rest string) string {
	w.Helper()
	arch, interpreter, _ := strings.Cut(rest, " ")
	switch kind {
	case "go", "c", "c-static":
		return w.compiled(kind, arch)
	case "elf":
		return elfFile(arch, elf.ET_EXEC, "", 0)
	case "lib":
		return elfFile(arch, elf.ET_DYN, "", 0)
	case "object":
		return elfFile(arch, elf.ET_REL, "", 0)
	case "linked":
		return elfFile(arch, elf.ET_DYN, interpreter, 568)
	case "far":
		return elfFile(arch, elf.ET_DYN, interpreter, 1<<20)
	case "pe":
		return peFile(peMachines[arch], false)
	case "net":
		return peFile(max(peMachines[arch], pe.IMAGE_FILE_MACHINE_I386), true)
	case "ready":
		return peFile(peMachines[arch]^0x7b79, true)
	case "macho":
		return "\xcf\xfa\xed\xfe\x07\x00\x00\x01" + strings.Repeat("\x00", 24)
	case "wasm":
		return "\x00asm\x01\x00\x00\x00"
	case "script":
		return rest + "\nexit\n"
	case "text":
		return "some text\n"
	}
	w.Fatalf("got the kind %q of a file, want a known one", kind)
	return ""
}

// compiled returns a program of a language.
func (w *workshop) compiled(language, arch string) string {
	w.Helper()
	key := language + arch
	if w.built[key] == "" {
		source, file := filepath.Join(w.dir, "main.go"), filepath.Join(w.dir, key)
		cmd := exec.Command("go", "build", "-o", file, "-ldflags=-s -w", source)
		code := "package main\n\nfunc main() {}\n"
		if language != "go" {
			source = filepath.Join(w.dir, "main.c")
			code = "int main(void) { return 0; }\n"
			cmd = exec.Command("gcc", "-o", file, source)
			if language == "c-static" {
				cmd.Args = append(cmd.Args, "-static")
			}
		}
		w.must(os.WriteFile(source, []byte(code), 0o600))
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=", "GO111MODULE=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			w.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		program, err := os.ReadFile(file)
		w.must(err)
		w.built[key] = string(program)
	}
	return w.built[key]
}

var elfMachines = map[string]struct {
	machine elf.Machine
	class   elf.Class
	order   binary.ByteOrder
}{
	"386": {elf.EM_386, elf.ELFCLASS32, binary.LittleEndian}, "amd64": {elf.EM_X86_64, elf.ELFCLASS64, binary.LittleEndian},
	"arm": {elf.EM_ARM, elf.ELFCLASS32, binary.LittleEndian}, "arm64": {elf.EM_AARCH64, elf.ELFCLASS64, binary.LittleEndian},
	"s390x": {elf.EM_S390, elf.ELFCLASS64, binary.BigEndian}, "riscv64": {elf.EM_RISCV, elf.ELFCLASS64, binary.LittleEndian},
	"ppc64": {elf.EM_PPC64, elf.ELFCLASS64, binary.BigEndian}, "ppc64le": {elf.EM_PPC64, elf.ELFCLASS64, binary.LittleEndian},
	"bpf": {elf.EM_BPF, elf.ELFCLASS64, binary.LittleEndian}, "cuda": {elf.EM_CUDA, elf.ELFCLASS64, binary.LittleEndian},
}

// elfFile returns an ELF file with headers, and with an interpreter at an offset unless that is "".
func elfFile(arch string, t elf.Type, interpreter string, at int) string {
	m := elfMachines[arch]
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(m.class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if m.order == binary.BigEndian {
		ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	var header, segment any = elf.Header64{Ident: ident, Type: uint16(t), Machine: uint16(m.machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1},
		elf.Prog64{Type: uint32(elf.PT_INTERP), Off: uint64(at), Filesz: uint64(len(interpreter) + 1)}
	if m.class == elf.ELFCLASS32 {
		header, segment = elf.Header32{Ident: ident, Type: uint16(t), Machine: uint16(m.machine), Version: 1, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 1},
			elf.Prog32{Type: uint32(elf.PT_INTERP), Off: uint32(at), Filesz: uint32(len(interpreter) + 1)}
	}
	if interpreter == "" {
		segment = make([]byte, binary.Size(segment))
	}
	var out bytes.Buffer
	for _, part := range []any{header, segment} {
		_ = binary.Write(&out, m.order, part) // a buffer cannot fail
	}
	if n := at - out.Len(); n > 0 {
		out.Write(make([]byte, n))
	}
	return out.String() + interpreter + "\x00"
}

var peMachines = map[string]uint16{"386": pe.IMAGE_FILE_MACHINE_I386, "amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64}

// peFile returns a PE file with headers.
func peFile(machine uint16, managed bool) string {
	header := pe.OptionalHeader64{Magic: 0x20b, NumberOfRvaAndSizes: 16}
	if managed {
		header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR] = pe.DataDirectory{VirtualAddress: 0x2008, Size: 72}
	}
	var out bytes.Buffer
	out.WriteString("MZ" + strings.Repeat("\x00", 0x3a) + "\x80\x00\x00\x00" + strings.Repeat("\x00", 0x40) + "PE\x00\x00")
	for _, part := range []any{pe.FileHeader{Machine: machine, SizeOfOptionalHeader: uint16(binary.Size(header))}, header} {
		_ = binary.Write(&out, binary.LittleEndian, part) // a buffer cannot fail
	}
	return out.String()
}
