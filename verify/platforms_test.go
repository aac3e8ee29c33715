package verify

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestCheckPlatforms(t *testing.T) {
	const repo = "h.example.com/app"
	m := fakes.NewRegistry()
	image := func(tag, platform string, seed ...string) ocispec.Descriptor {
		return m.Image(t, repo+":"+tag, ocispec.MediaTypeImageManifest, platform, seed...)
	}
	amd64, arm64 := image("amd64", "linux/amd64"), image("arm64", "linux/arm64")
	image("arm7", "linux/arm/v7")
	image("again", "linux/amd64", "again")
	m.Index(t, repo+":list", ocispec.MediaTypeImageIndex, amd64, arm64, m.Attestation(t, repo+":attestation", amd64.Digest))
	inner := m.Index(t, repo+":inner", ocispec.MediaTypeImageIndex, arm64)
	m.Index(t, repo+":nested", ocispec.MediaTypeImageIndex, amd64, inner)
	unread := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromString("unread"), Size: 6}
	m.Errs[repo+"@"+unread.Digest.String()] = errdefs.ErrUnavailable
	m.Index(t, repo+":unread", ocispec.MediaTypeImageIndex, amd64, unread)

	for _, tt := range []struct {
		names, require, exact, together string
		state                           State
		want                            string
	}{
		{"list", "linux/amd64,linux/arm64", "", "", StateOK, ""},
		{"list", "", "linux/arm64,linux/amd64", "", StateOK, ""},
		{"nested", "", "linux/arm64,linux/amd64", "", StateOK, ""},
		{"arm7", "linux/arm", "linux/arm", "", StateOK, ""},
		{"list", "linux/arm/v7", "", "", StateInvalid, "error linux/arm/v7: there is no image for linux/arm/v7, which --require requires"},
		{"list", "", "linux/amd64", "", StateInvalid, "error linux/arm64: image " + arm64.Digest.String() + " is for linux/arm64, which --exact does not allow"},
		{"arm7", "linux/amd64", "", "", StateInvalid, "error linux/amd64: there is no image for linux/amd64, which --require requires"},
		{"amd64 arm64", "linux/amd64,linux/arm64", "", "h.example.com/app", StateOK, ""},
		{"amd64 arm64", "", "linux/amd64,linux/arm64,linux/386", "h.example.com/app", StateInvalid, "error linux/386: there is no image for linux/386, which --exact requires"},
		{"amd64 again", "", "", "h.example.com/app", StateInvalid, "is for linux/amd64, and so is " + amd64.Digest.String()},
		{"amd64 absent", "linux/arm64", "", "h.example.com/app", StateInvalid, "error linux/arm64: there is no image"},
		{"unread", "linux/arm64", "", "h.example.com/app", StateUnknown, "unknown linux/arm64: there is no image for linux/arm64"},
	} {
		t.Run(tt.names+" "+tt.require+" "+tt.exact, func(t *testing.T) {
			o := Options{Together: tt.together}
			parse := func(s string) (out []manifest.Platform) {
				out, err := manifest.ParsePlatforms(strings.FieldsFunc(s, func(r rune) bool { return r == ',' }))
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			o.Require, o.Exact = parse(tt.require), parse(tt.exact)
			var names []reference.Named
			for _, tag := range strings.Fields(tt.names) {
				names = append(names, fakes.Named(t, repo+":"+tag))
			}
			results, err := Check(t.Context(), m, names, o)
			if err != nil {
				t.Fatal(err)
			}
			last := results[len(results)-1]
			if got := strings.Join(texts(last.Findings), "\n"); last.State != tt.state || !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %s: %s\nwant %s: %s", last.State, got, tt.state, tt.want)
			}
		})
	}
}
