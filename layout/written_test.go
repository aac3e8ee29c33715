package layout_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/layout"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// target returns layouts with one that is going to be written.
func target(t *testing.T, typed string) *layout.Layouts {
	t.Helper()
	ref, err := manifest.ParseNameOrLayout(typed)
	if err != nil {
		t.Fatal(err)
	}
	layouts := &layout.Layouts{}
	if err := layouts.Target(ref, false, func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	return layouts
}

// put stores a manifest under a tag, "" for its digest only.
func put(t *testing.T, layouts *layout.Layouts, typed, tag, raw string) error {
	t.Helper()
	if tag == "" {
		tag = digest.FromString(raw).String()
	}
	_, _, err := send(t, layouts, typed, http.MethodPut, "manifests/"+tag, http.Header{"Content-Type": {ocispec.MediaTypeImageManifest}}, []byte(raw))
	return err
}

// written returns the entries of index.json of a folder.
func written(t *testing.T, dir string) []ocispec.Descriptor {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatalf("got index.json %s (%v), want valid JSON", raw, err)
	}
	return index.Manifests
}

// Many that write to one new folder at the same time lose nothing, and index.json is valid at each moment.
func TestManyWriters(t *testing.T) {
	f, name := whole()
	dir := filepath.Join(t.TempDir(), "layout")
	typed := "oci-layout://" + dir
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			layouts := target(t, typed)
			defer layouts.Close()
			if err := put(t, layouts, typed, fmt.Sprint("t", i), string(f[name])); err != nil {
				t.Error(err)
			}
			written(t, dir)
		})
	}
	group.Wait()
	if got := len(written(t, dir)); got != 20 {
		t.Errorf("got %d entries, want 20", got)
	}
}

// A referrer becomes an entry without a name, whatever its annotations are, and is not yet under the referrers tag of what was
// written, so that it is written there, too; those who read find it in either way.
func TestWrittenReferrer(t *testing.T) {
	f, name := whole()
	subject := digest.FromBytes(f[name])
	dir := filepath.Join(t.TempDir(), "layout")
	typed := "oci-layout://" + dir
	layouts := target(t, typed)
	defer layouts.Close()
	referrer := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"digest":%q,"mediaType":"a/b","size":2},"layers":[],"subject":{"digest":%q,"size":1,"mediaType":%[1]q},"annotations":{%q:"1","key":"value"}}`,
		ocispec.MediaTypeImageManifest, digest.FromString("{}"), subject, refName)
	for _, m := range [][2]string{{"1", string(f[name])}, {"", referrer}} {
		if err := put(t, layouts, typed, m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range written(t, dir) {
		if d.Digest != subject && (d.Annotations[refName] != "" || d.Annotations["key"] != "value") {
			t.Errorf("got the annotations %v, want those of the manifest without a name", d.Annotations)
		}
	}
	tag := "manifests/" + strings.Replace(subject.String(), ":", "-", 1)
	if raw, _, err := get(t, layouts, typed, tag); err == nil {
		t.Errorf("got %s from the target, want no referrers tag yet", raw)
	}
	reading := &layout.Layouts{}
	defer reading.Close()
	if raw, _, err := get(t, reading, typed, tag); err != nil || !strings.Contains(raw, digest.FromString(referrer).String()) {
		t.Errorf("got %s (%v), want the referrer %s", raw, err, digest.FromString(referrer))
	}
}

// A folder with other files is not written to.
func TestForeignFolder(t *testing.T) {
	path := stored(t, "other", []byte("content"))
	typed := "oci-layout://" + filepath.Dir(path)
	layouts := target(t, typed)
	defer layouts.Close()
	fails(t, put(t, layouts, typed, "1", "{}"), filepath.Dir(path), "is a folder with other files", "other")
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("got %v (%v), want only the file", left, err)
	}
}
