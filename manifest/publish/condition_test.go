package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// TestPublishConditions checks which states of the tags let a list be published, and that nothing is written otherwise.
func TestPublishConditions(t *testing.T) {
	for name, c := range map[string]struct {
		condition manifest.Condition
		existing  bool  // the name of the list points to another image
		err       error // of the lookup of tag 2
		want      string
	}{
		"none":                {existing: true},
		"none, unknown":       {err: errors.New("503")},
		"no clobber, free":    {condition: manifest.Condition{NoClobber: true}},
		"no clobber, taken":   {condition: manifest.Condition{NoClobber: true}, existing: true, want: "already points to"},
		"no clobber, unknown": {condition: manifest.Condition{NoClobber: true}, err: errors.New("503"), want: "looking up the tag h.example.com/app:2: 503"},
		"absent, free":        {condition: manifest.Condition{Absent: true}},
		"absent, taken":       {condition: manifest.Condition{Absent: true}, existing: true, want: "requires that it is absent"},
		"digest, absent":      {condition: manifest.Condition{Digest: one}, want: "h.example.com/app:2 does not exist"},
		"digest, another":     {condition: manifest.Condition{Digest: one}, existing: true, want: "but --if-digest requires " + one.String()},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakes.NewFixture()
			w.Registry.Image(t, repo+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
			if c.existing {
				w.Registry.Image(t, repo+":1", ocispec.MediaTypeImageManifest, "linux/arm64")
			}
			w.Registry.Errs[repo+":2"] = c.err
			creation := fakes.Creation(t, repo+":1", repo+":amd64")
			creation.Tags, creation.Condition = []reference.NamedTagged{fakes.ListName(t, repo+":2")}, c.condition
			pushed, err := publish.CreateAndPush(t.Context(), w.Clients(), creation)
			put := strings.Contains(strings.Join(w.Registry.Log, "\n"), "put ")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || put != (c.want == "") {
				t.Errorf("got %v and a write: %t, want %q", err, put, c.want)
			}
			moved := strings.Contains(strings.Join(w.Notes.Notes, "\n"), "moved "+repo+":1 from ")
			if moved != (c.existing && err == nil) {
				t.Errorf("got notes %q of %s, want one for the tag that moved", w.Notes.Notes, pushed.Descriptor.Digest)
			}
		})
	}
}

// mirror returns the clients of a fixture with a Mirror that copies one manifest.
func mirror(w fakes.Fixture) publish.Clients {
	clients := w.Clients()
	clients.Mirror = func(ctx context.Context, from reference.Canonical, to reference.Named) error {
		c, err := w.Registry.Fetch(ctx, from)
		if err == nil {
			err = w.Registry.Copy(ctx, from, c, to)
		}
		return err
	}
	return clients
}

// A condition holds for the tags in all registries, before any of them is written, also where an image is pushed.
func TestPublishCopiesOnCondition(t *testing.T) {
	const far = "far.example.com/app:1"
	for _, image := range []bool{false, true} {
		for _, moved := range []string{"", repo + ":2", far} {
			t.Run(fmt.Sprintf("image=%t, moved=%s", image, moved), func(t *testing.T) {
				w, builder := fakes.NewFixture(), fakes.NewRegistry()
				before := w.Registry.Image(t, repo+":1", ocispec.MediaTypeImageManifest, "linux/arm64")
				for _, name := range []string{repo + ":2", far} {
					w.Registry.Store(fakes.Named(t, name), before.MediaType, w.Registry.Manifests[repo+":1"])
				}
				builder.Image(t, repo+":1", ocispec.MediaTypeImageManifest, "linux/amd64")
				local := w.Daemon.Holds(t, builder, repo+":1", repo+":1")
				w.Daemon.Pushed = func() {
					if moved != "" {
						w.Registry.Store(fakes.Named(t, moved), before.MediaType, []byte(`{"other":1}`))
					}
				}
				name, p := fakes.ListName(t, repo+":1"), publish.Publication{
					Tags: []reference.NamedTagged{fakes.ListName(t, repo+":2")}, Copies: []reference.NamedTagged{fakes.ListName(t, far)},
					Condition: manifest.Condition{Digest: before.Digest},
				}
				if !image {
					c := fakes.Creation(t, name.String(), name.String())
					c.Choice.From = publish.InDaemon
					if _, err := publish.Create(t.Context(), w.Lists, w.Clients(), c); err != nil {
						t.Fatal(err)
					}
				}
				pushed, err := publish.PushLocal(t.Context(), w.Lists, mirror(w), name, p, false)
				want := "but --if-digest requires " + before.Digest.String()
				if (err == nil) != (moved == "") || err != nil && !strings.Contains(err.Error(), moved) || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("got %v of image %s, want an error for %q", err, local.ID, moved)
				}
				written := "no tag was written"
				if image {
					written = "(" + repo + ":1 written, " + repo + ":2, " + far + " not)"
				}
				if err != nil && !strings.Contains(err.Error(), written) {
					t.Errorf("got %v, want %s in it", err, written)
				}
				for _, tag := range []string{repo + ":2", far} {
					got, want := digest.FromBytes(w.Registry.Manifests[tag]), before.Digest
					if err == nil {
						want = pushed.Descriptor.Digest
					}
					if tag != moved && got != want {
						t.Errorf("got %s under %s, want %s", got, tag, want)
					}
				}
			})
		}
	}
}

// The plan of the push of an image has all its tags, and respects the condition.
func TestPlanImage(t *testing.T) {
	w := fakes.NewFixture()
	before := w.Registry.Image(t, repo+":2", ocispec.MediaTypeImageManifest, "linux/arm64")
	builder := fakes.NewRegistry()
	builder.Image(t, repo+":1", ocispec.MediaTypeImageManifest, "linux/amd64")
	w.Daemon.Holds(t, builder, repo+":1", repo+":1")
	name, p := fakes.ListName(t, repo+":1"), publish.Publication{Tags: []reference.NamedTagged{fakes.ListName(t, repo+":2")}}
	noList := errors.New("no list")
	for _, tt := range []struct {
		condition manifest.Condition
		want      string
	}{
		{manifest.Condition{}, ""},
		{manifest.Condition{NoClobber: true}, repo + ":2 already points to " + before.Digest.String()},
		{manifest.Condition{Absent: true}, repo + ":2 exists"},
		{manifest.Condition{Digest: before.Digest}, repo + ":1 does not exist"},
	} {
		p.Condition = tt.condition
		steps, err := publish.PlanImage(t.Context(), w.Clients(), name, p, noList)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %q", tt.condition, err, tt.want)
		}
		if want := []string{"push the image from the daemon: " + repo + ":1", "push the image: " + repo + ":2"}; !slices.Equal(steps, want) {
			t.Errorf("%+v: got steps %q, want %q", tt.condition, steps, want)
		}
	}
	if _, err := publish.PlanImage(t.Context(), w.Clients(), fakes.ListName(t, repo+":3"), p, noList); !errors.Is(err, noList) {
		t.Errorf("got %v, want %v in it", err, noList)
	}
	if len(w.Daemon.Log) > 0 {
		t.Errorf("got requests to the daemon %q, want none that change anything", w.Daemon.Log)
	}
}
