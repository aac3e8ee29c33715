package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// missed returns missing programs as text, those that are absent with a mark.
func missed(missing []Missing) string {
	var out []string
	for _, m := range missing {
		text := m.Reason
		if m.Absent {
			text = "absent: " + text
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// What the image cannot run without is absent; what may exist elsewhere, or need not be a file, is not.
func TestFindMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		args   string
		layers [][]string
		want   string
	}{
		"program":               {"app", [][]string{{"x text"}}, "absent: app is not in the image"},
		"loader":                {"/app", [][]string{{"app linked"}}, "absent: /lib/ld-linux-aarch64.so.1, the interpreter of /app, is not in the image"},
		"loader by a link":      {"/app", [][]string{{"app linked", "lib -> usr/lib"}, {"usr/lib/ld-linux-aarch64.so.1 arm64"}}, ""},
		"loader below a link":   {"/app", [][]string{{"app linked", "lib -> usr/lib"}, {"lib/ld-linux-aarch64.so.1 arm64"}}, ""},
		"loader removed":        {"/app", [][]string{{"app linked", "lib/ld-linux-aarch64.so.1 arm64"}, {".wh.lib"}}, "absent: /lib/ld-linux-aarch64.so.1, the interpreter of /app, is not in the image"},
		"loader may be there":   {"/app", [][]string{nil, {"app linked"}}, "/lib/ld-linux-aarch64.so.1, the interpreter of /app, may be in a layer that could not be read"},
		"loader beyond":         {"/app", [][]string{{"app beyond"}}, "the interpreter of /app is not in its first 4096 bytes"},
		"shell":                 {"/bin/sh -c true", [][]string{{"app amd64"}}, "absent: /bin/sh is not in the image"},
		"interpreter":           {"/run", [][]string{{"run script"}}, "absent: /bin/sh is not in the image"},
		"env":                   {"/run", [][]string{{"run python", "usr/bin/env amd64"}}, "absent: python3 is not in the image"},
		"env with a variable":   {"env PATH=/opt app", [][]string{{"bin/env amd64"}}, "app is not in the image"},
		"env with an option":    {"env --chdir /opt app", [][]string{{"bin/env amd64"}}, "/opt is not in the image"},
		"init":                  {"tini -- app", [][]string{{"bin/tini amd64"}}, "absent: app is not in the image"},
		"init, then dashes":     {"tini app -- x", [][]string{{"bin/tini amd64", "bin/app amd64"}}, ""},
		"init with a value":     {"tini -p SIGTERM -- app -- x", [][]string{{"bin/tini amd64", "bin/app amd64"}}, ""},
		"init with a command":   {"dumb-init -v app -- x", [][]string{{"bin/dumb-init amd64", "bin/app amd64"}}, ""},
		"mounted at run time":   {"/proc/self/exe x", [][]string{{"app amd64"}}, "/proc/self/exe would be in a directory that containers mount"},
		"link to a mount":       {"/app", [][]string{{"app -> dev/app"}}, "/app would be in a directory that containers mount"},
		"volume":                {"/data/bin/app", [][]string{{"app amd64"}}, "/data/bin/app would be in a directory that containers mount"},
		"beside a volume":       {"/database/app", [][]string{{"app amd64"}}, "absent: /database/app is not in the image"},
		"shell builtin":         {"/bin/sh -c app", [][]string{{"bin/sh amd64"}}, ""},
		"hard link over layers": {"/app", [][]string{{"x amd64"}, {"app => x"}, {".wh.x"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var layers []*Layer
			for _, entries := range tt.layers {
				layers = append(layers, layer(t, false, entries...))
			}
			_, missing := Find(t.Context(), Command{OS: "linux", Args: strings.Fields(tt.args), Volumes: []string{"/", "/data/"}}, layers)
			if got := missed(missing); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// On Windows PATH may be a setting of the system, which no config has.
func TestFindMissingOnWindows(t *testing.T) {
	layers := []*Layer{layer(t, true, "Files/Windows/System32/WindowsPowerShell/v1.0/powershell.exe exe")}
	for arg, want := range map[string]string{
		"powershell": "", "app": "app is not in the image", `C:\app.exe`: `absent: C:\app.exe is not in the image`, `bin\app`: `absent: bin\app is not in the image`,
	} {
		_, missing := Find(t.Context(), Command{OS: "windows", Args: []string{arg}}, layers)
		if got := missed(missing); got != want {
			t.Errorf("%s: got %s, want %s", arg, got, want)
		}
	}
}

// counted returns counts as text: foreign of counted, the paths and the layers of the foreign ones.
func counted(c Counts) string {
	text := func(t Tally) string {
		out := fmt.Sprint(t.Foreign, "/", t.Counted)
		if t.Foreign > 0 {
			out += fmt.Sprintf(" %v%v%v", t.Arches, t.Paths, t.Layers)
		}
		return out
	}
	out := text(c.System) + ", " + text(c.Elsewhere)
	if c.Partial {
		out += ", partial"
	}
	return out
}

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		name   string
		layers [][]string
		want   string
	}{
		{"nothing", [][]string{{"x text", "run script"}}, "0/0, 0/0"},
		{"system", [][]string{{"bin/a arm64", "usr/bin/b amd64", "usr/local/sbin/c arm64", "lib/d.so arm64", "usr/lib64/e.so amd64"}}, "2/5 [amd64][/usr/lib64/e.so /usr/bin/b]map[0:2], 0/0"},
		{"PATH", [][]string{{"tools/a amd64", "link -> opt/dir", "opt/dir/b amd64", "opt/c amd64"}}, "2/2 [amd64][/tools/a /opt/dir/b]map[0:2], 1/1 [amd64][/opt/c]map[0:1]"},
		{"directories below", [][]string{{"usr/lib/x/a amd64", "usr/bin/x/a arm64"}}, "0/0, 1/2 [amd64][/usr/lib/x/a]map[0:1]"},
		{"not counted", [][]string{{"bin/a object", "bin/b bpf", "bin/c macho", "bin/d dll", "bin/e net", "bin/f text"}}, "0/0, 0/0"},
		{"compatible", [][]string{{"bin/a arm64"}}, "0/1, 0/0"},
		{"foreign libraries beside own", [][]string{{"usr/lib/aarch64-linux-gnu/a arm64", "usr/lib/x86_64-linux-gnu/a amd64", "usr/lib/x86_64-linux-gnu/b amd64"}}, "0/1, 2/2 [amd64][/usr/lib/x86_64-linux-gnu/a /usr/lib/x86_64-linux-gnu/b]map[0:2]"},
		{"only foreign libraries", [][]string{{"bin/a arm64", "lib/x86_64-linux-gnu/a amd64", "lib/x86_64-linux-gnu/b amd64"}}, "2/3 [amd64][/lib/x86_64-linux-gnu/a /lib/x86_64-linux-gnu/b]map[0:2], 0/0"},
		{"whiteout", [][]string{{"bin/a amd64", "bin/b amd64"}, {"bin/.wh.a"}}, "1/1 [amd64][/bin/b]map[0:1], 0/0"},
		{"whiteout of a directory", [][]string{{"opt/x/y/a amd64"}, {"opt/.wh.x"}}, "0/0, 0/0"},
		{"whiteout below", [][]string{{"bin/.wh.a"}, {"bin/a amd64"}}, "1/1 [amd64][/bin/a]map[1:1], 0/0"},
		{"whiteout in the same layer", [][]string{{"bin/a arm64"}, {"bin/.wh.a", "bin/a amd64"}}, "1/1 [amd64][/bin/a]map[1:1], 0/0"},
		{"opaque", [][]string{{"opt/x/a amd64"}, {"opt/b amd64", "opt/.wh..wh..opq"}}, "0/0, 1/1 [amd64][/opt/b]map[1:1]"},
		{"opaque root", [][]string{{"opt/x/a amd64"}, {".wh..wh..opq"}}, "0/0, 0/0"},
		{"replaced", [][]string{{"bin/a amd64"}, {"bin/a arm64"}}, "0/1, 0/0"},
		{"replaced by a text", [][]string{{"bin/a amd64"}, {"bin/a text"}}, "0/0, 0/0"},
		{"replaced by a directory", [][]string{{"bin/a amd64"}, {"bin/a/"}}, "0/0, 0/0"},
		{"directory replaced by a link", [][]string{{"bin/a amd64"}, {"bin -> usr/bin"}}, "0/0, 0/0"},
		{"twice in a layer", [][]string{{"bin/a amd64", "bin/a amd64"}}, "1/1 [amd64][/bin/a]map[0:1], 0/0"},
		{"hard links", [][]string{{"bin/a amd64", "bin/b => bin/a", "bin/c => bin/b"}}, "1/1 [amd64][/bin/a]map[0:1], 0/0"},
		{"hard link of a removed name", [][]string{{"bin/a amd64", "bin/b => bin/a"}, {"bin/.wh.a"}}, "1/1 [amd64][/bin/b]map[0:1], 0/0"},
		{"hard link, removed", [][]string{{"bin/a amd64", "bin/b => bin/a"}, {"bin/.wh.a", "bin/.wh.b"}}, "0/0, 0/0"},
		{"hard link of a text", [][]string{{"a text", "bin/b => a"}}, "0/0, 0/0"},
		{"symbolic links", [][]string{{"bin/a arm64", "bin/b -> a", "bin/c -> /opt/c", "opt/c amd64"}}, "0/1, 1/1 [amd64][/opt/c]map[0:1]"},
		{"unreadable layer", [][]string{{"bin/a amd64"}, nil, {"bin/b amd64"}}, "1/1 [amd64][/bin/b]map[2:1], 0/0, partial"},
		{"several architectures", [][]string{{"bin/a amd64", "bin/b s390x"}, {"bin/c 386"}}, "3/3 [amd64 s390x 386][/bin/a /bin/b /bin/c]map[0:2 1:1], 0/0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var layers []*Layer
			for _, entries := range tt.layers {
				layers = append(layers, layer(t, false, entries...))
			}
			got, err := Count(t.Context(), Command{OS: "linux", Env: []string{"PATH=/tools:/link:/bin"}}, "arm64", layers)
			if text := counted(got); err != nil || text != tt.want {
				t.Errorf("got %s, error %v, want %s", text, err, tt.want)
			}
		})
	}
}

// A PATH that takes long to look up is followed to its end.
func TestCountByLongPath(t *testing.T) {
	layers := []*Layer{layer(t, false, "link -> opt/dir", "opt/dir/a amd64")}
	env := "PATH=" + strings.Repeat(strings.Repeat("/a", maxPath/2)+":", 20) + "/link"
	got, err := Count(t.Context(), Command{OS: "linux", Env: []string{env}}, "arm64", layers)
	const want = "1/1 [amd64][/opt/dir/a]map[0:1], 0/0"
	if text := counted(got); err != nil || text != want {
		t.Errorf("got %s, error %v, want %s", text, err, want)
	}
}

func TestCountOnWindows(t *testing.T) {
	layers := []*Layer{layer(t, true, `Files/Windows/System32/a.dll dll64`, `Files\Windows\System32\b.dll dll`, "Files/App/c.dll dll", "Files/App/d.dll net", "Files/App/e amd64", "Hives/x dll")}
	got, err := Count(t.Context(), Command{OS: "windows", Env: []string{`PATH=C:\Apps`}}, "arm64", layers)
	const want = "1/2 [amd64][/windows/system32/b.dll]map[0:1], 1/1 [amd64][/app/c.dll]map[0:1]"
	if text := counted(got); err != nil || text != want {
		t.Errorf("got %s, error %v, want %s", text, err, want)
	}
	for _, os := range []string{"plan9", ""} {
		if got, err := Count(t.Context(), Command{OS: os}, "amd64", layers); err != nil || counted(got) != "0/0, 0/0" {
			t.Errorf("%q: got %+v, error %v, want nothing", os, got, err)
		}
	}
}

// Only the first paths are kept, whatever groups they are of.
func TestTallyIsBounded(t *testing.T) {
	var entries []string
	for i := range 30 {
		entries = append(entries, fmt.Sprintf("bin/a%d amd64", i), fmt.Sprintf("lib/a%d amd64", i))
	}
	got, err := Count(t.Context(), Command{OS: "linux"}, "arm64", []*Layer{layer(t, false, entries...)})
	if err != nil || got.System.Foreign != 60 || len(got.System.Paths) != maxListed || len(got.System.Layers) != 1 {
		t.Errorf("got %+v, error %v, want 60 programs, %d of them with paths", got, err, maxListed)
	}
}

// The work and the memory of a count are bounded, however deep the directories are and however many layers there are.
func TestCountIsBounded(t *testing.T) {
	var entries []string
	for i := range 1000 {
		entries = append(entries, fmt.Sprintf("%d/%sx amd64", i, strings.Repeat("a/", 150)))
	}
	b := NewBudget(1 << 20)
	deep, err := ReadLayer(bytes.NewReader(archive(t, entries...)), false, b)
	if err != nil {
		t.Fatal(err)
	}
	entries = nil
	for i := range 300 {
		entries = append(entries, fmt.Sprintf("bin/%d amd64", i))
	}
	wide := append([]*Layer{layer(t, false, entries...)}, slices.Repeat([]*Layer{layer(t, false, "x text")}, 200_000)...)
	for name, layers := range map[string][]*Layer{"directories": {deep}, "layers": wide} {
		if _, err := Count(t.Context(), Command{OS: "linux"}, "amd64", layers); !errors.Is(err, ErrEffort) {
			t.Errorf("%s: got error %v, want %v", name, err, ErrEffort)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Count(ctx, Command{OS: "linux"}, "amd64", wide[:1]); !errors.Is(err, ErrEffort) {
		t.Errorf("interrupted: got error %v, want %v", err, ErrEffort)
	}
}

// The names of programs are part of the budget, and names that are longer than paths are not kept.
func TestNamesAreBounded(t *testing.T) {
	long := strings.Repeat("x", 3200)
	if _, err := ReadLayer(bytes.NewReader(archive(t, long+" amd64")), false, NewBudget(50)); !errors.Is(err, ErrLimit) {
		t.Errorf("got error %v for a program with a long name, want %v", err, ErrLimit)
	}
	if _, err := ReadLayer(bytes.NewReader(archive(t, long+" text")), false, NewBudget(50)); err != nil {
		t.Errorf("got error %v for a text with a long name, want none", err)
	}
	if l := layer(t, false, strings.Repeat("x", maxPath+1)+" amd64"); len(l.named) != 0 {
		t.Errorf("got %d names, want none that is longer than a path", len(l.named))
	}
}

func TestOutside(t *testing.T) {
	for entry, want := range map[string]string{
		"a/../../x text": "a/../../x", "../x text": "../x", "/../x text": "/../x", "../": "../", "a/../x text": "", "..x text": "", "/x text": "", "x => ../y": "x",
		"x -> ../y": "", "../.wh.x": "../.wh.x",
	} {
		if got := layer(t, false, entry).Outside(); got != want {
			t.Errorf("%s: got %q, want %q", entry, got, want)
		}
	}
	if got := layer(t, true, `Files\..\..\x text`).Outside(); got != `Files\..\..\x` {
		t.Errorf("got %q on Windows, want the name with backslashes", got)
	}
}
