package manifest_test

import (
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestCreated(t *testing.T) {
	m := fakes.NewRegistry()
	early := m.Dated(t, "h.example.com/app:early", `"2020-02-03T04:05:06Z"`)
	late := m.Dated(t, "h.example.com/app:late", `"2021-02-03T04:05:06.789+01:00"`)
	epoch := m.Dated(t, "h.example.com/app:epoch", `"1970-01-01T00:00:01Z"`)
	none := m.Dated(t, "h.example.com/app:none", `null`)
	bad := m.Dated(t, "h.example.com/app:bad", `"yesterday"`)
	attestation := m.Attestation(t, "h.example.com/app:attestation", late.Digest)
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
			ref := fakes.Named(t, "h.example.com/app:"+name[:3])
			if tt.children != nil {
				m.Index(t, ref.String(), ocispec.MediaTypeImageIndex, tt.children...)
			} else {
				ref = fakes.Named(t, "h.example.com/app:"+name)
			}
			g := manifest.NewGraph(m)
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
	g := manifest.NewGraph(m)
	if _, err := g.Read(t.Context(), fakes.Named(t, "h.example.com/app:bad")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Created(t.Context(), fakes.Named(t, "h.example.com/app"), bad.Digest); !errdefs.IsInvalidArgument(err) {
		t.Error(err)
	}
}
