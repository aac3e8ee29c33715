package layout

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// write announces a target and puts an index under the tag 1.
func write(t *testing.T, layouts *Layouts, name string, replace bool) error {
	t.Helper()
	ref, err := manifest.ParseNameOrLayout(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := layouts.Target(ref, replace, func(string) string { return "" }); err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://layout/v2/layout/manifests/1", strings.NewReader(`{"manifests":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	resp, err := layouts.Transport(ref).RoundTrip(r)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// The lock of a folder is the same however its path is typed, and does not make the folder one with other files.
func TestFolderIsLockedHoweverTyped(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("here", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"new/", "./other/x/..", "here/."} {
		var layouts Layouts
		if err := write(t, &layouts, "oci-layout://"+path, false); err != nil {
			t.Errorf("%s: got %v, want no error", path, err)
		}
		if err := layouts.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Chdir("here")
	var layouts Layouts
	defer layouts.Close()
	if err := write(t, &layouts, "oci-layout://.", false); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// A tar that somebody else has written meanwhile is only replaced if that is wanted.
func TestTarWrittenMeanwhile(t *testing.T) {
	for _, replace := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "a.tar")
		var layouts Layouts
		if err := write(t, &layouts, "oci-layout://"+path, replace); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("other"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := layouts.Commit(t.Context(), nil)
		if replace && err != nil || !replace && !errdefs.IsAlreadyExists(err) {
			t.Errorf("replace %v: got the error %v", replace, err)
		}
		if raw, err := os.ReadFile(path); err != nil || replace == (string(raw) == "other") {
			t.Errorf("replace %v: got the content %.10q (%v)", replace, raw, err)
		}
		if err := layouts.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
			t.Errorf("got %v (%v), want only the tar", left, err)
		}
	}
}
