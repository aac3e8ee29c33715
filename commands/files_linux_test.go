package commands

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/repository"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// Commands in steps open only files of the workspace: no link that is planted there leads out of it, and no pipe or device
// is opened.
func TestFilesOfSteps(t *testing.T) {
	root, outside := openRoot(t), filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(root.Mkdir("sub", 0o755), root.Symlink(outside, "sub/link"), root.Symlink(filepath.Dir(outside), "sub/folder"),
		root.Symlink("/dev/null", "sub/device"), root.Symlink("inside", "sub/near"), syscall.Mkfifo(filepath.Join(root.Name(), "sub", "pipe"), 0o644)); err != nil {
		t.Fatal(err)
	}
	in := workspaceFiles{root, "sub"}
	for _, name := range []string{"link", "folder/outside", "device", "pipe", "../../outside", outside, "/dev/null"} {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_CREATE | os.O_APPEND | os.O_RDWR} {
			if file, err := in.OpenFile(name, flag, 0o644); err == nil {
				t.Errorf("%s: got the file %s, want an error", name, file.Name())
			}
		}
		if record, err := openRecord(in, name); err == nil {
			t.Errorf("--record %s: got the file %s, want an error", name, record.Name())
		}
	}
	for name, path := range map[string]string{"near": "sub/inside", "new": "sub/new", run.Workspace + "/top": "top", "../up": "up"} {
		record, err := openRecord(in, name)
		if err != nil {
			t.Fatalf("--record %s: %v", name, err)
		}
		if err := record.Add(repository.Recorded{Name: name}); err != nil {
			t.Error(err)
		}
		record.Close()
		if raw, err := root.ReadFile(path); err != nil || !strings.Contains(string(raw), name) {
			t.Errorf("--record %s: got %s with %q, error %v, want a record", name, path, raw, err)
		}
	}
	// The result of a push replaces a link.
	result, err := openResult(in, "link")
	if err != nil {
		t.Fatal(err)
	}
	if err := result.write([]byte("sha256:1")); err != nil {
		t.Error(err)
	}
	got, _ := root.ReadFile("sub/link")
	if kept, _ := os.ReadFile(outside); string(got) != "sha256:1" || string(kept) != "{}\n" {
		t.Errorf("got %q in the workspace and %q outside of it, want the digest and an unchanged file", got, kept)
	}
	if _, err := openResult(in, "pipe"); err == nil {
		t.Error("got no error for a pipe, want one")
	}
	if _, _, err := readOutputs(environment{step: in}, []string{"folder"}, nil); err == nil {
		t.Error("--digests: got no error for a link out of the workspace, want one")
	}
}

// A link of the user's is not replaced by a result: /dev/stdout may be one to a file.
func TestResultBehindLink(t *testing.T) {
	dir := t.TempDir()
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(file, []byte("sha256:0 and more"), 0o600), os.Symlink("file", link)); err != nil {
		t.Fatal(err)
	}
	result, err := openResult(hostFiles{}, link)
	if err != nil {
		t.Fatal(err)
	}
	if err := result.write([]byte("sha256:1")); err != nil {
		t.Error(err)
	}
	target, err := os.Readlink(link)
	if got, readErr := os.ReadFile(file); err != nil || readErr != nil || target != "file" || string(got) != "sha256:1" {
		t.Errorf("got link to %q and file %q, errors %v and %v, want the link and the digest in its file", target, got, err, readErr)
	}
}
