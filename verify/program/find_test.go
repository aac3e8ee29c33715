package program

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// contents are contents of files, by their names in the entries of [archive].
var contents = map[string]string{
	"amd64":   string(elfHead(elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB)),
	"arm64":   string(elfHead(elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB)),
	"s390x":   string(elfHead(elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB)),
	"exe":     string(peHead(0x8664, 0x80)),
	"text":    "some text",
	"script":  "#!/bin/sh -e\nexec x\n",
	"python":  "#!/usr/bin/env\tpython3\n",
	"split":   "#! /usr/bin/env -S python3 -u\n",
	"loop":    "#!/loop\n",
	"nothing": "#!\n",

	"386":    string(elfHead(elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB)),
	"object": elfOf(elf.EM_AARCH64, elf.ET_REL),
	"bpf":    elfOf(elf.EM_BPF, elf.ET_EXEC),
	"macho":  "\xcf\xfa\xed\xfe\x0c\x00\x00\x01",
	"dll":    peFile(0x8664, true, false),
	"dll64":  peFile(0xaa64, true, false),
	"net":    peFile(0x8664, true, true),
	"linked": string(elfNaming(elf.EM_AARCH64, "/lib/ld-linux-aarch64.so.1", 300)),
	"beyond": string(elfNaming(elf.EM_AARCH64, "/lib/ld-linux-aarch64.so.1", headSize)),
}

// archive returns a tar with these entries: "PATH CONTENT" for a file, "PATH -> TARGET" for a symbolic link,
// "PATH => TARGET" for a hard link, "PATH/" for a directory, "PATH" for an empty file.
func archive(t testing.TB, entries ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, entry := range entries {
		name, rest, _ := strings.Cut(entry, " ")
		h := tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}
		content := contents[rest]
		kind, target, isLink := strings.Cut(rest, " ")
		switch {
		case isLink:
			h.Typeflag, h.Linkname = map[string]byte{"->": tar.TypeSymlink, "=>": tar.TypeLink}[kind], target
		case strings.HasSuffix(name, "/"):
			h.Typeflag = tar.TypeDir
		default:
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// layer returns a layer with these entries; without any, one that could not be read.
func layer(t testing.TB, windows bool, entries ...string) *Layer {
	t.Helper()
	if len(entries) == 0 {
		return nil
	}
	l, err := ReadLayer(bytes.NewReader(archive(t, entries...)), windows, NewBudget(1000))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// describe returns the result of Find as text: each path with its format and architecture, then those missing.
func describe(found []Found, missing []Missing) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Path+" "+string(f.Program.Format)+" "+f.Program.Arch)
	}
	for _, m := range missing {
		out = append(out, "but "+m.Reason)
	}
	return strings.Join(out, "; ")
}

