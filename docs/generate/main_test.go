package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The pages in docs/ are those that the commands give.
func TestPagesAreCurrent(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"reference", "man"} {
		want, got := pages(t, filepath.Join(dir, folder)), pages(t, filepath.Join("..", folder))
		if len(want) < 10 {
			t.Errorf("only %d pages in %s", len(want), folder)
		}
		for name, text := range want {
			if got[name] != text {
				t.Errorf("docs/%s/%s differs from what the commands give: run 'make docs'", folder, name)
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				t.Errorf("docs/%s/%s is of no command: run 'make docs'", folder, name)
			}
		}
	}
	want, err := os.ReadFile(filepath.Join(dir, "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("../json.md"); err != nil || string(got) != string(want) {
		t.Errorf("docs/json.md (error %v) differs from what the types give: run 'make docs'", err)
	}
}

func pages(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name()] = string(text)
	}
	return out
}
