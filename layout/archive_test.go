package layout

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// A small archive cannot fill the disk, and what was unpacked of it is removed.
func TestGrowth(t *testing.T) {
	temporary := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "a.tar.gz")
	if err := os.WriteFile(name, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{1 << 10, 1<<20 - 1, 1 << 20} {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		a := &archive{file: file}
		err = a.spool(t.Context(), temporary, limit)
		if fits := limit == 1<<20; fits != (err == nil) || !fits && (!strings.Contains(err.Error(), "more than 100 times as large") || manifest.Hint(err) == "") {
			t.Errorf("at most %d bytes: got the error %v", limit, err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("got %v (%v) left behind, want nothing", left, err)
	}
}
