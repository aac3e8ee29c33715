package publish_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// A list whose images were pushed from the daemon is pushed again as it is, with a warning of those that were built again.
func TestPushWarnsOfRebuiltImages(t *testing.T) {
	const source = "plain:s390x"
	rebuild := func(t *testing.T, w fakes.Fixture, as string) manifest.Local {
		builder := fakes.NewRegistry()
		builder.Image(t, source, manifest.MediaTypeDockerManifest, "linux/s390x", "rebuilt")
		return w.Daemon.Holds(t, builder, source, as)
	}
	child := func(platform string, d digest.Digest) manifest.LocalManifest {
		p, err := manifest.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		return manifest.LocalManifest{Descriptor: ocispec.Descriptor{Digest: d, Platform: &p.Platform}, Available: true}
	}
	amend := "docker multiarch create --amend " + example + ":1 " + source
	for _, c := range []struct {
		name, source string
		purge        bool
		tags         []string
		change       func(*testing.T, *fakes.Fixture)
		want         string // in the warning, "" for none
	}{
		{"unchanged", source, false, nil, func(*testing.T, *fakes.Fixture) {}, ""},
		{"rebuilt", source, false, nil, func(t *testing.T, w *fakes.Fixture) { rebuild(t, *w, source) }, amend},
		{"rebuilt, with another platform", source, false, nil, func(t *testing.T, w *fakes.Fixture) {
			local := rebuild(t, *w, source)
			local.Manifests = []manifest.LocalManifest{child("linux/s390x", digest.FromString("s")), child("linux/arm64", digest.FromString("a"))}
			w.Daemon.Images[local.Name.String()] = local
		}, "docker multiarch create --amend --platform linux/s390x " + example + ":1 " + source},
		{"rebuilt for another platform", source, false, nil, func(t *testing.T, w *fakes.Fixture) {
			local := rebuild(t, *w, source)
			local.Manifests = []manifest.LocalManifest{child("linux/amd64", digest.FromString("a"))}
			w.Daemon.Images[local.Name.String()] = local
		}, amend},
		{"another index of the same image", source, false, nil, func(t *testing.T, w *fakes.Fixture) {
			local := rebuild(t, *w, source)
			local.Manifests = []manifest.LocalManifest{child("linux/s390x", w.Lists[example+":1"].Entries[1].Descriptor.Digest)}
			w.Daemon.Images[local.Name.String()] = local
		}, ""},
		{"under the name in the repository", example + ":s390x", false, nil, func(t *testing.T, w *fakes.Fixture) { rebuild(t, *w, example+":s390x") },
			"docker multiarch create --amend --from daemon " + example + ":1 " + example + ":s390x"},
		{"list purged", source, true, []string{"latest"}, func(t *testing.T, w *fakes.Fixture) { rebuild(t, *w, source) },
			"docker multiarch create --amend --push --tag latest " + example + ":1 " + source},
		{"removed", source, false, nil, func(_ *testing.T, w *fakes.Fixture) { clear(w.Daemon.Images) }, ""},
		{"daemon stopped", source, false, nil, func(_ *testing.T, w *fakes.Fixture) {
			w.Daemon.Err = manifest.Errorf(errdefs.ErrUnavailable, "cannot reach the Docker daemon")
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, builder := built(t), fakes.NewRegistry()
			builder.Image(t, source, manifest.MediaTypeDockerManifest, "linux/s390x")
			w.Daemon.Holds(t, builder, source, c.source)
			if _, err := create(t, w, fakes.Creation(t, example+":1", example+":amd64", c.source)); err != nil {
				t.Fatal(err)
			}
			first, err := push(t, w, example+":1", false)
			if err != nil {
				t.Fatal(err)
			}
			c.change(t, &w)
			w.Notes.Warnings, w.Daemon.Log = nil, nil
			p := publish.Publication{}
			for _, tag := range c.tags {
				p.Tags = append(p.Tags, fakes.ListName(t, example+":"+tag))
			}
			again, err := publish.PushLocal(t.Context(), w.Lists, w.Clients(), fakes.ListName(t, example+":1"), p, c.purge)
			if err != nil || again.Descriptor.Digest != first.Descriptor.Digest {
				t.Errorf("got %s (error %v), want %s again", again.Descriptor.Digest, err, first.Descriptor.Digest)
			}
			if len(w.Daemon.Log) > 0 {
				t.Errorf("got changes %q in the daemon, want none", w.Daemon.Log)
			}
			got := strings.Join(w.Notes.Warnings, "\n")
			if (got == "") != (c.want == "") || !strings.HasSuffix(got, c.want+")") && c.want != "" || strings.Count(got, "\n") > 0 {
				t.Errorf("got warnings %q, want one with %q", got, c.want)
			}
		})
	}
}

// The daemon is only asked for sources of which it sent the image, and one that never answers does not stop a push.
func TestPushDoesNotNeedTheDaemonForRebuiltImages(t *testing.T) {
	w, builder := built(t), fakes.NewRegistry()
	builder.Image(t, "plain:s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
	w.Daemon.Holds(t, builder, "plain:s390x", "plain:s390x")
	for _, sources := range [][]string{{example + ":amd64"}, {example + ":amd64", "plain:s390x"}} {
		c := fakes.Creation(t, example+":1", sources...)
		c.Existing = publish.Replace
		if _, err := create(t, w, c); err != nil {
			t.Fatal(err)
		}
		if _, err := push(t, w, example+":1", false); err != nil {
			t.Fatal(err)
		}
		asked := asking{silent{}, make(chan string, 10)}
		clients := publish.Clients{Registry: w.Registry, Images: asked, Reporter: w.Notes}
		if _, err := publish.PushLocal(t.Context(), w.Lists, clients, fakes.ListName(t, example+":1"), publish.Publication{}, false); err != nil {
			t.Errorf("%v: got error %v, want none", sources, err)
		}
		close(asked.names)
		var got []string
		for name := range asked.names {
			got = append(got, name)
		}
		if want := slices.DeleteFunc(slices.Clone(sources), func(s string) bool { return s != "plain:s390x" }); !slices.Equal(got, want) {
			t.Errorf("%v: got questions %q to the daemon, want %q", sources, got, want)
		}
	}
}

// asking records the names that a daemon is asked for.
type asking struct {
	manifest.Images
	names chan string
}

func (a asking) Find(ctx context.Context, ref reference.Named) (manifest.Local, error) {
	a.names <- manifest.Familiar(ref)
	return a.Images.Find(ctx, ref)
}
