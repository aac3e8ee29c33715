package publish_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// A push of children with a subject, from another repository, lists them under the referrers tags of a registry without the
// referrers API before the tag of the list changes.
func TestPushKeepsReferrersTags(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(r *fakes.Registry, tag string)
		list    string // the tag of the list, unless 1
		want    int    // the listed referrers, or -1 if the tag was not written
		warning string
	}{
		"absent":    {func(*fakes.Registry, string) {}, "", 1, ""},
		"with API":  {func(r *fakes.Registry, _ string) { r.NoReferrers = false }, "", -1, ""},
		"the index": {func(*fakes.Registry, string) {}, "subject", -1, ""},
		"with another entry": {func(r *fakes.Registry, tag string) {
			r.Index(t, tag, ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: digest.FromString("other")})
		}, "", 2, ""},
		"another image": {func(r *fakes.Registry, tag string) {
			r.Image(t, tag, ocispec.MediaTypeImageManifest, "linux/arm64")
		}, "", -1, "is not an index of referrers; it is kept, and 1 referrers of"},
		"unreadable": {func(r *fakes.Registry, tag string) {
			r.Errs[tag] = manifest.Errorf(errdefs.ErrUnavailable, "unavailable")
		}, "", -1, "listing referrers of example.com/app@sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakes.NewFixture()
			r := w.Registry
			r.NoReferrers = true
			subject := digest.FromString("subject")
			artifact := r.Artifact(t, "other.com/app:signature", subject)
			image := r.Image(t, "other.com/app:image", ocispec.MediaTypeImageManifest, "linux/amd64")
			r.Index(t, "other.com/app:1", ocispec.MediaTypeImageIndex, image,
				ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: artifact, Size: int64(len(r.Manifests["other.com/app:signature"]))})
			tag := example + ":" + manifest.ReferrersTag(subject)
			tt.prepare(r, tag)
			list := example + ":1"
			if tt.list != "" {
				list = tag
			}
			before := r.Manifests[tag]
			if _, err := publish.CreateAndPush(t.Context(), w.Clients(), fakes.Creation(t, list, "other.com/app:1")); err != nil {
				t.Fatal(err)
			}
			if last, want := r.Log[len(r.Log)-1], "put "+list; last != want {
				t.Errorf("got last request %q, want %q", last, want)
			}
			if puts := strings.Count(strings.Join(r.Log, "\n"), "put "+tag); tt.want > 0 && puts != 1 || tt.want < 0 && tt.list == "" && string(r.Manifests[tag]) != string(before) {
				t.Errorf("got %d writes of the referrers tag and content %s, want it written: %t", puts, r.Manifests[tag], tt.want > 0)
			}
			if tt.want > 0 {
				index, err := manifest.TaggedReferrers(t.Context(), r, manifest.AtDigest(fakes.Named(t, example), subject))
				isOurs := func(d ocispec.Descriptor) bool {
					return d.Digest == artifact && d.ArtifactType == "application/x-signature" && d.Size > 0
				}
				if err != nil || len(index.Manifests) != tt.want || !slices.ContainsFunc(index.Manifests, isOurs) {
					t.Errorf("got referrers %v, error %v, want %d with %s", index.Manifests, err, tt.want, artifact)
				}
			}
			if got := strings.Join(w.Notes.Warnings, "\n"); (got != "") != (tt.warning != "") || !strings.Contains(got, tt.warning) {
				t.Errorf("got warnings %q, want %q", got, tt.warning)
			}
		})
	}
}
