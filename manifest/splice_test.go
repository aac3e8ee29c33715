package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Any index without some children and with one more is an index of these children.
func FuzzSplice(f *testing.F) {
	const d = `"sha256:0000000000000000000000000000000000000000000000000000000000000000"`
	for _, seed := range []string{
		`{"manifests":[{"digest":` + d + `},{"digest":` + d + `,"size":2}]}`,
		"{ \"a\":{},\n\"Manifests\" : [ {\"digest\":" + d + "}\n] , \"z\":[1]}\n",
		`{"manifests":[],"manifests":[{"digest":` + d + `}]}`,
		`{"manifests":[]}`,
	} {
		f.Add([]byte(seed), uint64(1))
		f.Add([]byte(seed), uint64(2))
	}
	f.Fuzz(func(t *testing.T, raw []byte, drop uint64) {
		children, _, err := manifest.ParseIndex(raw)
		if err != nil {
			return
		}
		dropped := func(n int) bool { return drop>>(n%64)&1 == 1 }
		out, err := manifest.Splice(raw, func(n int, text []byte) []byte {
			if dropped(n) {
				return nil
			}
			return text
		}, []byte(`{"size":7,"digest":`+d+`}`))
		if err != nil {
			return
		}
		var want []ocispec.Descriptor
		for n, c := range children {
			if !dropped(n) {
				want = append(want, c)
			}
		}
		want = append(want, ocispec.Descriptor{Digest: digest.Digest(strings.Trim(d, `"`)), Size: 7})
		got, _, err := manifest.ParseIndex(out)
		same := func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest && a.Size == b.Size }
		if err != nil || !slices.EqualFunc(got, want, same) {
			t.Errorf("got %q, error %v for %q without %b and with one more, want these children", out, err, raw, drop)
		}
	})
}
