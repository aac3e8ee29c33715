package workspace

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
)

func TestIgnored(t *testing.T) {
	for name, tt := range map[string]struct {
		patterns, want string
		keep           []string
	}{
		"none":             {"# nothing\n\n", "", nil},
		"file":             {"a\n", "a", nil},
		"everywhere":       {"**/.env\n", "d/.env e/f/.env", nil},
		"folder":           {"d\n/e/f\n", "d e/f", nil},
		"exception":        {"e\n!e/f/x\n", "e/f/.env e/y", nil},
		"all but":          {"*\n!a\n", "d e", nil},
		"all of a folder":  {"e/*\n!z\n", "e/f e/y", nil},
		"dockerfile":       {"*\n", "a e", []string{"d/.env", "nowhere/Dockerfile"}},
		"dockerfile below": {"*\n", "a d e/f/.env e/y", []string{"e/f/x"}},
	} {
		dir := t.TempDir()
		change(t, dir, "a x", "d/", "d/.env x", "e/", "e/y x", "e/f/", "e/f/x x", "e/f/.env x")
		fakes.Write(t, filepath.Join(dir, ignoreName), tt.patterns)
		f, err := openFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := f.ignored(t.Context(), tt.keep)
		if slices.Sort(got); err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %q and error %v, want %s", name, got, err, tt.want)
		}
	}
}

// No step has what .dockerignore names, except builds of the whole context, which obey that file themselves. It is noted once.
func TestIgnoredFilesAreHidden(t *testing.T) {
	s := newTestWorkspace(t, "file x", ".env x", "d/", "d/.env x", ".dockerignore **/.env")
	notes := 0
	s.Note = func(string) { notes++ }
	if dir, _, err := s.Host(t.Context(), Builds); err != nil || dir != s.context {
		t.Errorf("got folder %s and error %v for a build, want the context", dir, err)
	}
	for _, location := range []string{"reader", "a", "local", "host"} {
		s.want(location, ".dockerignore -rw-r--r-- **/.env", "d drwxr-xr-x", "file -rw-r--r-- x")
	}
	if notes != 1 {
		t.Errorf("got %d notes, want 1", notes)
	}
	// A file that cannot be read is not taken for none.
	for _, item := range []string{".dockerignore/", ".dockerignore -> /etc/passwd", ".dockerignore ["} {
		s = newTestWorkspace(t, item)
		if _, _, err := s.tryStart("a"); err == nil || !strings.Contains(err.Error(), "finding what .dockerignore hides in "+s.context) {
			t.Errorf("%s: got error %v, want one that names the folder", item, err)
		}
	}
}
