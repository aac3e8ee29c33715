package manifest

import (
	"fmt"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// dated puts an image whose config says that it was made then.
func (m *memory) dated(t *testing.T, name, created string) ocispec.Descriptor {
	t.Helper()
	config := []byte(`{"os":"linux","architecture":"amd64","created":` + created + `}`)
	c := digest.FromBytes(config)
	m.blobs[c] = config
	raw := fmt.Appendf(nil, `{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, c, len(config))
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: m.put(named(t, name), ocispec.MediaTypeImageManifest, raw), Size: int64(len(raw))}
}

func TestCreated(t *testing.T) {
	m := newMemory()
	early := m.dated(t, "h.example.com/app:early", `"2020-02-03T04:05:06Z"`)
	late := m.dated(t, "h.example.com/app:late", `"2021-02-03T04:05:06.789+01:00"`)
	epoch := m.dated(t, "h.example.com/app:epoch", `"1970-01-01T00:00:01Z"`)
	none := m.dated(t, "h.example.com/app:none", `null`)
	bad := m.dated(t, "h.example.com/app:bad", `"yesterday"`)
	attestation := m.attestation(t, "h.example.com/app:attestation", late.Digest)
	for name, tt := range map[string]struct {
		children []ocispec.Descriptor
		want     string
	}{
		"early": {nil, "2020-02-03T04:05:06Z"}, "late": {nil, "2021-02-03T03:05:06.789Z"}, "epoch": {nil, ""}, "none": {nil, ""},
		"both":       {[]ocispec.Descriptor{late, early, attestation}, "2021-02-03T03:05:06.789Z"},
		"one of two": {[]ocispec.Descriptor{late, epoch}, ""},
		"without":    {[]ocispec.Descriptor{none}, ""},
		"nothing":    {[]ocispec.Descriptor{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ref := named(t, "h.example.com/app:"+name[:3])
			if tt.children != nil {
				m.index(t, ref.String(), ocispec.MediaTypeImageIndex, tt.children...)
			} else {
				ref = named(t, "h.example.com/app:"+name)
			}
			g := NewGraph(m)
			roots, err := g.Read(t.Context(), ref)
			if err != nil || roots[0].Err != nil {
				t.Fatal(err, roots)
			}
			got, err := g.Created(t.Context(), ref, roots[0].Digest)
			var want time.Time
			if tt.want != "" {
				want, _ = time.Parse(time.RFC3339Nano, tt.want)
			}
			if err != nil || !got.Equal(want) {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	g := NewGraph(m)
	if _, err := g.Read(t.Context(), named(t, "h.example.com/app:bad")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Created(t.Context(), named(t, "h.example.com/app"), bad.Digest); !errdefs.IsInvalidArgument(err) {
		t.Error(err)
	}
}
