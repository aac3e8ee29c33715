package commands

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/repository"
)

// A record is appended to, unless it does not end like a record.
func TestRecordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	for range 2 {
		record, err := openRecord(hostFiles{}, path)
		if err != nil {
			t.Fatal(err)
		}
		raw := []byte("{\n}")
		if err := record.Add(repository.Recorded{Name: "example.com/app:1", Digest: digest.FromBytes(raw), MediaType: "m", Manifest: raw}); err != nil {
			t.Fatal(err)
		}
		record.Close()
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := repository.ReadRecorded(file); err != nil || len(got) != 2 || string(got[1].Manifest) != "{\n}" {
		t.Errorf("got %v and error %v, want two records", got, err)
	}
	if err := os.WriteFile(path, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openRecord(hostFiles{}, path); !errdefs.IsInvalidArgument(err) {
		t.Errorf("got error %v, want errdefs.ErrInvalidArgument", err)
	}
	if _, err := openRecord(hostFiles{}, filepath.Join(path, "absent")); err == nil {
		t.Error("got no error for a folder that does not exist, want one before the push")
	}
}
