package layout_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/layout"
)

// noting returns layouts, and their notes.
func noting(t *testing.T) (*layout.Layouts, *[]string) {
	t.Helper()
	notes := &[]string{}
	layouts := &layout.Layouts{Note: func(format string, args ...any) { *notes = append(*notes, fmt.Sprintf(format, args...)) }}
	t.Cleanup(func() { layouts.Close() })
	return layouts, notes
}

// What cannot be read is not taken for an image without referrers: an index under a referrers tag is an error, and of the
// entries of index.json what can be read counts, and the rest is noted once.
func TestUnreadableReferrers(t *testing.T) {
	f := files{}
	image := f.image("amd64")
	one, other := f.referrer("one", image), f.referrer("other", image)
	tag := strings.Replace(image.Digest.String(), ":", "-", 1)
	tagged, index := named(f.list(other), refName, tag), named(image, refName, "1")
	beside := named(other, "io.containerd.manifest.subject", image.Digest.String())
	for _, tt := range []struct {
		name    string
		entries []ocispec.Descriptor
		change  func(files)
		want    []ocispec.Descriptor
		note    string
		err     string
	}{
		{name: "none", entries: []ocispec.Descriptor{index}, err: "has no image " + tag},
		{name: "entries", entries: []ocispec.Descriptor{index, one, beside}, want: []ocispec.Descriptor{one, other}},
		{name: "entry and tag", entries: []ocispec.Descriptor{index, one, tagged}, want: []ocispec.Descriptor{one, other}},
		{name: "entry that is missing", entries: []ocispec.Descriptor{index, one, other}, change: func(f files) { delete(f, blobName(other)) }, want: []ocispec.Descriptor{one}, note: other.Digest.String() + " cannot be read"},
		{name: "entry that is no JSON", entries: []ocispec.Descriptor{index, one, other}, change: func(f files) { f[blobName(other)] = []byte("{") }, want: []ocispec.Descriptor{one}, note: other.Digest.String() + " cannot be read"},
		{name: "entry with a note that is missing", entries: []ocispec.Descriptor{index, one, beside}, change: func(f files) { delete(f, blobName(other)) }, want: []ocispec.Descriptor{one}, note: other.Digest.String() + " cannot be read"},
		{name: "tag that is missing", entries: []ocispec.Descriptor{index, one, tagged}, change: func(f files) { delete(f, blobName(tagged)) }, err: "the referrers of " + image.Digest.String() + " cannot be read"},
		{name: "tag with other content", entries: []ocispec.Descriptor{index, one, tagged}, change: func(f files) { f[blobName(tagged)] = []byte(`{"manifests":[]}`) }, err: "the referrers of " + image.Digest.String() + " cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := maps.Clone(f)
			if tt.change != nil {
				tt.change(all)
			}
			layouts, notes := noting(t)
			typed := "oci-layout://" + all.index(tt.entries...).folder(t)
			for range 2 {
				raw, _, err := get(t, layouts, typed, "manifests/"+tag)
				if tt.err != "" {
					fails(t, err, tt.err)
					if errdefs.IsNotFound(err) != (tt.name == "none") {
						t.Errorf("got the error %v, which is an errdefs.ErrNotFound: %t", err, errdefs.IsNotFound(err))
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range []ocispec.Descriptor{one, other} {
					want := slices.ContainsFunc(tt.want, func(w ocispec.Descriptor) bool { return w.Digest == d.Digest })
					if got := strings.Contains(raw, d.Digest.String()); got != want {
						t.Errorf("got %s in %s: %t, want %t", d.Digest, raw, got, want)
					}
				}
			}
			if tt.note == "" && len(*notes) > 0 || tt.note != "" && (len(*notes) != 1 || !strings.Contains((*notes)[0], tt.note)) {
				t.Errorf("got the notes %q, want one with %q", *notes, tt.note)
			}
		})
	}
}

// Of images with one tag the later is listed, and the other noted.
func TestImagesWithOneTag(t *testing.T) {
	f, link, _ := old()
	f.save(savedImage{"config.json", []string{"app:latest"}, []string{"a/layer.tar"}}, savedImage{"other.json", []string{"web:latest"}, []string{"b/layer.tar"}})
	layouts, notes := noting(t)
	raw, _, err := get(t, layouts, "docker-archive://"+stored(t, "a.tar", f.tar(link)), "tags/list")
	if err != nil || !strings.Contains(raw, `"tags":["latest"]`) {
		t.Errorf("got %s (%v), want the tag once", raw, err)
	}
	if got, want := strings.Join(*notes, "\n"), "several images with the tag latest: docker.io/library/app:latest is left out"; !strings.Contains(got, want) {
		t.Errorf("got the notes %q, want %q", got, want)
	}
}
