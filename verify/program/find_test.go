package program

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// contents are the files of the tests by a word for what they are.
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
}

// archive is a tar of entries: "PATH WHAT" for a file, "PATH -> TARGET" for a symbolic link, "PATH => TARGET"
// for a hard link, "PATH/" for a folder, "PATH" for an empty file.
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

// layer is a layer of entries; of none it is one that could not be read.
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

// shown is what was found: each path with its architecture.
func shown(found []Found, unfound string) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Path+" "+string(f.Program.Format)+" "+f.Program.Arch)
	}
	if unfound != "" {
		out = append(out, "but "+unfound)
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
		"absolute":               {"/app -v", [][]string{l("app amd64")}, "/app ELF amd64"},
		"in PATH":                {"app", [][]string{l("./usr/bin/app amd64", "sbin/app arm64")}, "/usr/bin/app ELF amd64"},
		"relative":               {"./bin/app", [][]string{l("work/bin/app amd64")}, "/work/bin/app ELF amd64"},
		"above":                  {"../app", [][]string{l("app amd64")}, "/app ELF amd64"},
		"absent":                 {"/none", [][]string{l("app amd64")}, "but /none is not in the image"},
		"folder":                 {"/app", [][]string{l("app/")}, "but /app is not in the image"},
		"below a file":           {"/app/x", [][]string{l("app amd64", "app/x amd64")}, "but /app/x is not in the image"},
		"unknown format":         {"/app", [][]string{l("app text")}, "/app  ; but /app is a file of unknown format"},
		"symlink":                {"/app", [][]string{l("app -> opt/app", "opt/app amd64")}, "/opt/app ELF amd64"},
		"symlink to folder":      {"/bin/app", [][]string{l("bin -> /usr/bin", "usr/bin/app -> ../lib/app", "usr/lib/app amd64")}, "/usr/lib/app ELF amd64"},
		"symlink before target":  {"/app", [][]string{l("x amd64"), l("app -> /x")}, "/x ELF amd64"},
		"symlink above the root": {"/app", [][]string{l("app -> ../../x", "x amd64")}, "/x ELF amd64"},
		"links in a circle":      {"/a", [][]string{l("a -> b", "b -> a")}, "but /a is not in the image"},
		"link to itself":         {"/a", [][]string{l("a => a")}, "but /a is not in the image"},
		"hard link":              {"/app", [][]string{l("x/y amd64", "app => x/y")}, "/app ELF amd64"},
		"hard link to below":     {"/app", [][]string{l("x amd64"), l("app => x")}, "/app ELF amd64"},
		"hard link to a link":    {"/app", [][]string{l("x amd64", "y -> x", "app => y")}, "/x ELF amd64"},
		"later layer":            {"/app", [][]string{l("app amd64"), l("app arm64")}, "/app ELF arm64"},
		"later entry":            {"/app", [][]string{l("app amd64", "app arm64")}, "/app ELF arm64"},
		"whiteout":               {"/app", [][]string{l("app amd64"), l(".wh.app")}, "but /app is not in the image"},
		"whiteout, then again":   {"/app", [][]string{l("app amd64"), l(".wh.app"), l("app arm64")}, "/app ELF arm64"},
		"whiteout of a folder":   {"/x/app", [][]string{l("x/app amd64"), l(".wh.x")}, "but /x/app is not in the image"},
		"whiteout and new":       {"/x/app", [][]string{l("x/app amd64"), l("x/", ".wh.x", "x/y amd64")}, "but /x/app is not in the image"},
		"opaque":                 {"/x/y/app", [][]string{l("x/y/app amd64"), l("x/.wh..wh..opq")}, "but /x/y/app is not in the image"},
		"opaque, new before":     {"/x/app", [][]string{l("x/app amd64"), l("x/app arm64", "x/.wh..wh..opq")}, "/x/app ELF arm64"},
		"opaque root":            {"/app", [][]string{l("app amd64"), l(".wh..wh..opq")}, "but /app is not in the image"},
		"what AUFS keeps":        {"/app", [][]string{l("app amd64"), l(".wh..wh.plnk", ".wh..wh.aufs")}, "/app ELF amd64"},
		"folder for a file":      {"/x/app", [][]string{l("x/app amd64"), l("x text"), l("x/")}, "but /x/app is not in the image"},
		"folder for a link":      {"/x/app", [][]string{l("x -> y", "y/app amd64"), l("x/", "x/app arm64")}, "/x/app ELF arm64"},
		"layer below unread":     {"/app", [][]string{l(), l("app amd64")}, "/app ELF amd64"},
		"layer above unread":     {"/app", [][]string{l("app amd64"), l()}, "but /app may be in a layer that could not be read"},
		"script":                 {"/run", [][]string{l("run script", "bin/sh amd64")}, "/run script ; /bin/sh ELF amd64"},
		"script without shell":   {"/run", [][]string{l("run script")}, "/run script ; but /bin/sh is not in the image"},
		"script without name":    {"/run", [][]string{l("run nothing")}, "/run script ; but /run names no interpreter"},
		"env":                    {"/run", [][]string{l("run python", "usr/bin/env amd64", "bin/python3 arm64")}, "/run script ; /usr/bin/env ELF amd64; /bin/python3 ELF arm64"},
		"env -S":                 {"/run", [][]string{l("run split", "usr/bin/env amd64", "bin/python3 arm64")}, "/run script ; /usr/bin/env ELF amd64; /bin/python3 ELF arm64"},
		"env with values":        {"env -i -u X A=b /app x", [][]string{l("bin/env amd64", "app arm64")}, "/bin/env ELF amd64; /app ELF arm64"},
		"env with options alone": {"env -u", [][]string{l("bin/env amd64")}, "/bin/env ELF amd64"},
		"script by itself":       {"/loop", [][]string{l("loop loop")}, strings.Repeat("/loop script ; ", maxSteps) + "but /loop is run by 8 others"},
		"shell":                  {"/bin/sh|-c|exec A=b app --flag $X", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64; /bin/app ELF arm64"},
		"shell with options":     {"bash|-euo|pipefail|-c|app", [][]string{l("bin/bash amd64", "bin/app arm64")}, "/bin/bash ELF amd64; /bin/app ELF arm64"},
		"shell with a builtin":   {"/bin/sh|-c|cd /x && app", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64"},
		"shell with a variable":  {"/bin/sh|-c|$APP", [][]string{l("bin/sh amd64")}, "/bin/sh ELF amd64"},
		"shell with a script":    {"/bin/sh /app -c app", [][]string{l("bin/sh amd64", "bin/app arm64")}, "/bin/sh ELF amd64"},
		"busybox":                {"busybox|sh|-c|app", [][]string{l("bin/busybox amd64", "bin/app arm64")}, "/bin/busybox ELF amd64; /bin/app ELF arm64"},
		"tini":                   {"/tini -g -- /bin/sh -c app", [][]string{l("tini amd64", "bin/sh arm64", "bin/app s390x")}, "/tini ELF amd64; /bin/sh ELF arm64; /bin/app ELF s390x"},
		"dumb-init":              {"dumb-init app", [][]string{l("bin/dumb-init amd64", "bin/app arm64")}, "/bin/dumb-init ELF amd64; /bin/app ELF arm64"},
		"dumb-init, options":     {"dumb-init -v app", [][]string{l("bin/dumb-init amd64")}, "/bin/dumb-init ELF amd64"},
		"no command":             {"", [][]string{l("app amd64")}, "but the image has no command"},
	} {
		t.Run(name, func(t *testing.T) {
			var layers []*Layer
			for _, entries := range tt.layers {
				layers = append(layers, layer(t, false, entries...))
			}
			args := strings.FieldsFunc(tt.args, func(r rune) bool { return r == '|' || r == ' ' && !strings.Contains(tt.args, "|") })
			if got := shown(Find(t.Context(), Command{OS: "linux", Args: args, Dir: "/work"}, layers)); got != tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestFindByEnvironment(t *testing.T) {
	layers := []*Layer{layer(t, false, "opt/app amd64", "work/bin/app arm64")}
	for path, want := range map[string]string{
		"/none:/opt": "/opt/app ELF amd64", "bin:/opt": "/work/bin/app ELF arm64", "/none": "but app is not in the image", "": "but app is not in the image",
	} {
		c := Command{OS: "linux", Args: []string{"app"}, Dir: "/work", Env: []string{"PATH=/opt", "X", "PATH=" + path}}
		if got := shown(Find(t.Context(), c, layers)); got != want {
			t.Errorf("%q: %s", path, got)
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
		"PATHEXT":      {Command{Args: []string{`\app\start`}, Env: []string{`PATHEXT=.EXE;.BAT`}}, "/app/start.bat  ; but /app/start.bat is a file of unknown format"},
		"folder":       {Command{Args: []string{`app.exe`}, Dir: `C:\App`, Env: []string{"PATH=."}}, "/app/app.exe PE amd64"},
		"relative":     {Command{Args: []string{`.\app.exe`}, Dir: `C:\App`}, "/app/app.exe PE amd64"},
		"link":         {Command{Args: []string{`C:\link.exe`}}, "/app/app.exe PE amd64"},
		"hard link":    {Command{Args: []string{`C:\hard.exe`}}, "/hard.exe PE amd64"},
		"cmd":          {Command{Args: []string{"cmd", "/S", "/C", `C:\App\App.exe -x`}}, "/windows/system32/cmd.exe PE amd64; /app/app.exe PE amd64"},
		"command line": {Command{Args: []string{`"C:\App\App.exe" -x`}, Escaped: true}, "/app/app.exe PE amd64"},
		"whiteout":     {Command{Args: []string{`C:\old\app.exe`}, Env: []string{"PATHEXT="}}, `but C:\old\app.exe may be in a layer that could not be read`},
		"registry":     {Command{Args: []string{`C:\x`}}, `but C:\x may be in a layer that could not be read`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.c.OS = "windows"
			layers := []*Layer{nil, layer(t, true, entries...), layer(t, true, "Files/OLD/.wh.APP.exe")}
			if got := shown(Find(t.Context(), tt.c, layers)); got != tt.want {
				t.Errorf("got %s", got)
			}
			want := strings.ReplaceAll(tt.want, "may be in a layer that could not be read", "is not in the image")
			if got := shown(Find(t.Context(), tt.c, layers[1:])); got != want {
				t.Errorf("with all layers: got %s", got)
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
	if _, err := ReadLayer(bytes.NewReader(archive(t, "c", "d", "e")), false, b); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := ReadLayer(bytes.NewReader(archive(t, "c -> "+strings.Repeat("x", 200))), false, b); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := ReadLayer(bytes.NewReader(archive(t, strings.Split(strings.Repeat("c -> x,", 5)+"c", ",")...)), false, b); !errors.Is(err, ErrLimit) {
		t.Errorf("many links at one path: %v", err)
	}
	l.Release()
	if left := b.left.Load(); left != 5 {
		t.Errorf("%d are left", left)
	}
	if _, err := ReadLayer(bytes.NewReader(archive(t, "c -> "+strings.Repeat("x", maxLink+1))), false, NewBudget(1000)); err == nil || errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

// What is looked up is bounded, however many layers, folders and places there are.
func TestLooksAreBounded(t *testing.T) {
	layers := make([]*Layer, 5000)
	one := layer(t, false, "x amd64")
	for i := range layers {
		layers[i] = one
	}
	for name, tt := range map[string]struct {
		c      Command
		layers []*Layer
	}{
		"folders": {Command{OS: "linux", Args: []string{"/" + strings.Repeat("a/", 2000) + "b"}}, layers},
		"places": {Command{OS: "windows", Args: []string{"a"}, Env: []string{
			"PATH=" + strings.Repeat("b;", 100_000), "PATHEXT=" + strings.Repeat(";", 100_000)}}, nil},
		"extensions":  {Command{OS: "windows", Args: []string{"./"}, Env: []string{"PATHEXT=" + strings.Repeat(";", 2_000_000)}}, nil},
		"long places": {Command{OS: "linux", Args: []string{"a"}, Dir: strings.Repeat("/", 1_000_000), Env: []string{"PATH=" + strings.Repeat(":", 1_000_000)}}, nil},
	} {
		if _, unfound := Find(t.Context(), tt.c, tt.layers); unfound != "looking for the command takes too long" {
			t.Errorf("%s: %s", name, unfound)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, unfound := Find(ctx, Command{OS: "linux", Args: []string{"a"}}, nil); unfound != "looking for the command takes too long" {
		t.Errorf("interrupted: %s", unfound)
	}
}

// What a command has too many of is not looked at.
func TestArgumentsAreBounded(t *testing.T) {
	repeat := func(word string) []string { return append(slices.Repeat([]string{word}, maxArgs), "app") }
	layers := []*Layer{layer(t, false, "bin/env amd64", "bin/sh amd64", "bin/app amd64")}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"name":        {[]string{strings.Repeat("x", maxLink+1)}, "but the name of a command has 4097 bytes, more than a path can have"},
		"path":        {[]string{"/app" + strings.Repeat("/", maxLink)}, "but the name of a command has 4100 bytes, more than a path can have"},
		"env":         {append([]string{"env"}, repeat("-S")...), "/bin/env ELF amd64"},
		"words":       {[]string{"env", "-S", strings.Join(repeat("-i"), " ")}, "/bin/env ELF amd64"},
		"split again": {[]string{"env", "-S", "-S -S " + strings.Join(repeat("-S"), " ")}, "/bin/env ELF amd64"},
		"shell":       {[]string{"sh", "-c", "env " + strings.Join(repeat("-i"), " ")}, "/bin/sh ELF amd64; /bin/env ELF amd64"},
	} {
		if got := shown(Find(t.Context(), Command{OS: "linux", Args: tt.args}, layers)); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if words := commandLine(strings.Join(repeat("a"), " ")); len(words) != maxArgs {
		t.Errorf("%d words", len(words))
	}
}

// Whatever a layer holds, reading it ends, within its budget.
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
				t.Errorf("%d files", len(l.files))
			}
			found, unfound := Find(t.Context(), Command{OS: os, Args: []string{name}, Env: []string{"PATH=/:bin"}}, []*Layer{nil, l, l})
			if len(found) > maxSteps || len(found) == 0 && unfound == "" {
				t.Error(fmt.Sprint(found, unfound))
			}
			l.Release()
		}
	})
}
