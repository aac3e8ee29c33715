package verify

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestExists(t *testing.T) {
	m := fakes.NewRegistry()
	amd64 := m.Image(t, "h.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := m.Image(t, "h.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	bare := m.Image(t, "h.example.com/app:bare", ocispec.MediaTypeImageManifest, "linux/riscv64")
	bare.Platform = nil
	lost := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("lost"), Size: 4, Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}}
	forbidden := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("no"), Size: 4, Platform: &ocispec.Platform{OS: "linux", Architecture: "386"}}
	m.Errs["h.example.com/app@"+forbidden.Digest.String()] = manifest.Errorf(errdefs.ErrPermissionDenied, "403")
	inner := m.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, arm64)
	half := arm64 // the index gives half of a platform, the config all of it
	half.Platform = &ocispec.Platform{OS: "linux"}
	m.Index(t, "h.example.com/app:partial", ocispec.MediaTypeImageIndex, half)
	m.Index(t, "h.example.com/app:1", ocispec.MediaTypeImageIndex, amd64, inner, m.Attestation(t, "h.example.com/app:att", amd64.Digest), bare, lost, forbidden)
	many := m.Index(t, "h.example.com/app:many1", ocispec.MediaTypeImageIndex, slices.Repeat([]ocispec.Descriptor{lost}, manifest.MaxEntries/2)...)
	other := m.Index(t, "h.example.com/app:many2", ocispec.MediaTypeImageIndex, slices.Repeat([]ocispec.Descriptor{forbidden}, manifest.MaxEntries/2)...)
	m.Index(t, "h.example.com/app:many", ocispec.MediaTypeImageIndex, many, other)
	odd := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("odd"), Size: 4}
	m.Errs["h.example.com/app@"+odd.Digest.String()] = manifest.Errorf(errdefs.ErrUnavailable, "502")
	m.Index(t, "h.example.com/app:odd", ocispec.MediaTypeImageIndex, odd, amd64, inner)
	nested := amd64
	for range manifest.MaxDepth + 1 {
		nested = m.Index(t, "h.example.com/app:nested", ocispec.MediaTypeImageIndex, nested)
	}
	m.Image(t, "h.example.com/app:v6", ocispec.MediaTypeImageManifest, "linux/arm/v6")
	soci := m.Image(t, "h.example.com/app:soci", ocispec.MediaTypeImageManifest, "linux/arm/v7")
	soci.ArtifactType = "application/x"
	m.Index(t, "h.example.com/app:artifact", ocispec.MediaTypeImageIndex, soci, amd64)
	m.Errs["h.example.com/app:secret"] = manifest.Errorf(errdefs.ErrUnauthenticated, "401")
	for _, tt := range []struct {
		name, platforms, want string
		kind                  error
	}{
		{"app:1", "", "", nil},
		{"app:none", "", "no such manifest: h.example.com/app:none: ", errdefs.ErrNotFound},
		{"app:none", "linux/amd64", "no such manifest: h.example.com/app:none: ", errdefs.ErrNotFound},
		{"app:secret", "", "401", errdefs.ErrUnauthenticated},
		{"app:secret", "linux/amd64", "401", errdefs.ErrUnauthenticated},
		{"app:1", "linux/amd64 linux/arm64/v8 linux/riscv64", "", nil},
		{"app:1", "linux/amd64 linux/ppc64le", "h.example.com/app:1 has no image for linux/ppc64le (it has: linux/amd64, linux/arm64", errdefs.ErrNotFound},
		{"app:1", "linux/s390x", "lists " + lost.Digest.String() + " for linux/s390x, but it is not in the registry", errdefs.ErrNotFound},
		{"app:1", "linux/386", "403", errdefs.ErrPermissionDenied},
		{"app:1", "linux/386 linux/s390x", "but it is not in the registry", errdefs.ErrNotFound},
		{"app:odd", "linux/amd64 linux/arm64", "", nil},
		{"app:odd", "linux/amd64 linux/s390x", "502", errdefs.ErrUnavailable},
		{"app:arm64", "linux/arm64", "", nil},
		{"app:arm64", "linux/amd64", "has no image for linux/amd64 (it has: linux/arm64)", errdefs.ErrNotFound},
		{"app@" + amd64.Digest.String(), "linux/amd64", "", nil},
		{"app@" + lost.Digest.String(), "", "no such manifest: h.example.com/app@sha256:", errdefs.ErrNotFound},
		{"app:partial", "linux/arm64", "", nil},
		{"app:v6", "linux/arm/v6 linux/arm/*", "", nil},
		{"app:v6", "linux/arm", "has no image for linux/arm (it has: linux/arm/v6)", errdefs.ErrNotFound},
		{"app:artifact", "linux/arm/v7", "has no image for linux/arm/v7 (it has: linux/amd64)", errdefs.ErrNotFound},
		{"app:nested", "linux/amd64", "nested deeper than 4", errdefs.ErrInvalidArgument},
		{"app:many", "linux/s390x", "more than 4096 entries in total", errdefs.ErrInvalidArgument},
	} {
		want, err := manifest.ParsePlatforms(strings.Fields(tt.platforms))
		if err != nil {
			t.Fatal(err)
		}
		err = Exists(t.Context(), m, fakes.Named(t, "h.example.com/"+tt.name), want)
		if tt.kind == nil && err != nil || tt.kind != nil && (!errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("exists %s with platforms %q: got error %v, want %v with %q", tt.name, tt.platforms, err, tt.kind, tt.want)
		}
	}
	m.Blobs = nil
	if err := Exists(t.Context(), m, fakes.Named(t, "h.example.com/app:arm64"), []manifest.Platform{{}}); !errdefs.IsNotFound(err) {
		t.Errorf("image without its config: got error %v, want one of not found", err)
	}
}

