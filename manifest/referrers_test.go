package manifest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// busy is a registry where another client overwrites a tag a number of times after it was written.
type busy struct {
	*fakes.Registry
	left  int
	other []byte
}

func (b *busy) Put(ctx context.Context, ref reference.Named, c manifest.Content, tags ...string) error {
	err := b.Registry.Put(ctx, ref, c, tags...)
	if b.left--; b.left >= 0 {
		b.Mu.Lock()
		defer b.Mu.Unlock()
		b.Store(ref, ocispec.MediaTypeImageIndex, b.other)
	}
	return err
}

// Several writers of a referrers tag merge their entries; one that never gets through says so.
func TestKeepReferrersTagsWithOtherWriters(t *testing.T) {
	for times, wantErr := range map[int]bool{0: false, 1: false, 3: false, 1000: true} {
		r := &busy{Registry: fakes.NewRegistry(), left: times}
		r.NoReferrers = true
		repo, subject := reference.TrimNamed(fakes.Named(t, "example.com/app")), digest.FromString("subject")
		theirs := digest.FromString("theirs")
		r.other = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"digest":%q,"size":1}]}`, ocispec.MediaTypeImageIndex, theirs)
		ours := r.Artifact(t, "other.com/app:ours", subject)
		content := manifest.NewContent(ocispec.MediaTypeImageManifest, r.Manifests["other.com/app@"+ours.String()])
		if err := r.Copy(t.Context(), fakes.Named(t, "other.com/app"), content, repo); err != nil {
			t.Fatal(err)
		}
		err := manifest.KeepReferrersTags(t.Context(), r, &fakes.Reporter{}, repo, nil)
		if errdefs.IsAborted(err) != wantErr || !wantErr && err != nil {
			t.Errorf("overwritten %d times: got error %v, want one: %t", times, err, wantErr)
		}
		index, err := manifest.TaggedReferrers(t.Context(), r, manifest.AtDigest(repo, subject))
		if want := 1 + min(times, 1); err != nil || !wantErr && len(index.Manifests) != want {
			t.Errorf("overwritten %d times: got %v, error %v, want %d referrers", times, index.Manifests, err, want)
		}
	}
}
