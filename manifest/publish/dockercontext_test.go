package publish_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

func TestParseSourceOfContext(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	for _, tt := range []struct{ typed, name, image string }{
		{"context://arm/app", "arm", "docker.io/library/app:latest"},
		{"context://arm.1+x/team/app:1", "arm.1+x", "docker.io/team/app:1"},
		{"context://ARM/h.example.com:5000/app@" + d, "ARM", "h.example.com:5000/app@" + d},
		{"app:1", "", "docker.io/library/app:1"},
	} {
		s, err := publish.ParseSource(tt.typed, example+":1")
		if err != nil {
			t.Errorf("%s: %v", tt.typed, err)
			continue
		}
		name, image := manifest.OfContext(s.Ref)
		if name != tt.name || image.String() != tt.image {
			t.Errorf("%s: got image %s of context %q, want %s of %q", tt.typed, image, name, tt.image, tt.name)
		}
		again, err := manifest.ParseSourceName(s.Ref.String())
		if err != nil || again.String() != s.Ref.String() {
			t.Errorf("%s: got %v (%v) from the stored name, want %s", tt.typed, again, err, s.Ref)
		}
	}
	for typed, want := range map[string]string{
		"context://":           "context://NAME/IMAGE",
		"context://arm":        "context://NAME/IMAGE",
		"context://arm/":       "context://NAME/IMAGE",
		"context:///app":       "context://NAME/IMAGE",
		"context://a\x1bm/app": "context://NAME/IMAGE",
		"context://arm/A":      "is not a reference",
		"context://arm/" + d:   "docker --context arm tag " + d,
	} {
		if s, err := publish.ParseSource(typed, example+":1"); err == nil || !strings.Contains(err.Error()+manifest.Hint(err), want) {
			t.Errorf("%q: got %v (%v, hint %q), want %q", typed, s.Ref, err, manifest.Hint(err), want)
		}
	}
}

// withContext adds a docker context whose daemon has an image for arm64.
func withContext(t *testing.T, w fakes.Fixture, image string) (publish.Clients, *fakes.Daemon) {
	builder, d := fakes.NewRegistry(), fakes.NewDaemon(w.Registry)
	builder.Image(t, image, manifest.MediaTypeDockerManifest, "linux/arm64")
	d.Holds(t, builder, image, image)
	clients := w.Clients()
	clients.Context = func(name string) (manifest.Images, func(context.Context) ([]string, error)) {
		if name != "arm" {
			t.Errorf("got docker context %q, want arm", name)
		}
		return d, d.List
	}
	return clients, d
}

// Each daemon pushes its own image of the same name, and no staging name stays in either.
func TestPushImagesOfContexts(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "app:1", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Daemon.Holds(t, builder, "app:1", "app:1")
	clients, other := withContext(t, w, "app:1")
	name := fakes.ListName(t, example+":1")
	if _, err := publish.Create(t.Context(), w.Lists, clients, fakes.Creation(t, example+":1", "context://arm/app:1", "app:1")); err != nil {
		t.Fatal(err)
	}
	pushed, err := publish.PushLocal(t.Context(), w.Lists, clients, name, publish.Publication{}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := "example.com/app:1-linux-arm64-" + publish.Short(other.Images["docker.io/library/app:1"].ID)
	if got := pushed.Children[0].Ref.String(); got != want || summary(pushed.List) != "context://arm/app:1 linux/arm64; app:1 linux/amd64" {
		t.Errorf("got %s, the first as %s, want it as %s", summary(pushed.List), got, want)
	}
	for _, d := range []*fakes.Daemon{w.Daemon, other} {
		if len(d.Log) != 3 || len(d.Images) != 1 {
			t.Errorf("got requests %q to a daemon that has %v, want tag, push and untag", d.Log, d.Images)
		}
	}
	builder.Image(t, "app:1", manifest.MediaTypeDockerManifest, "linux/arm64", "again")
	other.Holds(t, builder, "app:1", "app:1")
	if _, err := publish.PushLocal(t.Context(), w.Lists, clients, name, publish.Publication{}, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"context://arm/app:1 in the daemon of docker context arm has changed", "create --amend example.com/app:1 context://arm/app:1"} {
		if got := w.Notes.Warnings; len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("got warnings %q, want %q", got, want)
		}
	}
}

// Two images of each daemon are pushed at a time.
func TestPendingTwoAtATimeOfEachDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fakes.NewFixture()
		clients, other := withContext(t, w, example+":o1")
		gated := gatedDaemon{w.Daemon, make(chan string, 100), map[string]chan error{}}
		clients.Images = gated
		gatedOther := gatedDaemon{other, gated.started, gated.release}
		clients.Context = func(string) (manifest.Images, func(context.Context) ([]string, error)) { return gatedOther, nil }
		builder := fakes.NewRegistry()
		sources := []string{"context://arm/" + example + ":o1"}
		for _, tag := range []string{"a", "b", "c", "o1"} {
			name := example + ":" + tag
			gated.release[name] = make(chan error, 10)
			if tag != "o1" {
				builder.Image(t, name, manifest.MediaTypeDockerManifest, map[string]string{"a": "linux/amd64", "b": "linux/s390x", "c": "linux/386"}[tag])
				w.Daemon.Holds(t, builder, name, name)
				sources = append(sources, name)
			}
		}
		done := make(chan error)
		go func() {
			_, err := publish.CreateAndPush(t.Context(), clients, fakes.Creation(t, example+":1", sources...))
			done <- err
		}()
		if got, want := gated.begun(), []string{example + ":a", example + ":b", example + ":o1"}; !slices.Equal(got, want) {
			t.Errorf("got pushes of %q, want %q", got, want)
		}
		for _, release := range gated.release {
			release <- nil
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Errors and hints name the docker context, and commands for its daemon.
func TestErrorsOfContexts(t *testing.T) {
	for _, tt := range []struct {
		name, source string
		change       func(*fakes.Fixture, *fakes.Daemon)
		want         []string
	}{
		{"absent", "context://arm/app:2", nil, []string{"no image context://arm/app:2 in the daemon of docker context arm", "it has app:1", "did you mean: context://arm/app:1"}},
		{"unreachable", "context://arm/app:1", func(_ *fakes.Fixture, d *fakes.Daemon) {
			d.Err = manifest.Errorf(errdefs.ErrUnavailable, "cannot reach the Docker daemon")
		}, []string{"docker context arm: cannot reach", "docker context ls"}},
		{"digest", "context://arm/app@", func(_ *fakes.Fixture, d *fakes.Daemon) {
			for _, l := range d.Images {
				d.Images["docker.io/library/app@"+l.ID.String()] = l
			}
		}, []string{"only in the daemon of docker context arm", "docker --context arm tag app@", "app:TAG"}},
		{"push", "context://arm/app:1", func(w *fakes.Fixture, _ *fakes.Daemon) {
			w.Registry.Errs["push"] = manifest.Errorf(errdefs.ErrUnknown, "no such host")
		}, []string{"pushing context://arm/app:1 from the daemon of docker context arm: no such host"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fakes.NewFixture()
			clients, d := withContext(t, w, "app:1")
			if strings.HasSuffix(tt.source, "@") {
				tt.source += d.Images["docker.io/library/app:1"].ID.String()
			}
			if tt.change != nil {
				tt.change(&w, d)
			}
			_, err := publish.CreateAndPush(t.Context(), clients, fakes.Creation(t, example+":1", tt.source))
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if got := err.Error() + "; hint: " + manifest.Hint(err); !strings.Contains(got, want) {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}
