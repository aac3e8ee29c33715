package publish_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// gatedDaemon is a daemon whose pushes wait for release.
type gatedDaemon struct {
	*fakes.Daemon
	started chan string
	release map[string]chan error // by name
}

func (d gatedDaemon) Push(ctx context.Context, name reference.NamedTagged, p *ocispec.Platform) (digest.Digest, error) {
	d.started <- name.String()
	select {
	case err := <-d.release[name.String()]:
		if err != nil {
			return "", err
		}
		return d.Daemon.Push(ctx, name, p)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// begun returns the names whose pushes have started since the last call.
func (d gatedDaemon) begun() []string {
	synctest.Wait()
	var names []string
	for len(d.started) > 0 {
		names = append(names, <-d.started)
	}
	slices.Sort(names)
	return names
}

// pendingPush is a push of a list of pending images.
type pendingPush struct {
	daemon gatedDaemon
	end    func() (publish.Pushed, error) // waits for the push
}

// startPush starts the push of a list of images that the daemon has in the target repository, by tag and platform.
func startPush(t *testing.T, images ...[2]string) pendingPush {
	t.Helper()
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	d := gatedDaemon{w.Daemon, make(chan string, 100), map[string]chan error{}}
	var sources []string
	for _, image := range images {
		name := example + ":" + image[0]
		builder.Image(t, name, manifest.MediaTypeDockerManifest, image[1])
		w.Daemon.Holds(t, builder, name, name)
		d.release[name] = make(chan error, 10)
		sources = append(sources, name)
	}
	clients := w.Clients()
	clients.Images = d
	c := fakes.Creation(t, example+":1", sources...)
	done := make(chan struct{})
	var pushed publish.Pushed
	var err error
	go func() {
		defer close(done)
		pushed, err = publish.CreateAndPush(t.Context(), clients, c)
	}()
	return pendingPush{d, func() (publish.Pushed, error) { <-done; return pushed, err }}
}

func TestPendingTwoAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPush(t, [2]string{"a", "linux/amd64"}, [2]string{"b", "linux/arm64"}, [2]string{"c", "linux/s390x"})
		a, b, c := example+":a", example+":b", example+":c"
		if got, want := p.daemon.begun(), []string{a, b}; !slices.Equal(got, want) {
			t.Errorf("got pushes of %q, want %q", got, want)
		}
		p.daemon.release[b] <- nil
		if got, want := p.daemon.begun(), []string{c}; !slices.Equal(got, want) {
			t.Errorf("got pushes of %q after the end of b, want %q", got, want)
		}
		p.daemon.release[c] <- nil
		synctest.Wait()
		p.daemon.release[a] <- nil
		pushed, err := p.end()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := summary(pushed.List), "example.com/app:a linux/amd64; example.com/app:b linux/arm64; example.com/app:c linux/s390x"; got != want {
			t.Errorf("got list %s, want %s", got, want)
		}
		for i, want := range []string{a, b, c} {
			if got := pushed.Children[i].Ref.String(); got != want {
				t.Errorf("got child %d %s, want %s", i, got, want)
			}
		}
	})
}

func TestPendingErrorCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPush(t, [2]string{"a", "linux/amd64"}, [2]string{"b", "linux/arm64"}, [2]string{"c", "linux/s390x"})
		p.daemon.begun()
		p.daemon.release[example+":b"] <- errors.New("denied")
		if _, err := p.end(); err == nil || !strings.Contains(err.Error(), "pushing example.com/app:b from the daemon: denied") {
			t.Errorf("got %v, want the error of b", err)
		}
		if got := p.daemon.begun(); len(got) > 0 {
			t.Errorf("got pushes of %q after an error", got)
		}
	})
}

