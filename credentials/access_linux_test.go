package credentials

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A folder of scoped logins that another user owns does not keep from using the other logins.
func TestScopedLoginsWithoutAccess(t *testing.T) {
	root := t.TempDir()
	t.Setenv("BUILDX_CONFIG", root)
	s := store(t, `{"auths":{"h.example":{"auth":"`+basic("default", "pw")+`"}}}`)
	if err := os.Mkdir(filepath.Join(root, "config"), 0); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // root may read everything: this thread becomes another user for the file system
	defer runtime.UnlockOSThread()
	if os.Getuid() == 0 {
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	got, err := s.Lookup(t.Context(), "h.example", "a", []string{"pull"})
	if err != nil || got.Username != "default" {
		t.Errorf("got user %q, error %v, want the default", got.Username, err)
	}
	if err := s.Skipped(); err == nil || !strings.Contains(err.Error(), "scoped logins of buildx cannot be read") {
		t.Errorf("got error %v for the scoped logins, want that they cannot be read", err)
	}
}