func TestFind(t *testing.T) {
	l := func(entries ...string) []string { return entries }
	for name, tt := range map[string]struct {
		args   string
		layers [][]string
		want   string
	}{
		"absolute":                    {"/app -v", [][]string{l("app amd64")}, "/app ELF amd64"},
		"in PATH":                     {"app", [][]string{l("./usr/bin/app amd64", "sbin/app arm64")}, "/usr/bin/app ELF amd64"},
		"relative":                    {"./bin/app", [][]string{l("work/bin/app amd64")}, "/work/bin/app ELF amd64"},
		"above":                       {"../app", [][]string{l("app amd64")}, "/app ELF amd64"},
		"absent":                      {"/none", [][]string{l("app amd64")}, "but /none is not in the image"},
		"directory":                   {"/app", [][]string{l("app/")}, "but /app is not in the image"},
		"below a file":                {"/app/x", [][]string{l("app amd64", "app/x amd64")}, "but /app/x is not in the image"},
		"unknown format":              {"/app", [][]string{l("app text")}, "/app  ; but /app is a file of unknown format"},
		"symlink":                     {"/app", [][]string{l("app -> opt/app", "opt/app amd64")}, "/opt/app ELF amd64"},
		"symlink to directory":        {"/bin/app", [][]string{l("bin -> /usr/bin", "usr/bin/app -> ../lib/app", "usr/lib/app amd64")}, "/usr/lib/app ELF amd64"},
		"symlink before target":       {"/app", [][]string{l("x amd64"), l("app -> /x")}, "/x ELF amd64"},
		"symlink above the root":      {"/app", [][]string{l("app -> ../../x", "x amd64")}, "/x ELF amd64"},
		"links in a circle":           {"/a", [][]string{l("a -> b", "b -> a")}, "but /a is not in the image"},
		"link to itself":              {"/a", [][]string{l("a => a")}, "but /a is not in the image"},
		"hard link":                   {"/app", [][]string{l("x/y amd64", "app => x/y")}, "/app ELF amd64"},
		"hard link to below":          {"/app", [][]string{l("x amd64"), l("app => x")}, "/app ELF amd64"},
		"hard link to a link":         {"/app", [][]string{l("x amd64", "y -> x", "app => y")}, "/x ELF amd64"},
		"later layer":                 {"/app", [][]string{l("app amd64"), l("app arm64")}, "/app ELF arm64"},
		"later entry":                 {"/app", [][]string{l("app amd64", "app arm64")}, "/app ELF arm64"},
		"whiteout":                    {"/app", [][]string{l("app amd64"), l(".wh.app")}, "but /app is not in the image"},
		"whiteout, then again":        {"/app", [][]string{l("app amd64"), l(".wh.app"), l("app arm64")}, "/app ELF arm64"},
		"whiteout of a directory":     {"/x/app", [][]string{l("x/app amd64"), l(".wh.x")}, "but /x/app is not in the image"},
		"whiteout and new":            {"/x/app", [][]string{l("x/app amd64"), l("x/", ".wh.x", "x/y amd64")}, "but /x/app is not in the image"},
		"opaque":                      {"/x/y/app", [][]string{l("x/y/app amd64"), l("x/.wh..wh..opq")}, "but /x/y/app is not in the image"},
		"opaque, new before":          {"/x/app", [][]string{l("x/app amd64"), l("x/app arm64", "x/.wh..wh..opq")}, "/x/app ELF arm64"},
		"opaque root":                 {"/app", [][]string{l("app amd64"), l(".wh..wh..opq")}, "but /app is not in the image"},
		"AUFS metadata":               {"/app", [][]string{l("app amd64"), l(".wh..wh.plnk", ".wh..wh.aufs")}, "/app ELF amd64"},
		"directory for a file":        {"/x/app", [][]string{l("x/app amd64"), l("x text"), l("x/")}, "but /x/app is not in the image"},
		"directory for a link":        {"/x/app", [][]string{l("x -> y", "y/app amd64"), l("x/", "x/app arm64")}, "/x/app ELF arm64"},
		"unreadable layer below":      {"/app", [][]string{l(), l("app amd64")}, "/app ELF amd64"},
		"unreadable layer above":      {"/app", [][]string{l("app amd64"), l()}, "but /app may be in a layer that could not be read"},
		"script":                      {"/run", [][]string{l("run script", "bin/sh amd64")}, "/run script ; /bin/sh ELF amd64"},
		"script without shell":        {"/run", [][]string{l("run script")}, "/run script ; but /bin/sh is not in the image"},
		"script without interpreter":  {"/run", [][]string{l("run nothing")}, "/run script ; but /run does not name an interpreter"},
		"env":                         {"/run", [][]string{l("run python", "usr/bin/env amd64", "bin/python3 arm64")}, "/run script ; /usr/bin/env ELF amd64; /bin/python3 ELF arm64"},
		"env -S":                      {"/run", [][]string{l("run split", "usr/bin/env amd64", "bin/python3 arm64")}, "/run script ; /usr/bin/env ELF amd64; /bin/python3 ELF arm64"},
		"env with values":             {"env -i -u X A=b /app x", [][]string{l("bin/env amd64", "app arm64")}, "/bin/env ELF amd64; /app ELF arm64"},
		"env with only options":       {"env -u", [][]string{l("bin/env amd64")}, "/bin/env ELF amd64"},
		"script by itself":            {"/loop", [][]string{l("loop loop")}, strings.Repeat("/loop script ; ", maxPrograms) + "but 8 programs run one another before /loop"},
		"shell":                       {"/bin/sh|-c|exec A=b app --flag $X", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64; /bin/app ELF arm64"},
		"shell with options":          {"bash|-euo|pipefail|-c|app", [][]string{l("bin/bash amd64", "bin/app arm64")}, "/bin/bash ELF amd64; /bin/app ELF arm64"},
		"shell with a builtin":        {"/bin/sh|-c|cd /x && app", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64"},
		"shell with a variable":       {"/bin/sh|-c|$APP", [][]string{l("bin/sh amd64")}, "/bin/sh ELF amd64"},
		"shell with a script":         {"/bin/sh /app -c app", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64"},
		"shell with quotes":           {`/bin/sh|-c|'/opt/my app'/app "--name=$X"`, [][]string{l("bin/sh amd64")}, "/bin/sh ELF amd64"},
		"shell with a quoted program": {`/bin/sh|-c|exec "/bin/"'app' -x; other`, [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64; /bin/app ELF arm64"},
		"shell with an operator":      {`/bin/sh|-c|app&&other`, [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64; /bin/app ELF arm64"},
		"shell with a syntax error":   {`/bin/sh|-c|app "`, [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64; /bin/app ELF arm64"},
		"shell with a substitution":   {"/bin/sh|-c|$(app)", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64"},
		"shell with a comment":        {"/bin/sh|-c|# app\napp", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64; /bin/app ELF arm64"},
		"busybox":                     {"busybox|sh|-c|app", [][]string{l("bin/busybox amd64", "bin/app arm64")}, "/bin/busybox ELF amd64; /bin/app ELF arm64"},
		"tini":                        {"/tini -g -- /bin/sh -c app", [][]string{l("tini amd64", "bin/sh arm64", "bin/app s390x")}, "/tini ELF amd64; /bin/sh ELF arm64; /bin/app ELF s390x"},
		"dumb-init":                   {"dumb-init app", [][]string{l("bin/dumb-init amd64", "bin/app arm64")}, "/bin/dumb-init ELF amd64; /bin/app ELF arm64"},
		"dumb-init, options":          {"dumb-init -v app", [][]string{l("bin/dumb-init amd64")}, "/bin/dumb-init ELF amd64"},
		"no command":                  {"", [][]string{l("app amd64")}, "but the image has no command"},
	} {
		t.Run(name, func(t *testing.T) {
			var layers []*Layer
			for _, entries := range tt.layers {
				layers = append(layers, layer(t, false, entries...))
			}
			args := strings.FieldsFunc(tt.args, func(r rune) bool { return r == '|' || r == ' ' && !strings.Contains(tt.args, "|") })
			if got := describe(Find(t.Context(), Command{OS: "linux", Args: args, Dir: "/work"}, layers)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestFindByEnvironment(t *testing.T) {
	layers := []*Layer{layer(t, false, "opt/app amd64", "work/bin/app arm64", "work/app s390x")}
	for path, want := range map[string]string{
		"/none:/opt": "/opt/app ELF amd64", "bin:/opt": "/work/bin/app ELF arm64", "/none": "but app is not in the image", "/none:": "/work/app ELF s390x", "": "but app is not in the image",
	} {
		c := Command{OS: "linux", Args: []string{"app"}, Dir: "/work", Env: []string{"PATH=/opt", "X", "PATH=" + path}}
		if got := describe(Find(t.Context(), c, layers)); got != want {
			t.Errorf("PATH %q: got %s, want %s", path, got, want)
		}
	}
}

func TestFindOnWindows(t *testing.T) {
	entries := []string{"Files/", "Files/App/App.exe exe", "Hives/x text", `Files/Windows/System32/cmd.exe exe`, "Files/App/start.bat text",
		`Files/link.exe -> C:\App\App.exe`, "Files/hard.exe => Files/App/App.exe", "Files/Old/app.exe exe"}
	for name, tt := range map[string]struct {
		c    Command
		want string
	}{
		"drive":        {Command{Args: []string{`C:\app\APP.EXE`}}, "/app/app.exe PE amd64"},
		"extension":    {Command{Args: []string{`c:\app\app`}}, "/app/app.exe PE amd64"},
		"PATH":         {Command{Args: []string{"app"}, Env: []string{`Path=C:\none;C:\App`}}, "/app/app.exe PE amd64"},
		"batch file":   {Command{Args: []string{`\app\start.bat`}}, "/app/start.bat  ; but /app/start.bat is a file of unknown format"},
		"directory":    {Command{Args: []string{`app.exe`}, Dir: `C:\App`, Env: []string{"PATH=."}}, "/app/app.exe PE amd64"},
		"relative":     {Command{Args: []string{`.\app.exe`}, Dir: `C:\App`}, "/app/app.exe PE amd64"},
		"link":         {Command{Args: []string{`C:\link.exe`}}, "/app/app.exe PE amd64"},
		"hard link":    {Command{Args: []string{`C:\hard.exe`}}, "/hard.exe PE amd64"},
		"cmd":          {Command{Args: []string{"cmd", "/S", "/C", `C:\App\App.exe -x`}}, "/windows/system32/cmd.exe PE amd64; /app/app.exe PE amd64"},
		"command line": {Command{Args: []string{`"C:\App\App.exe" -x`}, Escaped: true}, "/app/app.exe PE amd64"},
		"whiteout":     {Command{Args: []string{`C:\old\app`}}, `but C:\old\app may be in a layer that could not be read`},
		"registry":     {Command{Args: []string{`C:\x`}}, `but C:\x may be in a layer that could not be read`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.c.OS = "windows"
			layers := []*Layer{nil, layer(t, true, entries...), layer(t, true, "Files/OLD/.wh.APP.exe")}
			if got := describe(Find(t.Context(), tt.c, layers)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			want := strings.ReplaceAll(tt.want, "may be in a layer that could not be read", "is not in the image")
			if got := describe(Find(t.Context(), tt.c, layers[1:])); got != want {
				t.Errorf("with all layers: got %s, want %s", got, want)
			}
		})
	}
}

func TestBudget(t *testing.T) {
	b := NewBudget(5)
	l, err := ReadLayer(bytes.NewReader(archive(t, "a amd64", "b amd64")), false, b)
	if err != nil {
		t.Fatal(err)
	}
	for name, entries := range map[string][]string{
		"files":             {"c", "d", "e"},
		"long link":         {"c -> " + strings.Repeat("x", 200)},
		"links at one path": strings.Split(strings.Repeat("c -> x,", 5)+"c", ","),
	} {
		if _, err := ReadLayer(bytes.NewReader(archive(t, entries...)), false, b); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: got error %v, want %v", name, err, ErrLimit)
		}
	}
	l.Release()
	if got := b.left.Load(); got != 5 {
		t.Errorf("got a budget of %d after the release, want 5", got)
	}
	if _, err := ReadLayer(bytes.NewReader(archive(t, "c -> "+strings.Repeat("x", maxPath+1))), false, NewBudget(1000)); err == nil || errors.Is(err, ErrLimit) {
		t.Errorf("link longer than a path: got error %v, want another than %v", err, ErrLimit)
	}
}

// Lookups are bounded, however many layers, directories and search paths there are.
func TestLookupsAreBounded(t *testing.T) {
	layers := make([]*Layer, 5000)
	one := layer(t, false, "x amd64")
	for i := range layers {
		layers[i] = one
	}
	const want = "the search for the command takes too long"
	for name, tt := range map[string]struct {
		c      Command
		layers []*Layer
	}{
		"directories":       {Command{OS: "linux", Args: []string{"/" + strings.Repeat("a/", 2000) + "b"}}, layers},
		"search paths":      {Command{OS: "windows", Args: []string{"a"}, Env: []string{"PATH=" + strings.Repeat("b;", 500_000)}}, nil},
		"long search paths": {Command{OS: "linux", Args: []string{"a"}, Dir: strings.Repeat("/", 1_000_000), Env: []string{"PATH=" + strings.Repeat(":", 1_000_000)}}, nil},
	} {
		if _, got := Find(t.Context(), tt.c, tt.layers); len(got) != 1 || got[0] != (Missing{Reason: want}) {
			t.Errorf("%s: got %v, want %q", name, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, got := Find(ctx, Command{OS: "linux", Args: []string{"a"}}, nil); len(got) != 1 || got[0] != (Missing{Reason: want}) {
		t.Errorf("interrupted: got %v, want %q", got, want)
	}
}

// Only the first arguments of a command are used, and only the first words of a text.
func TestArgumentsAreBounded(t *testing.T) {
	repeat := func(word string) []string { return append(slices.Repeat([]string{word}, maxArgs), "app") }
	layers := []*Layer{layer(t, false, "bin/env amd64", "bin/sh amd64", "bin/app amd64")}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"name":        {[]string{strings.Repeat("x", maxPath+1)}, "but the name of a command has 4097 bytes, more than a path can have"},
		"path":        {[]string{"/app" + strings.Repeat("/", maxPath)}, "but the name of a command has 4100 bytes, more than a path can have"},
		"env":         {append([]string{"env"}, repeat("-S")...), "/bin/env ELF amd64"},
		"words":       {[]string{"env", "-S", strings.Join(repeat("-i"), " ")}, "/bin/env ELF amd64"},
		"split again": {[]string{"env", "-S", "-S -S " + strings.Join(repeat("-S"), " ")}, "/bin/env ELF amd64"},
		"shell":       {[]string{"sh", "-c", "env " + strings.Join(repeat("-i"), " ")}, "/bin/sh ELF amd64; /bin/env ELF amd64"},
		"nested":      {[]string{"sh", "-c", strings.Repeat("$(", 1<<20)}, "/bin/sh ELF amd64"},
		"quoted":      {[]string{"sh", "-c", strings.Repeat(`"$(`, 1<<20)}, "/bin/sh ELF amd64"},
		"arithmetic":  {[]string{"sh", "-c", "$((" + strings.Repeat("(", 1<<20)}, "/bin/sh ELF amd64"},
		"parameters":  {[]string{"sh", "-c", strings.Repeat("${a-", 1<<20)}, "/bin/sh ELF amd64"},
	} {
		if got := describe(Find(t.Context(), Command{OS: "linux", Args: tt.args}, layers)); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
	if got := len(windowsWords(strings.Join(repeat("a"), " "))); got != maxArgs {
		t.Errorf("got %d words of a Windows command line, want %d", got, maxArgs)
	}
}

// Reading any layer ends, within its budget.
func FuzzLayer(f *testing.F) {
	f.Add(archive(f, "app -> x", "x => app", ".wh.y", "z/.wh..wh..opq", "z/app amd64"), "app")
	f.Add(archive(f, "run script", "bin/sh python", "usr/bin/env loop"), "/run")
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		for _, os := range []string{"linux", "windows"} {
			b := NewBudget(100)
			l, err := ReadLayer(bytes.NewReader(content), os == "windows", b)
			if err != nil {
				continue
			}
			if len(l.files) > 100 || b.left.Load() < 0 {
				t.Errorf("got %d files and a budget of %d, want at most 100 files", len(l.files), b.left.Load())
			}
			found, missing := Find(t.Context(), Command{OS: os, Args: []string{name}, Env: []string{"PATH=/:bin"}}, []*Layer{nil, l, l})
			if len(found) > 2*maxPrograms || len(found) == 0 && len(missing) == 0 {
				t.Errorf("got %d programs and %v missing, want 1 to %d or a reason", len(found), missing, 2*maxPrograms)
			}
			if got, err := Count(t.Context(), Command{OS: os}, "amd64", []*Layer{l, l}); err != nil || got.System.Counted+got.Elsewhere.Counted > len(l.named) {
				t.Errorf("got %+v, error %v, want at most %d programs", got, err, len(l.named))
			}
			l.Release()
		}
	})
}