// A push that is refused because of a blob that another push was sending is repeated when no other runs.
func TestPendingBlobUnknown(t *testing.T) {
	unknown := manifest.Errorf(errdefs.ErrAborted, "manifest blob unknown")
	synctest.Test(t, func(t *testing.T) {
		p := startPush(t, [2]string{"a", "linux/amd64"}, [2]string{"b", "linux/arm64"})
		a, b := example+":a", example+":b"
		p.daemon.begun()
		p.daemon.release[a] <- unknown
		if got := p.daemon.begun(); len(got) > 0 {
			t.Errorf("got pushes of %q during that of b", got)
		}
		p.daemon.release[b] <- nil
		if got, want := p.daemon.begun(), []string{a}; !slices.Equal(got, want) {
			t.Errorf("got pushes of %q after the end of b, want %q", got, want)
		}
		p.daemon.release[a] <- nil
		pushed, err := p.end()
		if got, want := summary(pushed.List), "example.com/app:a linux/amd64; example.com/app:b linux/arm64"; err != nil || got != want {
			t.Errorf("got list %s (%v), want %s", got, err, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := startPush(t, [2]string{"a", "linux/amd64"})
		p.daemon.release[example+":a"] <- unknown
		if _, err := p.end(); !errdefs.IsAborted(err) || len(p.daemon.started) != 1 {
			t.Errorf("got %v after %d pushes, want the error of the only one", err, len(p.daemon.started))
		}
	})
}

// Two names of one image have the same staging name: they are pushed one after the other.
func TestPendingSameImage(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "plain:a", manifest.MediaTypeDockerManifest, "linux/amd64")
	local := w.Daemon.Holds(t, builder, "plain:a", "plain:a")
	w.Daemon.Holds(t, builder, "plain:a", "plain:b")
	entries := func() (out []manifest.Entry) {
		for _, name := range []string{"plain:a", "plain:b"} {
			out = append(out, manifest.Entry{
				Ref: fakes.Named(t, name), Source: fakes.Named(t, name), Descriptor: ocispec.Descriptor{Platform: &local.Platform},
				Pending: &manifest.Pending{ID: local.ID, Platform: local.Platform},
			})
		}
		return out
	}
	list := manifest.List{Name: fakes.Named(t, example+":1"), Entries: entries()}
	if _, err := publish.Push(t.Context(), w.Clients(), publish.Publication{List: list}); err != nil {
		t.Fatal(err)
	}
	staging := example + ":1-linux-amd64-" + publish.Short(local.ID)
	one := []string{"tag " + staging, "push " + staging, "untag " + staging}
	if want := slices.Concat(one, one); !slices.Equal(w.Daemon.Log, want) {
		t.Errorf("got requests to the daemon %q, want %q", w.Daemon.Log, want)
	}
}

// Whatever happens to a push, the daemon has no staging name afterwards.
func TestPendingRemovesStagingNames(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	var sources []string
	for tag, platform := range map[string]string{"a": "linux/amd64", "b": "linux/arm64", "c": "linux/s390x"} {
		builder.Image(t, "plain:"+tag, manifest.MediaTypeDockerManifest, platform)
		w.Daemon.Holds(t, builder, "plain:"+tag, "plain:"+tag)
		sources = append(sources, "plain:"+tag)
	}
	w.Registry.Errs["push"] = errors.New("denied")
	if _, err := publish.CreateAndPush(t.Context(), w.Clients(), fakes.Creation(t, example+":1", sources...)); err == nil {
		t.Error("got no error, want denied")
	}
	for name := range w.Daemon.Images {
		if !strings.HasPrefix(name, "docker.io/library/plain:") {
			t.Errorf("got %s in the daemon, want no staging name", name)
		}
	}
}

// mute is a daemon that does not report what it pushed.
type mute struct{ *fakes.Daemon }

func (m mute) Push(ctx context.Context, name reference.NamedTagged, platform *ocispec.Platform) (digest.Digest, error) {
	_, err := m.Daemon.Push(ctx, name, platform)
	return "", err
}

// A daemon that reports neither variants nor what it pushed, as podman, has images read back: the tag must have the config of
// the image, which has the variant. An annotated variant is kept.
func TestPushPendingOfADaemonThatReportsLess(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	for _, variant := range []string{"v6", "v7"} {
		builder.Image(t, "plain:"+variant, manifest.MediaTypeDockerManifest, "linux/arm/"+variant)
		local := w.Daemon.Holds(t, builder, "plain:"+variant, "plain:"+variant)
		local.Platform.Variant, local.NoVariant = "", true
		w.Daemon.Images[local.Name.String()] = local
	}
	w.Registry.Blobs = builder.Blobs
	list, err := create(t, w, fakes.Creation(t, example+":1", "plain:v6", "plain:v7"))
	if err != nil {
		t.Fatal(err)
	}
	annotated := list.Entries[1].Platform()
	annotated.Variant = "v8"
	list.Entries[1].Descriptor.Platform = &annotated
	clients := w.Clients()
	clients.Images = mute{w.Daemon}
	pushed, err := publish.Push(t.Context(), clients, publish.Publication{List: list})
	if want := "plain:v6 linux/arm/v6; plain:v7 linux/arm/v8"; err != nil || summary(pushed.List) != want {
		t.Errorf("got %s and error %v, want %s", summary(pushed.List), err, want)
	}
	builder.Image(t, "plain:other", manifest.MediaTypeDockerManifest, "linux/amd64")
	for id := range w.Daemon.Content {
		if w.Daemon.Content[id], err = builder.Fetch(t.Context(), fakes.Named(t, "plain:other")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := publish.Push(t.Context(), clients, publish.Publication{List: list}); err == nil || !strings.Contains(err.Error(), "did not report what it pushed as") {
		t.Errorf("got error %v, want one for a tag that is another image", err)
	}
}

// holdsWithoutVariant adds images to the daemon of w, by tag and platform, whose variants the daemon does not report.
func holdsWithoutVariant(t *testing.T, w fakes.Fixture, images map[string]string) {
	t.Helper()
	builder := fakes.NewRegistry()
	for tag, platform := range images {
		builder.Image(t, "plain:"+tag, manifest.MediaTypeDockerManifest, platform, tag)
		local := w.Daemon.Holds(t, builder, "plain:"+tag, "plain:"+tag)
		local.Platform.Variant, local.NoVariant = "", true
		w.Daemon.Images[local.Name.String()] = local
	}
	maps.Copy(w.Registry.Blobs, builder.Blobs)
}

func isComma(r rune) bool { return r == ',' }

// Variants of arm that are unknown until the images are pushed are neither duplicates nor missing before.
func TestPublishUnknownVariants(t *testing.T) {
	for _, tt := range []struct {
		name, require, platform string
		sources                 []string
		want, wantErr           string
	}{
		{"v6 and v7", "linux/arm/v6,linux/arm/v7", "", []string{"v6", "v7"}, "plain:v6 linux/arm/v6; plain:v7 linux/arm/v7", ""},
		{"all variants", "", "linux/arm/*", []string{"v6"}, "plain:v6 linux/arm/v6", ""},
		{"other platforms", "", "linux/arm64,linux/amd64", []string{"v6", "v8", "amd64"}, "plain:v8 linux/arm64/v8; plain:amd64 linux/amd64", ""},
		{"v6 twice", "", "", []string{"v6", "v7", "again"}, "", "plain:v6 and plain:again are both for linux/arm/v6"},
		{"v5 required", "linux/arm/v5", "", []string{"v6", "v7"}, "", "no image for linux/arm/v5"},
		{"s390x required", "linux/s390x", "", []string{"v6"}, "", "no image for linux/s390x"},
		{"v7 chosen", "", "linux/arm/v7", []string{"v6"}, "", "does not report the variant of plain:v6"},
		{"amd64 twice", "", "", []string{"amd64", "other"}, "", "plain:amd64 and plain:other are both for linux/amd64"},
	} {
		w := fakes.NewFixture()
		holdsWithoutVariant(t, w, map[string]string{"v6": "linux/arm/v6", "v7": "linux/arm/v7", "v8": "linux/arm64/v8",
			"again": "linux/arm/v6", "amd64": "linux/amd64", "other": "linux/amd64"})
		var sources []string
		for _, tag := range tt.sources {
			sources = append(sources, "plain:"+tag)
		}
		c := fakes.Creation(t, example+":1", sources...)
		var errs [2]error
		c.Require, errs[0] = manifest.ParsePlatforms(strings.FieldsFunc(tt.require, isComma))
		c.Choice.Platforms, errs[1] = manifest.ParsePlatforms(strings.FieldsFunc(tt.platform, isComma))
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		pushed, err := publish.CreateAndPush(t.Context(), w.Clients(), c)
		if got := summary(pushed.List); err == nil && got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("%s: got list %s and error %v, want %s%s", tt.name, got, err, tt.want, tt.wantErr)
		}
		if _, ok := w.Registry.Manifests[example+":1"]; ok && tt.wantErr != "" {
			t.Errorf("%s: got a list in the registry, want none", tt.name)
		}
	}
}

// Duplicates that a push finds are a warning, as those are that are known before.
func TestPushWarnsOfVariantsThatWereUnknown(t *testing.T) {
	w := fakes.NewFixture()
	holdsWithoutVariant(t, w, map[string]string{"v6": "linux/arm/v6", "again": "linux/arm/v6"})
	if _, err := create(t, w, fakes.Creation(t, example+":1", "plain:v6", "plain:again")); err != nil {
		t.Fatal(err)
	}
	if len(w.Notes.Warnings) > 0 {
		t.Errorf("got warnings %q of create, want none", w.Notes.Warnings)
	}
	if _, err := push(t, w, example+":1", false); err != nil {
		t.Fatal(err)
	}
	want := []string{"plain:v6 and plain:again are both for linux/arm/v6; one was probably built without --platform (otherwise, annotate one before the push)"}
	if !slices.Equal(w.Notes.Warnings, want) {
		t.Errorf("got warnings %q of push, want %q", w.Notes.Warnings, want)
	}
}

// localhost is a daemon that has images without a registry under localhost, as podman.
type localhost struct{ *fakes.Daemon }

func (l localhost) Find(ctx context.Context, ref reference.Named) (manifest.Local, error) {
	local, err := l.Daemon.Find(ctx, ref)
	if err == nil && strings.HasPrefix(ref.String(), "docker.io/") {
		local.Name, err = reference.ParseNormalizedNamed("localhost/" + manifest.Familiar(ref))
	}
	return local, err
}

// An image that the daemon has under another name is not pushed under the name in the target repository.
func TestPushImageUnderLocalhost(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "team/app:amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	local := w.Daemon.Holds(t, builder, "team/app:amd64", "team/app:amd64")
	clients := w.Clients()
	clients.Images = localhost{w.Daemon}
	if _, err := publish.CreateAndPush(t.Context(), clients, fakes.Creation(t, "team/app:1", "team/app:amd64")); err != nil {
		t.Fatal(err)
	}
	staging := "team/app:1-linux-amd64-" + publish.Short(local.ID)
	if want := []string{"tag " + staging, "push " + staging, "untag " + staging}; !slices.Equal(w.Daemon.Log, want) {
		t.Errorf("got requests to the daemon %q, want %q", w.Daemon.Log, want)
	}
	_, err := publish.PushLocal(t.Context(), w.Lists, clients, fakes.ListName(t, "team/app:amd64"), publish.Publication{}, false)
	const hint = "docker tag localhost/team/app:amd64 docker.io/team/app:amd64"
	if !errdefs.IsNotFound(err) || !strings.Contains(manifest.Hint(err), hint) {
		t.Errorf("got error %v, want one with the hint %s", err, hint)
	}
}

// The result of a push has the tags that were made for it, and counts the platforms of the whole index.
func TestPushedStagingTagsAndPlatforms(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	ids := map[string]string{}
	for name, platform := range map[string]string{example + ":own": "linux/amd64", "team/app:x": "linux/arm64", "team/app:y": "linux/s390x"} {
		builder.Image(t, name, manifest.MediaTypeDockerManifest, platform)
		ids[name] = publish.Short(w.Daemon.Holds(t, builder, name, name).ID)
	}
	for _, tt := range []struct {
		publish   func(context.Context, publish.Clients, publish.Creation) (publish.Pushed, error)
		sources   []string
		staging   string
		platforms int
	}{
		{publish.CreateAndPush, []string{example + ":own", "team/app:x"}, "example.com/app:1-linux-arm64-" + ids["team/app:x"], 2},
		{publish.AmendPublished, []string{"team/app:y"}, "example.com/app:1-linux-s390x-" + ids["team/app:y"], 3},
		{publish.AmendPublished, []string{"team/app:y"}, "example.com/app:1-linux-s390x-" + ids["team/app:y"], 3},
	} {
		pushed, err := tt.publish(t.Context(), w.Clients(), fakes.Creation(t, example+":1", tt.sources...))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(pushed.StagingTags(), " "); got != tt.staging || pushed.Platforms != tt.platforms {
			t.Errorf("%v: got staging tags %q and %d platforms, want %q and %d", tt.sources, got, pushed.Platforms, tt.staging, tt.platforms)
		}
	}
}