// Images whose platform an index states are not fetched, and only the image that is asked for is looked up.
func TestExistsRequests(t *testing.T) {
	m := fakes.NewRegistry()
	amd64 := m.Image(t, "h.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := m.Image(t, "h.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	arm64.Platform = nil
	index := m.Index(t, "h.example.com/app:1", ocispec.MediaTypeImageIndex, amd64, arm64, m.Attestation(t, "h.example.com/app:att", amd64.Digest))
	m.Log = nil
	want := []string{"fetch h.example.com/app:1", "fetch h.example.com/app@" + arm64.Digest.String(), "blob", "fetch h.example.com/app@" + amd64.Digest.String()}
	platforms, err := manifest.ParsePlatforms([]string{"linux/amd64", "linux/arm64"})
	if err == nil {
		err = Exists(t.Context(), m, fakes.Named(t, "h.example.com/app:1"), platforms)
	}
	if err != nil || !slices.Equal(m.Log, want) {
		t.Errorf("got requests %q for %s, error %v, want %q", m.Log, index.Digest, err, want)
	}
}

// The version of Windows that an index does not state is read from the config, only where a version is asked for.
func TestExistsReadsWindowsVersion(t *testing.T) {
	m := fakes.NewRegistry()
	var images []ocispec.Descriptor
	for _, platform := range []string{"windows(10.0.20348.1)/amd64", "windows(10.0.26100.1)/amd64", "linux/amd64"} {
		d := m.Image(t, "h.example.com/app:image", ocispec.MediaTypeImageManifest, platform)
		d.Platform.OSVersion = ""
		images = append(images, d)
	}
	lost := images[0]
	lost.Digest = digest.FromString("lost")
	m.Index(t, "h.example.com/app:1", ocispec.MediaTypeImageIndex, append(images, lost)...)
	config := images[1]
	config.Digest = m.Store(fakes.Named(t, "h.example.com/app:denied"), config.MediaType, []byte(`{"config":{"digest":"`+digest.FromString("denied").String()+`"}}`))
	m.Errs["h.example.com/app@"+config.Digest.String()] = manifest.Errorf(errdefs.ErrPermissionDenied, "403")
	m.Index(t, "h.example.com/app:denied", ocispec.MediaTypeImageIndex, images[0], config)
	for _, tt := range []struct {
		tag, platform string
		kind          error
		requests      int
	}{
		{"1", "windows(10.0.20348.1)/amd64", nil, 6},
		{"1", "windows(10.0.26100.1)/amd64", nil, 6},
		{"1", "windows(10.0.17763.1)/amd64", errdefs.ErrNotFound, 6},
		{"1", "windows(10.0.20348.1)/arm64", errdefs.ErrNotFound, 1},
		{"1", "windows/amd64", nil, 2},
		{"1", "linux/amd64", nil, 2},
		{"denied", "windows(10.0.20348.1)/amd64", nil, 4},
		{"denied", "windows(10.0.26100.1)/amd64", errdefs.ErrPermissionDenied, 4},
	} {
		want, err := manifest.ParsePlatforms([]string{tt.platform})
		if err != nil {
			t.Fatal(err)
		}
		m.Log = nil
		err = Exists(t.Context(), m, fakes.Named(t, "h.example.com/app:"+tt.tag), want)
		if !errors.Is(err, tt.kind) || len(m.Log) != tt.requests {
			t.Errorf("%s in %s: got error %v after %q, want %v after %d requests", tt.platform, tt.tag, err, m.Log, tt.kind, tt.requests)
		}
	}
}
