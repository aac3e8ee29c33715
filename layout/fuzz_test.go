package layout_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/layout"
)

// readAll reads what a layout or archive lists. Whatever is in it, a manifest has its digest, and an error a kind and no
// control characters.
func readAll(t *testing.T, typed string) {
	t.Helper()
	layouts := &layout.Layouts{Note: func(format string, args ...any) {
		if note := fmt.Sprintf(format, args...); strings.ContainsFunc(note, unicode.IsControl) {
			t.Errorf("got the note %q", note)
		}
	}}
	defer func() {
		if err := layouts.Close(); err != nil {
			t.Error(err)
		}
	}()
	none := digest.FromString("none").String()
	for _, what := range []string{"tags/list", "manifests/-", "manifests/1", "manifests/app:1", "manifests/" + none, "manifests/" + strings.Replace(none, ":", "-", 1), "blobs/" + none} {
		body, h, err := get(t, layouts, typed, what)
		switch {
		case err != nil && (!errdefs.IsInvalidArgument(err) && !errdefs.IsNotFound(err) && !errdefs.IsDataLoss(err) || strings.ContainsFunc(err.Error(), unicode.IsControl)):
			t.Errorf("%s: got the error %q", what, err)
		case err == nil && strings.HasPrefix(what, "manifests/") && digest.FromString(body).String() != h.Get("Docker-Content-Digest"):
			t.Errorf("%s: got a manifest with another digest than %s", what, h.Get("Docker-Content-Digest"))
		}
	}
}

func FuzzLayout(f *testing.F) {
	whole, name := whole()
	f.Add(whole["index.json"], whole["oci-layout"], whole[name])
	f.Add([]byte(`{"manifests":[{},{"digest":"sha256:1","annotations":{"org.opencontainers.image.ref.name":"1"}}]}`), []byte(`{}`), []byte(`{"manifests":[{}],"subject":{}}`))
	f.Fuzz(func(t *testing.T, index, version, manifest []byte) {
		files := files{"index.json": index, "oci-layout": version}
		files.blob("", manifest)
		readAll(t, "oci-layout://"+files.folder(t))
	})
}

func FuzzArchive(f *testing.F) {
	layout, _ := whole()
	f.Add(layout.tar())
	f.Add(packed(layout.tar()))
	saved, link, _ := old()
	f.Add(saved.tar(link))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(t, "oci-layout://"+path)
		readAll(t, "docker-archive://"+path)
	})
}

func FuzzSaved(f *testing.F) {
	saved, _, _ := old()
	f.Add(saved["manifest.json"], saved["config.json"], saved["a/layer.tar"], "../a/layer.tar")
	f.Fuzz(func(t *testing.T, manifest, config, layer []byte, link string) {
		if strings.ContainsRune(link, 0) || len(link) > 1000 {
			return // no name in a tar
		}
		_, to, _ := old()
		to.Linkname = link
		files := files{"manifest.json": manifest, "config.json": config, "a/layer.tar": layer}
		readAll(t, "docker-archive://"+stored(t, "a.tar", files.tar(to)))
	})
}
