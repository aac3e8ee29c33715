package publish_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

func create(t *testing.T, w fakes.Fixture, c publish.Creation) (manifest.List, error) {
	t.Helper()
	return publish.Create(t.Context(), w.Lists, w.Clients(), c)
}

func push(t *testing.T, w fakes.Fixture, name string, purge bool) (publish.Pushed, error) {
	t.Helper()
	return publish.PushLocal(t.Context(), w.Lists, w.Clients(), fakes.ListName(t, name), publish.Publication{}, purge)
}

const example = "example.com/app"

// built is a world with an image for each of two platforms in the registry.
func built(t *testing.T) fakes.Fixture {
	w := fakes.NewFixture()
	w.Registry.Image(t, example+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Registry.Image(t, example+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64")
	return w
}

func TestCreateKeepsOrder(t *testing.T) {
	w := built(t)
	list, err := create(t, w, fakes.Creation(t, example+":1", example+":arm64", example+":amd64"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(list), "example.com/app:arm64 linux/arm64; example.com/app:amd64 linux/amd64"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(w.Notes.Notes)+len(w.Notes.Warnings) > 0 {
		t.Errorf("got notes %q and warnings %q, want none for sources that docker manifest accepts", w.Notes.Notes, w.Notes.Warnings)
	}
}

// The store has the digest of the last push, so that the list is known to have changed since.
func TestPushState(t *testing.T) {
	w := built(t)
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":arm64", example+":amd64")); err != nil {
		t.Fatal(err)
	}
	name, other := fakes.ListName(t, example+":1"), fakes.ListName(t, example+":2")
	pushes := func() error {
		_, err := push(t, w, example+":1", false)
		return err
	}
	for _, tt := range []struct {
		name   string
		change func() error
		list   reference.Named
		want   string
	}{
		{"new", func() error { return nil }, name, manifest.StateNeverPushed},
		{"pushed", pushes, name, manifest.StatePushed},
		{"copied", func() error {
			return publish.Tag(t.Context(), w.Lists, w.Daemon, name, []reference.NamedTagged{other})
		}, other, manifest.StateNeverPushed},
		{"changed", func() error { return publish.DropLocal(t.Context(), w.Lists, name, []string{"linux/amd64"}) }, name, manifest.StateChanged},
		{"pushed again", pushes, name, manifest.StatePushed},
		{"written by docker manifest", func() error {
			l := w.Lists[name.String()]
			l.Pushed = manifest.PushedUnknown
			return w.Lists.Replace(t.Context(), l)
		}, name, ""},
		{"written by docker manifest and pushed", pushes, name, ""},
	} {
		if err := tt.change(); err != nil {
			t.Fatal(err)
		}
		if got := w.Lists[tt.list.String()].PushState(); got != tt.want {
			t.Errorf("%s: got state %q, want %q", tt.name, got, tt.want)
		}
	}
}

// fullStore cannot be written to.
type fullStore struct{ fakes.Lists }

func (fullStore) Update(context.Context, reference.Named, func(manifest.List) (manifest.List, error)) error {
	return errors.New("no space left on device")
}

// A push whose digest cannot be stored has succeeded.
func TestPushFromFullStore(t *testing.T) {
	w := built(t)
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":arm64", example+":amd64")); err != nil {
		t.Fatal(err)
	}
	pushed, err := publish.PushLocal(t.Context(), fullStore{w.Lists}, w.Clients(), fakes.ListName(t, example+":1"), publish.Publication{}, false)
	if want := "example.com/app:1 was pushed (" + pushed.Descriptor.Digest.String() + "), but the local list could not be changed: no space left on device"; err != nil || !slices.Contains(w.Notes.Warnings, want) {
		t.Errorf("got error %v and warnings %q, want no error and %q", err, w.Notes.Warnings, want)
	}
}

func TestCreateLeavesNothingBehind(t *testing.T) {
	w := built(t)
	_, err := create(t, w, fakes.Creation(t, example+":1", example+":amd64", example+":absent"))
	if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "neither in the registry example.com nor in the daemon") {
		t.Errorf("got %v", err)
	}
	if len(w.Lists) > 0 {
		t.Errorf("got lists %v after a failure, want none", w.Lists)
	}
}

func TestCreateExisting(t *testing.T) {
	w := built(t)
	c := fakes.Creation(t, example+":1", example+":amd64")
	if _, err := create(t, w, c); err != nil {
		t.Fatal(err)
	}
	if _, err := create(t, w, c); !errdefs.IsAlreadyExists(err) {
		t.Errorf("got %v, want an error for an existing list", err)
	}
	w.Registry.Image(t, example+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64", "rebuilt")
	c = fakes.Creation(t, example+":1", example+":arm64", example+":amd64")
	c.Existing = publish.Amend
	list, err := create(t, w, c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(list), "example.com/app:amd64 linux/amd64; example.com/app:arm64 linux/arm64"; got != want {
		t.Errorf("amended: %s, want %s", got, want)
	}
	now, _ := w.Registry.Digest(t.Context(), fakes.Named(t, example+":amd64"))
	if list.Entries[0].Descriptor.Digest != now {
		t.Error("got the old entry, want the source read again")
	}
	c = fakes.Creation(t, example+":1", example+":arm64")
	c.Existing = publish.Replace
	if list, err = create(t, w, c); err != nil || len(list.Entries) != 1 {
		t.Errorf("got list %s (%v) after --replace", summary(list), err)
	}
}

// putIndexes puts an index of two platforms with attestations, one of them nested, under example:index.
func putIndexes(t *testing.T, w fakes.Fixture) {
	amd64 := w.Registry.Image(t, example+":i-amd64", ocispec.MediaTypeImageManifest, "linux/amd64", "i")
	arm64 := w.Registry.Image(t, example+":i-arm64", ocispec.MediaTypeImageManifest, "linux/arm64", "i")
	nested := w.Registry.Index(t, example+":nested", ocispec.MediaTypeImageIndex, arm64, w.Registry.Attestation(t, example+":a2", arm64.Digest))
	proof := w.Registry.Attestation(t, example+":a1", amd64.Digest)
	w.Registry.Index(t, example+":index", ocispec.MediaTypeImageIndex, amd64, proof, nested)
	w.Registry.Index(t, example+":one", ocispec.MediaTypeImageIndex, amd64, proof)
}

func TestCreateFromIndex(t *testing.T) {
	all := "example.com/app:index linux/amd64; example.com/app:index linux/arm64; " +
		"example.com/app:index unknown/unknown attestation; example.com/app:index unknown/unknown attestation"
	arm := "example.com/app:index linux/arm64; example.com/app:index unknown/unknown attestation"
	one := "example.com/app:one linux/amd64; example.com/app:one unknown/unknown attestation"
	for name, c := range map[string]struct {
		source string
		choice publish.Choice
		want   string
	}{
		"all":      {"index", publish.Choice{}, all},
		"strip":    {"index", publish.Choice{Strip: true}, "example.com/app:index linux/amd64; example.com/app:index linux/arm64"},
		"platform": {"index", publish.Choice{Platforms: []manifest.Platform{{Platform: ocispec.Platform{OS: "linux", Architecture: "arm64"}}}}, arm},
		"one":      {"one", publish.Choice{}, one},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakes.NewFixture()
			putIndexes(t, w)
			creation := fakes.Creation(t, example+":1", example+":"+c.source)
			creation.Choice = c.choice
			list, err := create(t, w, creation)
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(list); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if tagged := list.Entries[0].Ref.String() == example+":"+c.source; tagged != (name == "one") {
				t.Errorf("got %s as the name of the first entry", list.Entries[0].Ref)
			}
			if tags := (publish.Publication{List: list}).SourceTags(); (len(tags) == 1) != (name == "one") {
				t.Errorf("got source tags %v", tags)
			}
			if len(w.Notes.Notes) != 1 || !strings.Contains(w.Notes.Notes[0], "is an index; using linux/") {
				t.Errorf("got notes %q", w.Notes.Notes)
			}
			if mediaType, _ := list.IndexType(); mediaType != ocispec.MediaTypeImageIndex {
				t.Errorf("got media type %s", mediaType)
			}
		})
	}
}

// The version of Windows that an index does not state is read from the config, and only where it matters.
func TestCreateReadsWindowsVersions(t *testing.T) {
	windows := func(version string) manifest.Platform {
		return manifest.Platform{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: version}}
	}
	for name, c := range map[string]struct {
		platforms []manifest.Platform
		want      string
		configs   int
	}{
		"all":     {nil, "example.com/app:index windows(10.0.1)/amd64; example.com/app:index windows(10.0.2)/amd64; example.com/app:index linux/amd64", 2},
		"windows": {[]manifest.Platform{windows("")}, "example.com/app:index windows(10.0.1)/amd64; example.com/app:index windows(10.0.2)/amd64", 2},
		"one":     {[]manifest.Platform{windows("10.0.2")}, "example.com/app:index windows(10.0.2)/amd64", 2},
		"linux":   {[]manifest.Platform{{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}}, "example.com/app:index linux/amd64", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakes.NewFixture()
			first := w.Registry.Image(t, example+":w1", ocispec.MediaTypeImageManifest, "windows(10.0.1)/amd64")
			second := w.Registry.Image(t, example+":w2", ocispec.MediaTypeImageManifest, "windows(10.0.2)/amd64")
			linux := w.Registry.Image(t, example+":l", ocispec.MediaTypeImageManifest, "linux/amd64")
			first.Platform.OSVersion, second.Platform.OSVersion = "", ""
			w.Registry.Index(t, example+":index", ocispec.MediaTypeImageIndex, first, second, linux)
			w.Registry.Log = nil
			creation := fakes.Creation(t, example+":1", example+":index")
			creation.Choice.Platforms = c.platforms
			list, err := create(t, w, creation)
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(list); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if got := strings.Count(strings.Join(w.Registry.Log, "\n"), "blob"); got != c.configs {
				t.Errorf("got %d configs read, want %d: %q", got, c.configs, w.Registry.Log)
			}
		})
	}
}

func TestCreateBounds(t *testing.T) {
	w := fakes.NewFixture()
	d := w.Registry.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	for range manifest.MaxDepth + 1 {
		d = w.Registry.Index(t, example+":deep", ocispec.MediaTypeImageIndex, d)
	}
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":deep")); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("got %v", err)
	}
	many := slices.Repeat([]ocispec.Descriptor{d}, manifest.MaxEntries+1)
	w.Registry.Index(t, example+":wide", ocispec.MediaTypeImageIndex, many...)
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":wide")); !errdefs.IsInvalidArgument(err) {
		t.Errorf("got %v", err)
	}
}

func TestResolve(t *testing.T) {
	unauthorized := manifest.Errorf(errdefs.ErrUnauthenticated, "401")
	unreachable := manifest.Errorf(errdefs.ErrUnavailable, "connection refused")
	dead := manifest.Errorf(errdefs.ErrUnavailable, "the daemon cannot be reached")
	for name, c := range map[string]struct {
		source   string
		registry map[string]string // name: platform
		errs     map[string]error
		daemon   map[string]string
		dead     bool
		from     publish.Location
		want     string // the list, or the error
		warning  string
	}{
		"own registry first": {
			source: "example.com/app:a", registry: map[string]string{"example.com/app:a": "linux/amd64"}, daemon: map[string]string{"example.com/app:a": "linux/arm64"},
			want: "example.com/app:a linux/amd64", warning: "--from daemon uses the daemon's"},
		"same image in both": {
			source: "example.com/app:a", registry: map[string]string{"example.com/app:a": "linux/amd64"}, daemon: map[string]string{"example.com/app:a": "linux/amd64"},
			want: "example.com/app:a linux/amd64"},
		"then the daemon": {
			source: "example.com/app:a", daemon: map[string]string{"example.com/app:a": "linux/arm64"},
			want: "example.com/app:a linux/arm64 pending"},
		"plain name: the daemon first": {
			source: "app:a", registry: map[string]string{"app:a": "linux/amd64"}, daemon: map[string]string{"app:a": "linux/arm64"},
			want: "app:a linux/arm64 pending"},
		"plain name: then Docker Hub": {
			source: "app:a", registry: map[string]string{"app:a": "linux/amd64"}, want: "app:a linux/amd64"},
		"dead daemon, image in the registry": {
			source: "example.com/app:a", registry: map[string]string{"example.com/app:a": "linux/amd64"}, dead: true, want: "example.com/app:a linux/amd64"},
		"dead daemon, nothing in the registry": {
			source: "example.com/app:a", dead: true, want: "is not in the registry example.com, and the daemon could not be asked (the daemon cannot be reached)"},
		"plain name that is nowhere": {
			source: "app:amd46", daemon: map[string]string{"app:arm64": "linux/arm64", "app:amd64": "linux/amd64", "other:a": "linux/amd64"},
			want: "no image app:amd46 in the daemon; it has app:amd64 and app:arm64 (and the registry docker.io does not have it)\ndid you mean: app:amd64"},
		"plain name, another repository": {
			source: "ap:amd64", daemon: map[string]string{"app:amd64": "linux/amd64", "other:a": "linux/amd64"},
			want: "no image ap:amd64 in the daemon; it has app:amd64 (and the registry docker.io does not have it)\ndid you mean: app:amd64"},
		"plain name, and nothing like it": {
			source: "app:a", daemon: map[string]string{"other:b": "linux/amd64"}, want: "no image app:a in the daemon (and the registry docker.io does not have it)\n"},
		"plain name that Docker Hub refuses": {
			source: "app:a", errs: map[string]error{"docker.io/library/app:a": unauthorized}, want: "no image app:a in the daemon (and 401)\n"},
		"plain name, dead daemon": {
			source: "app:a", dead: true, errs: map[string]error{"docker.io/library/app:a": unreachable}, want: "the daemon cannot be reached (and connection refused)\n"},
		"name in the repository, and one like it in the daemon": {
			source: "example.com/app:amd46", daemon: map[string]string{"example.com/app:amd64": "linux/amd64"},
			want: "nor in the daemon (no image example.com/app:amd46 in the daemon; it has example.com/app:amd64)\ndid you mean: example.com/app:amd64"},
		"from daemon, and it does not have it": {
			source: "app:amd46", daemon: map[string]string{"app:amd64": "linux/amd64"}, from: publish.InDaemon,
			want: "no image app:amd46 in the daemon; it has app:amd64\ndid you mean: app:amd64"},
		"refused, and the daemon has it": {
			source: "example.com/app:a", errs: map[string]error{"example.com/app:a": unauthorized}, daemon: map[string]string{"example.com/app:a": "linux/arm64"},
			want: "example.com/app:a linux/arm64 pending", warning: "refused access to example.com/app:a (401); using the daemon's image"},
		"refused": {
			source: "example.com/app:a", errs: map[string]error{"example.com/app:a": unauthorized}, want: "401 (and no image example.com/app:a in the daemon)"},
		"unreachable": {
			source: "example.com/app:a", errs: map[string]error{"example.com/app:a": unreachable}, daemon: map[string]string{"example.com/app:a": "linux/arm64"},
			want: "--from daemon"},
		"from daemon": {
			source: "example.com/app:a", registry: map[string]string{"example.com/app:a": "linux/amd64"}, daemon: map[string]string{"example.com/app:a": "linux/arm64"}, from: publish.InDaemon,
			want: "example.com/app:a linux/arm64 pending"},
		"from registry": {
			source: "app:a", registry: map[string]string{"app:a": "linux/amd64"}, daemon: map[string]string{"app:a": "linux/arm64"}, from: publish.InRegistry,
			want: "app:a linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			w, builder := fakes.NewFixture(), fakes.NewRegistry()
			for name, platform := range c.registry {
				w.Registry.Image(t, name, manifest.MediaTypeDockerManifest, platform)
			}
			for ref, err := range c.errs {
				w.Registry.Errs[ref] = err
			}
			for name, platform := range c.daemon {
				builder.Image(t, name, manifest.MediaTypeDockerManifest, platform)
				w.Daemon.Holds(t, builder, name, name)
			}
			if c.dead {
				w.Daemon.Err = dead
			}
			creation := fakes.Creation(t, "example.com/app:1", c.source)
			creation.Choice.From = c.from
			list, err := create(t, w, creation)
			if err != nil {
				if got := err.Error() + "\n" + manifest.Hint(err); !strings.Contains(got, c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if got := summary(list); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := strings.Join(w.Notes.Warnings, "\n"); !strings.Contains(got, c.warning) || c.warning == "" && got != "" {
				t.Errorf("got warnings %q, want %q", got, c.warning)
			}
		})
	}
}

// A daemon that never answers does not keep a script that needs only the registry.
func TestResolveDoesNotWaitForTheDaemon(t *testing.T) {
	w := built(t)
	c := fakes.Creation(t, example+":1", example+":amd64")
	if _, err := publish.Create(t.Context(), w.Lists, publish.Clients{Registry: w.Registry, Images: silent{}, Reporter: w.Notes}, c); err != nil {
		t.Error(err)
	}
}

// silent is a daemon that never answers.
type silent struct{ manifest.Images }

func (silent) Find(ctx context.Context, _ reference.Named) (manifest.Local, error) {
	<-ctx.Done()
	return manifest.Local{}, ctx.Err()
}

// A daemon that does not answer is ignored, and not asked for what is in a file.
func TestOnlyInDaemon(t *testing.T) {
	for name, want := range map[string]bool{example + ":1": true, "oci-layout:///tmp/layout:1": false} {
		ref, err := manifest.ParseNameOrLayout(name)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := publish.OnlyInDaemon(t.Context(), silent{}, ref, errdefs.ErrNotFound)
			if asked := time.Since(start) > 0; !errors.Is(err, errdefs.ErrNotFound) || asked != want || time.Since(start) > time.Second {
				t.Errorf("%s: got %v after %s, want the daemon asked for at most 1s: %t", name, err, time.Since(start), want)
			}
		})
	}
}

func TestPushOrder(t *testing.T) {
	w := built(t)
	w.Registry.Image(t, "other.com/app:s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":amd64", "other.com/app:s390x")); err != nil {
		t.Fatal(err)
	}
	w.Registry.Log = nil
	pushed, err := push(t, w, example+":1", false)
	if err != nil {
		t.Fatal(err)
	}
	d := pushed.List.Entries[1].Descriptor.Digest
	want := []string{"fetch example.com/app:1", "copy other.com/app:s390x to example.com/app:1", "put example.com/app:1"}
	if !slices.Equal(w.Registry.Log, want) {
		t.Errorf("got requests %q, want %q", w.Registry.Log, want)
	}
	if len(pushed.Children) != 1 || pushed.Children[0].Digest != d {
		t.Errorf("got children %v, want the copied one", pushed.Children)
	}
	w.Registry.Log = nil
	w.Registry.Errs["copy"] = errors.New("broken")
	if _, err := push(t, w, example+":1", true); err == nil || slices.Contains(w.Registry.Log, "put example.com/app:1") {
		t.Errorf("got %v and requests %q, want no list after a failed copy", err, w.Registry.Log)
	}
	if _, ok := w.Lists[example+":1"]; !ok {
		t.Error("got no local list after a failed push, want it kept")
	}
}

// typeRefusal is the error of a registry that refuses a media type.
type typeRefusal struct{ mediaType string }

func (e typeRefusal) Error() string       { return "unsupported " + e.mediaType }
func (e typeRefusal) RefusedType() string { return e.mediaType }

// An OCI index that a registry refuses can be created again as a list of Docker, unless it has annotations.
func TestPushRefusedType(t *testing.T) {
	for name, tt := range map[string]struct {
		refused     string
		annotations map[string]string
		hint        string
	}{
		"index":     {ocispec.MediaTypeImageIndex, nil, "--type docker"},
		"annotated": {ocispec.MediaTypeImageIndex, map[string]string{"a": "b"}, ""},
		"list":      {manifest.MediaTypeDockerList, nil, ""},
		"other":     {"", nil, ""},
	} {
		w := fakes.NewFixture()
		w.Registry.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
		list, err := create(t, w, fakes.Creation(t, example+":1", example+":a"))
		if err != nil {
			t.Fatal(err)
		}
		list.Annotations = tt.annotations
		w.Registry.Errs["put "+example+":1"] = typeRefusal{tt.refused}
		_, err = publish.Push(t.Context(), w.Clients(), publish.Publication{List: list})
		if got := manifest.Hint(err); err == nil || (got != "") != (tt.hint != "") || !strings.Contains(got, tt.hint) {
			t.Errorf("%s: got error %v with hint %q, want %q in it", name, err, got, tt.hint)
		}
	}
}

func TestPushPending(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "plain:amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	builder.Image(t, example+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64")
	plain := w.Daemon.Holds(t, builder, "plain:amd64", "plain:amd64")
	w.Daemon.Holds(t, builder, example+":arm64", example+":arm64")
	if _, err := create(t, w, fakes.Creation(t, example+":1", "plain:amd64", example+":arm64")); err != nil {
		t.Fatal(err)
	}
	pushed, err := push(t, w, example+":1", false)
	if err != nil {
		t.Fatal(err)
	}
	staging := example + ":1-linux-amd64-" + publish.Short(plain.ID)
	want := []string{"tag " + staging, "push " + staging, "untag " + staging, "push " + example + ":arm64"}
	own := slices.IndexFunc(w.Daemon.Log, func(request string) bool { return request == want[3] })
	if own < 0 || !slices.Equal(slices.Delete(slices.Clone(w.Daemon.Log), own, own+1), want[:3]) {
		t.Errorf("got requests to the daemon %q, want %q, the last at any time", w.Daemon.Log, want)
	}
	kept := w.Lists[example+":1"]
	if got, want := summary(kept), "plain:amd64 linux/amd64; example.com/app:arm64 linux/arm64"; got != want {
		t.Errorf("got stored list %s, want %s", got, want)
	}
	if kept.Entries[0].Ref.String() != staging || len(kept.Entries[0].Raw) == 0 {
		t.Errorf("got stored entry %s, want %s with its bytes", kept.Entries[0].Ref, staging)
	}
	if index, err := kept.Index(); err != nil || index.Descriptor.Digest != pushed.Descriptor.Digest {
		t.Errorf("got digest %s (%v) of the stored list, want %s as pushed", index.Descriptor.Digest, err, pushed.Descriptor.Digest)
	}
}

func TestPushPendingFails(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "plain:amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Daemon.Holds(t, builder, "plain:amd64", "plain:amd64")
	if _, err := create(t, w, fakes.Creation(t, example+":1", "plain:amd64")); err != nil {
		t.Fatal(err)
	}
	w.Registry.Errs["push"] = errors.New("broken pipe")
	if _, err := push(t, w, example+":1", true); err == nil || !strings.Contains(err.Error(), "pushing plain:amd64 from the daemon") {
		t.Errorf("got %v", err)
	}
	if len(w.Daemon.Images) != 1 || !strings.HasPrefix(w.Daemon.Log[len(w.Daemon.Log)-1], "untag ") {
		t.Errorf("got requests to the daemon %q, want the staging name removed", w.Daemon.Log)
	}
	if got := summary(w.Lists[example+":1"]); got != "plain:amd64 linux/amd64 pending" {
		t.Errorf("the list is now %s", got)
	}
	delete(w.Registry.Errs, "push")
	builder.Image(t, "plain:amd64", manifest.MediaTypeDockerManifest, "linux/amd64", "rebuilt")
	w.Daemon.Holds(t, builder, "plain:amd64", "plain:amd64")
	if _, err := push(t, w, example+":1", true); !errdefs.IsFailedPrecondition(err) || !strings.Contains(manifest.Hint(err), "create --amend") {
		t.Errorf("an image that was rebuilt since: got %v", err)
	}
}

// No image is pushed under the name of the list, nor under a staging name of another image.
func TestPushStagingNames(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, example+":1", manifest.MediaTypeDockerManifest, "linux/amd64")
	local := w.Daemon.Holds(t, builder, example+":1", example+":1")
	staging := example + ":1-linux-amd64-" + publish.Short(local.ID)
	w.Registry.Image(t, staging, manifest.MediaTypeDockerManifest, "linux/s390x")
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":1")); err != nil {
		t.Fatal(err)
	}
	if _, err := push(t, w, example+":1", true); err != nil {
		t.Fatal(err)
	}
	if want := []string{"tag " + staging + "-2", "push " + staging + "-2", "untag " + staging + "-2"}; !slices.Equal(w.Daemon.Log, want) {
		t.Errorf("got requests to the daemon %q, want %q", w.Daemon.Log, want)
	}
	// A person's own tag that happens to be the staging name stays.
	w.Daemon.Images[staging+"-2"], w.Daemon.Log = local, nil
	again := fakes.Creation(t, example+":1", example+":1")
	again.Choice.From = publish.InDaemon
	if _, err := create(t, w, again); err != nil {
		t.Fatal(err)
	}
	if _, err := push(t, w, example+":1", true); err != nil {
		t.Fatal(err)
	}
	if want := []string{"tag " + staging + "-3", "push " + staging + "-3", "untag " + staging + "-3"}; !slices.Equal(w.Daemon.Log, want) {
		t.Errorf("got requests to the daemon %q, want %q", w.Daemon.Log, want)
	}
	long := strings.Repeat("x", manifest.MaxTag)
	name, err := publish.StagingName(t.Context(), manifest.List{Name: fakes.Named(t, example+":"+long)}, w.Clients(), local)
	if err != nil || len(name.Tag()) != manifest.MaxTag || !strings.HasSuffix(name.Tag(), "-linux-amd64-"+publish.Short(local.ID)) {
		t.Errorf("got %v, %v", name, err)
	}
}

// An index in the containerd store is pushed as a whole; its attestations become entries.
func TestPushPendingIndex(t *testing.T) {
	for name, missing := range map[string]bool{"complete": false, "partial": true} {
		t.Run(name, func(t *testing.T) {
			w, builder := fakes.NewFixture(), fakes.NewRegistry()
			amd64 := builder.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
			arm64 := builder.Image(t, example+":b", ocispec.MediaTypeImageManifest, "linux/arm64")
			proof := builder.Attestation(t, example+":c", amd64.Digest)
			soci := builder.Image(t, example+":d", ocispec.MediaTypeImageManifest, "linux/386")
			soci.Platform, soci.ArtifactType = nil, "application/vnd.amazon.soci.index.v2+json"
			top := builder.Index(t, example+":i", ocispec.MediaTypeImageIndex, amd64, arm64, proof, soci)
			for _, d := range []ocispec.Descriptor{amd64, arm64, proof, soci, top} {
				w.Daemon.Content[d.Digest] = manifest.Content{Descriptor: d, Raw: builder.Manifests[example+"@"+d.Digest.String()]}
				if d.Digest != top.Digest {
					w.Registry.Store(fakes.Named(t, example+"@"+d.Digest.String()), d.MediaType, w.Daemon.Content[d.Digest].Raw)
				}
			}
			w.Daemon.Images["docker.io/library/plain:i"] = manifest.Local{ID: top.Digest, Platform: *amd64.Platform, Manifests: []manifest.LocalManifest{
				{Descriptor: amd64, Available: true}, {Descriptor: arm64, Available: !missing},
				{Descriptor: proof, Available: true, Subject: amd64.Digest}, {Descriptor: soci, Available: true},
			}}
			if _, err := create(t, w, fakes.Creation(t, example+":1", "plain:i")); err != nil {
				t.Fatal(err)
			}
			pushed, err := push(t, w, example+":1", false)
			if err != nil {
				t.Fatal(err)
			}
			want := "plain:i linux/amd64; plain:i linux/arm64; plain:i unknown/unknown attestation; plain:i unknown/unknown"
			if missing {
				want = "plain:i linux/amd64"
			}
			if got := summary(pushed.List); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if missing != (len(w.Notes.Warnings) > 0) {
				t.Errorf("got warnings %q", w.Notes.Warnings)
			}
			if tags := pushed.SourceTags(); len(tags) != 1 || !strings.HasPrefix(tags[0].Name.Tag(), "1-") {
				t.Errorf("the staging tag is forgotten: %v", tags)
			}
		})
	}
}

// A list that changed during its push is not purged, and the changes are kept.
func TestPushWhileChanged(t *testing.T) {
	for name, c := range map[string]struct {
		purge  bool
		change func(*testing.T, fakes.Fixture)
		want   string
	}{
		"written back": {false, func(*testing.T, fakes.Fixture) {}, "plain:s390x linux/s390x"},
		"amended": {false, func(t *testing.T, w fakes.Fixture) {
			amend := fakes.Creation(t, example+":1", example+":amd64")
			amend.Existing = publish.Amend
			if _, err := create(t, w, amend); err != nil {
				t.Error(err)
			}
		}, "plain:s390x linux/s390x; example.com/app:amd64 linux/amd64"},
		"annotated": {false, func(t *testing.T, w fakes.Fixture) {
			if err := publish.AnnotateLocal(t.Context(), w.Lists, fakes.ListName(t, example+":1"), "plain:s390x", manifest.Annotation{Platform: ocispec.Platform{Variant: "z"}}); err != nil {
				t.Error(err)
			}
		}, "plain:s390x linux/s390x/z pending"},
		"dropped": {false, func(t *testing.T, w fakes.Fixture) {
			w.Lists[example+":1"] = manifest.List{Name: fakes.Named(t, example+":1"), Entries: []manifest.Entry{{Ref: fakes.Named(t, "x"), Source: fakes.Named(t, "x")}}}
		}, "x:latest unknown/unknown pending"},
		"purged": {true, func(*testing.T, fakes.Fixture) {}, ""},
		"annotated and purged": {true, func(t *testing.T, w fakes.Fixture) {
			if err := publish.AnnotateLocal(t.Context(), w.Lists, fakes.ListName(t, example+":1"), "plain:s390x", manifest.Annotation{Platform: ocispec.Platform{Variant: "z"}}); err != nil {
				t.Error(err)
			}
		}, "plain:s390x linux/s390x/z pending"},
	} {
		t.Run(name, func(t *testing.T) {
			w, builder := built(t), fakes.NewRegistry()
			builder.Image(t, "plain:s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
			w.Daemon.Holds(t, builder, "plain:s390x", "plain:s390x")
			if _, err := create(t, w, fakes.Creation(t, example+":1", "plain:s390x")); err != nil {
				t.Fatal(err)
			}
			w.Daemon.Pushed = func() {
				w.Daemon.Mu.Unlock()
				defer w.Daemon.Mu.Lock()
				c.change(t, w)
			}
			if _, err := push(t, w, example+":1", c.purge); err != nil {
				t.Fatal(err)
			}
			if got := summary(w.Lists[example+":1"]); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// If a list cannot be pushed, no image of the same name is pushed instead.
func TestPushPrefersTheList(t *testing.T) {
	w, builder := built(t), fakes.NewRegistry()
	builder.Image(t, example+":1", manifest.MediaTypeDockerManifest, "linux/s390x")
	w.Daemon.Holds(t, builder, example+":1", example+":1")
	w.Registry.Image(t, "other.com/app:amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	if _, err := create(t, w, fakes.Creation(t, example+":1", "other.com/app:amd64")); err != nil {
		t.Fatal(err)
	}
	w.Registry.Errs["copy"] = manifest.Errorf(errdefs.ErrNotFound, "blob unknown")
	if _, err := push(t, w, example+":1", true); !errdefs.IsNotFound(err) || len(w.Daemon.Log) > 0 {
		t.Errorf("got %v, the daemon did %v", err, w.Daemon.Log)
	}
	delete(w.Lists, example+":1")
	pushed, err := publish.PushLocal(t.Context(), w.Lists, w.Clients(), fakes.ListName(t, example+":1"), publish.Publication{Tags: []reference.NamedTagged{fakes.ListName(t, example+":2")}}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{example + ":1", example + ":2"} {
		if d, err := w.Registry.Digest(t.Context(), fakes.Named(t, name)); err != nil || d != pushed.Descriptor.Digest {
			t.Errorf("%s: got %s (%v), want %s", name, d, err, pushed.Descriptor.Digest)
		}
	}
	if _, err := push(t, w, example+":absent", false); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "No such manifest: example.com/app:absent") {
		t.Errorf("got %v", err)
	}
}

func TestAssembleRefusesDuplicates(t *testing.T) {
	w := built(t)
	w.Registry.Image(t, example+":again", manifest.MediaTypeDockerManifest, "linux/arm64", "again")
	c := fakes.Creation(t, example+":1", example+":arm64", example+":again")
	if _, err := publish.Assemble(t.Context(), w.Clients(), c); !errdefs.IsFailedPrecondition(err) ||
		!strings.Contains(err.Error(), "example.com/app:arm64 and example.com/app:again are both for linux/arm64") || manifest.Hint(err) == "" {
		t.Errorf("got %v with hint %q", err, manifest.Hint(err))
	}
	if _, err := create(t, w, c); err != nil || len(w.Notes.Warnings) != 1 {
		t.Errorf("got %v and warnings %q, want one warning", err, w.Notes.Warnings)
	}
}

func TestCreateNamedTwice(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "plain:a", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Daemon.Holds(t, builder, "plain:a", "plain:a")
	putIndexes(t, w)
	if list, err := create(t, w, fakes.Creation(t, example+":1", "plain:a", "plain:a")); err != nil || len(list.Entries) != 1 {
		t.Errorf("got list %s (%v), want one entry for a repeated source", summary(list), err)
	}
	// A child that is named itself is no longer its index's.
	d := w.Registry.Image(t, example+":i-amd64", ocispec.MediaTypeImageManifest, "linux/amd64", "i").Digest
	named := example + "@" + d.String()
	list, err := create(t, w, fakes.Creation(t, example+":2", example+":one", named))
	if err != nil || list.Entries[0].Source.String() != example+":one" || list.Entries[2].Source.String() != named {
		t.Errorf("got list %s (%v), want the child under its own source", summary(list), err)
	}
	list, err = create(t, w, fakes.Creation(t, example+":3", example+":index", named))
	if want := named + " linux/amd64; example.com/app:index linux/arm64"; err != nil || !strings.HasPrefix(summary(list), want) {
		t.Errorf("got list %s (%v), want the child under its own source", summary(list), err)
	}
}

// One image for two platforms is an entry for each, whatever source it comes from, and no duplicate.
func TestOneImageForSeveralPlatforms(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, "other.com/app:a", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64, v8, s390x := amd64, amd64, amd64
	arm64.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64"}
	v8.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	s390x.Platform = &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	proof := w.Registry.Attestation(t, "other.com/app:p", amd64.Digest)
	w.Registry.Index(t, "other.com/app:1", ocispec.MediaTypeImageIndex, amd64, arm64, v8, arm64, proof)
	w.Registry.Index(t, "other.com/app:2", ocispec.MediaTypeImageIndex, amd64, s390x)
	list, err := publish.Assemble(t.Context(), w.Clients(), fakes.Creation(t, example+":1", "other.com/app:1", "other.com/app:2"))
	want := "other.com/app:1 linux/amd64; other.com/app:1 linux/arm64; other.com/app:1 linux/arm64/v8; " +
		"other.com/app:1 unknown/unknown attestation; other.com/app:2 linux/s390x"
	if err != nil || summary(list) != want {
		t.Fatalf("got %s, error %v, want %s", summary(list), err, want)
	}
	if _, err := publish.Push(t.Context(), w.Clients(), publish.Publication{List: list}); err != nil {
		t.Fatal(err)
	}
	copies := slices.DeleteFunc(slices.Clone(w.Registry.Log), func(s string) bool { return !strings.HasPrefix(s, "copy ") })
	if len(copies) != 2 {
		t.Errorf("got %q, want a copy of the image and of its attestation", copies)
	}
	_, err = list.SelectOne(amd64.Digest.String())
	if want := "use one of linux/amd64, linux/arm64, linux/arm64/v8 and linux/s390x"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if list, err = list.Without("linux/amd64", "linux/arm64"); err != nil || !strings.Contains(summary(list), "attestation") {
		t.Errorf("got %s, error %v, want the attestation with the last entry of its image", summary(list), err)
	}
	if list, err = list.Without("linux/s390x"); err == nil {
		t.Errorf("got %s, want an error for an empty list", summary(list))
	}
}

// Images of one platform for two compressions, artifacts and attestations without an image are no duplicates, and what
// has no platform is written without one.
func TestCreateKeepsArtifacts(t *testing.T) {
	w := fakes.NewFixture()
	image := func(tag, platform string, change func(*ocispec.Descriptor)) ocispec.Descriptor {
		d := w.Registry.Image(t, example+":"+tag, ocispec.MediaTypeImageManifest, platform, tag)
		change(&d)
		return d
	}
	unchanged := func(*ocispec.Descriptor) {}
	sbom := w.Registry.Artifact(t, example+":sbom", "")
	children := []ocispec.Descriptor{
		image("gzip", "linux/amd64", unchanged),
		image("zstd", "linux/amd64", func(d *ocispec.Descriptor) { d.Annotations = map[string]string{manifest.AnnotationZstd: "true"} }),
		image("soci", "linux/amd64", func(d *ocispec.Descriptor) { d.ArtifactType = "application/vnd.amazon.soci.index.v2+json" }),
		{MediaType: ocispec.MediaTypeImageManifest, Digest: sbom, Size: int64(len(w.Registry.Manifests[example+"@"+sbom.String()]))},
		image("lost", "linux/386", func(d *ocispec.Descriptor) { d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"} }),
		image("lost2", "linux/386", func(d *ocispec.Descriptor) { d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"} }),
		w.Registry.Attestation(t, example+":absent", digest.FromString("absent")),
	}
	index := w.Registry.Index(t, example+":index", ocispec.MediaTypeImageIndex, children...)
	c := fakes.Creation(t, example+":1", example+":index")
	list, err := publish.Assemble(t.Context(), w.Clients(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := list.Index(); err != nil || got.Descriptor.Digest != index.Digest {
		t.Errorf("got %s, error %v, want the bytes of the index\n%s", got.Raw, err, w.Registry.Manifests[example+":index"])
	}
	if want := "using linux/amd64, linux/amd64, linux/amd64, unknown/unknown, unknown/unknown, 1 artifact and 1 attestation"; !strings.Contains(fmt.Sprint(w.Notes.Notes), want) {
		t.Errorf("got notes %q, want %q", w.Notes.Notes, want)
	}
	if _, err := create(t, w, c); err != nil || len(w.Notes.Warnings) > 0 {
		t.Errorf("got error %v and warnings %q, want none", err, w.Notes.Warnings)
	}
	view, err := inspect.Inspection{Name: list.Name, Local: true, List: list}.View()
	if err != nil || len(view.Manifests) != len(children) || view.Manifests[3].Platform != "" || view.Manifests[3].ArtifactType == "" {
		t.Errorf("got %+v, error %v, want %d entries, one of them without a platform", view, err, len(children))
	}
	c.Choice.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64"})
	w.Notes.Notes = nil
	if list, err = publish.Assemble(t.Context(), w.Clients(), c); err != nil || len(list.Entries) != 3 {
		t.Errorf("got %s, error %v, want the entries for linux/amd64", summary(list), err)
	}
	for _, d := range children[3:] {
		if !strings.Contains(strings.Join(w.Notes.Notes, "\n"), d.Digest.String()) {
			t.Errorf("got notes %q, want one on %s", w.Notes.Notes, d.Digest)
		}
	}
	c.MediaType, c.Choice.Platforms = manifest.MediaTypeDockerList, nil
	c.Sources[0].Ref = fakes.Named(t, example+":sbom")
	if _, err := publish.Assemble(t.Context(), w.Clients(), c); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "has no platform, which a Docker") {
		t.Errorf("got %v, want an error for an artifact in a Docker list", err)
	}
}

// An artifact beside the only image of an index leaves that image the name of its source.
func TestArtifactsOfOneSource(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	sbom := w.Registry.Artifact(t, example+":sbom", "")
	w.Registry.Index(t, example+":index", ocispec.MediaTypeImageIndex, amd64,
		ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: sbom, Size: int64(len(w.Registry.Manifests[example+"@"+sbom.String()]))})
	list, err := create(t, w, fakes.Creation(t, example+":1", example+":index", example+":a"))
	if err != nil {
		t.Fatal(err)
	}
	if i, err := list.SelectOne(example + ":index"); i != 0 || err != nil || list.Entries[0].Ref.String() != example+":index" {
		t.Errorf("got entry %d of %s, error %v, want the image", i, summary(list), err)
	}
	if list, err = list.Without(example + ":index"); err != nil || len(list.Entries) != 1 {
		t.Errorf("got %s, error %v, want the artifact dropped with its source", summary(list), err)
	}
}

func TestCreateReportsOtherRegistries(t *testing.T) {
	w := fakes.NewFixture()
	w.Registry.Image(t, "other.com/app:a", manifest.MediaTypeDockerManifest, "linux/amd64")
	if _, err := create(t, w, fakes.Creation(t, example+":1", "other.com/app:a")); err != nil {
		t.Fatal(err)
	}
	if len(w.Notes.Notes) != 1 || !strings.Contains(w.Notes.Notes[0], "in the registry other.com: push will copy it") {
		t.Errorf("got notes %q", w.Notes.Notes)
	}
}

func TestCreateChecksSizes(t *testing.T) {
	w := fakes.NewFixture()
	d := w.Registry.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	d.Size++
	w.Registry.Index(t, example+":index", ocispec.MediaTypeImageIndex, d)
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":index")); !errdefs.IsDataLoss(err) {
		t.Errorf("got %v", err)
	}
}

func TestSelectBySource(t *testing.T) {
	w := fakes.NewFixture()
	putIndexes(t, w)
	list, err := create(t, w, fakes.Creation(t, example+":1", example+":index"))
	if err != nil {
		t.Fatal(err)
	}
	list.Entries[0].Ref = fakes.Named(t, example+":index") // as push leaves an index that it sent
	if found, err := list.Select(example + ":index"); err != nil || !slices.Equal(found, []int{0, 1}) {
		t.Errorf("got %v, %v", found, err)
	}
	_, err = list.SelectOne(example + ":index")
	for _, e := range list.Images() {
		if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), e.Descriptor.Digest.String()) {
			t.Errorf("got %v, without %s", err, e.Descriptor.Digest)
		}
	}
}

func TestIsSame(t *testing.T) {
	m := fakes.NewRegistry()
	x := m.Image(t, example+":x", ocispec.MediaTypeImageManifest, "linux/amd64")
	y := m.Image(t, example+":y", ocispec.MediaTypeImageManifest, "linux/arm64")
	z := m.Image(t, example+":z", ocispec.MediaTypeImageManifest, "linux/arm64", "rebuilt")
	top := m.Index(t, example+":i", ocispec.MediaTypeImageIndex, x, y)
	raw := m.Manifests[example+":i"]
	config, _, _ := manifest.ParseImage(m.Manifests[example+":x"])
	local := func(manifests ...manifest.LocalManifest) manifest.Local {
		return manifest.Local{ID: z.Digest, Manifests: manifests}
	}
	for name, c := range map[string]struct {
		local manifest.Local
		want  bool
	}{
		"all":              {local(manifest.LocalManifest{Descriptor: x, Available: true}, manifest.LocalManifest{Descriptor: y, Available: true}), true},
		"one of two":       {local(manifest.LocalManifest{Descriptor: x, Available: true}, manifest.LocalManifest{Descriptor: y}), true},
		"one rebuilt":      {local(manifest.LocalManifest{Descriptor: x, Available: true}, manifest.LocalManifest{Descriptor: z, Available: true}), false},
		"graph, pulled":    {manifest.Local{ID: z.Digest, RepoDigests: []digest.Digest{top.Digest}}, true},
		"graph, a child":   {manifest.Local{ID: z.Digest, RepoDigests: []digest.Digest{y.Digest}}, true},
		"graph, different": {manifest.Local{ID: z.Digest}, false},
	} {
		if got := publish.IsSame(c.local, manifest.Content{Descriptor: top, Raw: raw}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !publish.IsSame(manifest.Local{ID: config.Digest}, manifest.Content{Descriptor: x, Raw: m.Manifests[example+":x"]}) {
		t.Error("got different images, want the same: the image ID is the digest of the config")
	}
}

// Another push may remove the same staging name.
func TestPushStagedOnceMore(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "plain:amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	local := w.Daemon.Holds(t, builder, "plain:amd64", "plain:amd64")
	staging := example + ":1-linux-amd64-" + publish.Short(local.ID)
	if _, err := create(t, w, fakes.Creation(t, example+":1", "plain:amd64")); err != nil {
		t.Fatal(err)
	}
	w.Daemon.Pushed = func() {
		w.Daemon.Pushed = nil
		w.Registry.Errs["push"] = manifest.Errorf(errdefs.ErrNotFound, "tag does not exist")
		delete(w.Daemon.Images, staging)
	}
	w.Daemon.Tagged = func() {
		if w.Daemon.Pushed == nil {
			delete(w.Registry.Errs, "push")
		}
	}
	if _, err := push(t, w, example+":1", false); err != nil || len(w.Daemon.Images) != 1 {
		t.Errorf("got %v, the daemon did %v", err, w.Daemon.Log)
	}
	w.Registry.Errs["push"] = errors.New("denied") // no other push's doing
	w.Daemon.Tagged, w.Daemon.Log = nil, nil
	if _, err := create(t, w, fakes.Creation(t, example+":2", "plain:amd64")); err != nil {
		t.Fatal(err)
	}
	if _, err := push(t, w, example+":2", true); err == nil || len(w.Daemon.Log) != 2 {
		t.Errorf("got %v, the daemon did %v", err, w.Daemon.Log)
	}
}

// Create already reports that a Docker list cannot have attestations.
func TestAttestedPendingNeedsOCI(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	image := builder.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	proof := builder.Attestation(t, example+":b", image.Digest)
	w.Daemon.Images["docker.io/library/plain:a"] = manifest.Local{ID: image.Digest, Platform: *image.Platform, Manifests: []manifest.LocalManifest{
		{Descriptor: image, Available: true}, {Descriptor: proof, Available: true, Subject: image.Digest},
	}}
	c := fakes.Creation(t, example+":1", "plain:a")
	c.MediaType = manifest.MediaTypeDockerList
	if _, err := create(t, w, c); !errdefs.IsFailedPrecondition(err) || !strings.Contains(manifest.Hint(err), "--attestations strip") || len(w.Lists) > 0 {
		t.Errorf("got %v", err)
	}
	c.Choice.Strip = true
	if _, err := create(t, w, c); err != nil {
		t.Errorf("got %v, want no error without attestations", err)
	}
}

func TestPlatformName(t *testing.T) {
	if got := manifest.PlatformName(ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7/é"}, "-"); got != "linux-arm-v7--" {
		t.Errorf("got %s", got)
	}
	if got := manifest.PlatformName(ocispec.Platform{OS: "linux", Architecture: "arm", Variant: strings.Repeat("v", 200)}, "_"); len(got) > manifest.MaxTag/3 {
		t.Errorf("got %s", got)
	}
}

func TestRequire(t *testing.T) {
	w := built(t)
	c := fakes.Creation(t, example+":1", example+":arm64")
	c.Require = []manifest.Platform{{Platform: ocispec.Platform{OS: "linux", Architecture: "arm64"}}, {Platform: ocispec.Platform{OS: "linux", Architecture: "s390x"}}}
	if _, err := create(t, w, c); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "no image for linux/s390x") || len(w.Lists) > 0 {
		t.Errorf("got %v, %v", err, w.Lists)
	}
}

// A platform without a variant is the default variant; what it would have matched if it ignored variants is reported.
func TestOtherVariants(t *testing.T) {
	w := fakes.NewFixture()
	var children []ocispec.Descriptor
	for _, p := range []string{"linux/arm/v6", "linux/arm/v7", "linux/amd64", "linux/amd64/v2"} {
		children = append(children, w.Registry.Image(t, example+":"+strings.ReplaceAll(p, "/", "-"), ocispec.MediaTypeImageManifest, p))
	}
	w.Registry.Index(t, example+":index", ocispec.MediaTypeImageIndex, children...)
	for platforms, want := range map[string]struct{ kept, note string }{
		"linux/arm":                {"linux/arm/v7", "--platform linux/arm does not include linux/arm/v6; for all variants: linux/arm/*"},
		"linux/amd64":              {"linux/amd64", "--platform linux/amd64 does not include linux/amd64/v2; for all variants: linux/amd64/*"},
		"linux/arm/*":              {"linux/arm/v6 linux/arm/v7", ""},
		"linux/arm/v6":             {"linux/arm/v6", ""},
		"linux/arm,linux/arm/v6":   {"linux/arm/v6 linux/arm/v7", ""},
		"linux/amd64/v2,linux/arm": {"linux/arm/v7 linux/amd64/v2", "does not include linux/arm/v6"},
	} {
		c := fakes.Creation(t, example+":1", example+":index")
		var err error
		if c.Choice.Platforms, err = manifest.ParsePlatforms(strings.Split(platforms, ",")); err != nil {
			t.Fatal(err)
		}
		w.Notes.Notes = nil
		list, err := publish.Assemble(t.Context(), w.Clients(), c)
		var kept []string
		for _, e := range list.Entries {
			kept = append(kept, manifest.FormatPlatform(e.Platform()))
		}
		notes := fmt.Sprint(w.Notes.Notes)
		if err != nil || strings.Join(kept, " ") != want.kept || !strings.Contains(notes, want.note) || want.note == "" && strings.Contains(notes, "does not include") {
			t.Errorf("%s: got %s, error %v and notes %s, want %s and %q", platforms, kept, err, notes, want.kept, want.note)
		}
		_, err = list.Select("linux/arm/v5")
		if !errdefs.IsNotFound(err) || manifest.Hint(err) != "" {
			t.Errorf("got %v with hint %q, want no hint", err, manifest.Hint(err))
		}
	}
	c := fakes.Creation(t, example+":1", example+":linux-arm-v6")
	c.Require, _ = manifest.ParsePlatforms([]string{"linux/arm"})
	_, err := publish.Assemble(t.Context(), w.Clients(), c)
	if want := "linux/arm does not include linux/arm/v6; for all variants: linux/arm/*"; !errdefs.IsFailedPrecondition(err) || manifest.Hint(err) != want {
		t.Errorf("got %v with hint %q, want the hint %q", err, manifest.Hint(err), want)
	}
	c.Require, _ = manifest.ParsePlatforms([]string{"linux/arm/*"})
	list, err := publish.Assemble(t.Context(), w.Clients(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := list.Select("linux/arm"); !errdefs.IsNotFound(err) || !strings.Contains(manifest.Hint(err), "linux/arm/*") {
		t.Errorf("got %v with hint %q, want a hint of all variants", err, manifest.Hint(err))
	}
}

func TestDropAndAnnotateLocal(t *testing.T) {
	w := fakes.NewFixture()
	putIndexes(t, w)
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":index")); err != nil {
		t.Fatal(err)
	}
	name := fakes.ListName(t, example+":1")
	err := publish.AnnotateLocal(t.Context(), w.Lists, name, example+":index", manifest.Annotation{Platform: ocispec.Platform{Variant: "v8"}})
	if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "one of sha256:") {
		t.Errorf("got %v, want an error for several entries", err)
	}
	if err := publish.DropLocal(t.Context(), w.Lists, name, []string{"linux/amd64"}); err != nil {
		t.Fatal(err)
	}
	if got, want := summary(w.Lists[example+":1"]), "example.com/app:index linux/arm64; example.com/app:index unknown/unknown attestation"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := publish.DropLocal(t.Context(), w.Lists, name, []string{"linux/arm64"}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("got %v, want an error for an empty list", err)
	}
	if err := publish.DropLocal(t.Context(), w.Lists, name, []string{"linux/s390x"}); !errdefs.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
	absent := fakes.ListName(t, example+":absent")
	if err := publish.AnnotateLocal(t.Context(), w.Lists, absent, "a", manifest.Annotation{}); !errdefs.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestTagIsAllOrNothing(t *testing.T) {
	w := built(t)
	for _, name := range []string{example + ":1", example + ":3"} {
		if _, err := create(t, w, fakes.Creation(t, name, example+":amd64")); err != nil {
			t.Fatal(err)
		}
	}
	targets := []reference.NamedTagged{fakes.ListName(t, example+":2"), fakes.ListName(t, example+":3")}
	if err := publish.Tag(t.Context(), w.Lists, w.Daemon, fakes.Named(t, example+":1"), targets); !errdefs.IsAlreadyExists(err) {
		t.Errorf("got %v", err)
	}
	if _, ok := w.Lists[example+":2"]; ok {
		t.Error("got the first tag after a failure, want none")
	}
	if err := publish.Tag(t.Context(), w.Lists, w.Daemon, fakes.Named(t, example+":1"), targets[:1]); err != nil || w.Lists[example+":2"].Name.String() != example+":2" {
		t.Errorf("got %v", err)
	}
	if err := publish.Tag(t.Context(), w.Lists, w.Daemon, fakes.Named(t, "absent"), targets[:1]); !errdefs.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// A push announces its repositories, and prefetches images as they are resolved.
func TestPublishPrefetches(t *testing.T) {
	w := built(t)
	w.Registry.Image(t, "other.com/app:s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
	c := fakes.Creation(t, example+":1", example+":amd64", "other.com/app:s390x")
	if _, err := publish.CreateAndPush(t.Context(), w.Clients(), c); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"example.com/app:1", "example.com/app", "other.com/app", // by create
		"example.com/app:1", "other.com/app", // by push
		"image example.com/app:amd64", "image other.com/app:s390x",
	}
	slices.Sort(want)
	got := slices.Sorted(slices.Values(w.Registry.Prefetched))
	if !slices.Equal(got, want) {
		t.Errorf("prefetched: got %q, want %q", got, want)
	}
	if len(w.Lists) != 0 {
		t.Errorf("got lists %v, want none", w.Lists)
	}
}

// summary is a list in a line: each entry's source, platform and P for pending.
func summary(l manifest.List) string {
	var out []string
	for _, e := range l.Entries {
		s := manifest.Familiar(e.Source) + " " + manifest.FormatPlatform(e.Platform())
		if e.IsPending() {
			s += " pending"
		}
		if e.Subject() != "" {
			s += " attestation"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// An index that is taken whole keeps the bytes of its entries: fields that the program does not know, urls,
// annotations and embedded data. Nothing is fetched from what it says.
func TestCreateKeepsFields(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	data := base64.StdEncoding.EncodeToString(w.Registry.Manifests[example+":a"])
	index := func(data string) string {
		return fmt.Sprintf(`{
   "schemaVersion": 2,
   "mediaType": %q,
   "manifests": [
      {
         "mediaType": %q,
         "size": %d,
         "digest": %q,
         "annotations": {
            "a": "\u003cb\u003e"
         },
         "platform": {
            "architecture": "amd64",
            "os": "linux",
            "features": [
               "sse4"
            ]
         },
         "urls": [
            "https://other.example.com/x"
         ],%s
         "z": {
            "y": [
               1.50,
               null
            ]
         },
         "a\"b": "x"
      }
   ]
}`, ocispec.MediaTypeImageIndex, amd64.MediaType, amd64.Size, amd64.Digest, data)
	}
	text := func(data string) string { return "\n         \"data\": \"" + data + "\"," }
	c := fakes.Creation(t, example+":1", example+":index")
	for name, tt := range map[string]struct{ data, want string }{"data": {text(data), text(data)}, "other data": {text("eA=="), ""}} {
		w.Notes.Warnings, w.Lists = nil, fakes.Lists{}
		w.Registry.Store(fakes.Named(t, example+":index"), ocispec.MediaTypeImageIndex, []byte(index(tt.data)))
		list, err := create(t, w, c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := list.Index()
		if want := index(tt.want); err != nil || string(got.Raw) != want {
			t.Errorf("%s: got %s, error %v, want %s", name, got.Raw, err, want)
		}
		if warned := strings.Contains(fmt.Sprint(w.Notes.Warnings), "embeds data for "+amd64.Digest.String()+" that is not its content"); warned != (tt.want == "") {
			t.Errorf("%s: got warnings %q", name, w.Notes.Warnings)
		}
		if d := list.Entries[0].Content().Descriptor; len(d.URLs)+len(d.Data) > 0 {
			t.Errorf("%s: got the content %+v, want it without urls and data", name, d)
		}
	}
	shown, err := inspect.Read(t.Context(), fakes.Lists{}, w.Registry, fakes.Named(t, example+":index"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := shown.Text(); err != nil || strings.Contains(string(text), "urls") || strings.Contains(string(text), "sse4") {
		t.Errorf("got %s, error %v, want what docker manifest shows", text, err)
	}
}

// A sole index that is taken whole keeps its bytes as long as the list has what it has, whether it is stored or not.
func TestSoleIndexKeepsItsBytes(t *testing.T) {
	w := built(t)
	amd64 := w.Registry.Image(t, example+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	arm64 := w.Registry.Image(t, example+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64")
	w.Registry.Image(t, example+":s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
	attestation := w.Registry.Attestation(t, example+":att", amd64.Digest)
	child := func(d ocispec.Descriptor, more string) string {
		return fmt.Sprintf(`{"digest":%q, "mediaType":%q,"size":%d,"platform":{"os":%q,"architecture":%q}%s}`,
			d.Digest, d.MediaType, d.Size, d.Platform.OS, d.Platform.Architecture, more)
	}
	raw := fmt.Sprintf("{\"manifests\":[\n%s,%s,%s],\t\"x\":{\"y\":1.50},\"annotations\":{\"a\":\"b\"},\"mediaType\":%q,\"schemaVersion\":2}\n", child(amd64, `,"z":null`),
		child(attestation, fmt.Sprintf(`,"annotations":{%q:%q,%q:%q}`, manifest.AnnotationReferenceType, manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest, amd64.Digest)),
		child(arm64, ""), ocispec.MediaTypeImageIndex)
	index := w.Registry.Store(fakes.Named(t, example+":index"), ocispec.MediaTypeImageIndex, []byte(raw))
	name := fakes.ListName(t, "other.example.com/app:1")
	annotate := func(selector string, a manifest.Annotation) func() error {
		return func() error { return publish.AnnotateLocal(t.Context(), w.Lists, name, selector, a) }
	}
	again := func(sources ...string) func() error {
		return func() error {
			c := fakes.Creation(t, name.String(), sources...)
			c.Existing = publish.Amend
			_, err := create(t, w, c)
			return err
		}
	}
	platforms := func(names ...string) []manifest.Platform {
		out, err := manifest.ParsePlatforms(names)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for title, tt := range map[string]struct {
		change func(c *publish.Creation)
		edit   func() error
		whole  bool
	}{
		"whole":            {nil, nil, true},
		"all platforms":    {func(c *publish.Creation) { c.Choice.Platforms = platforms("linux/amd64", "linux/arm64") }, nil, true},
		"one platform":     {func(c *publish.Creation) { c.Choice.Platforms = platforms("linux/amd64") }, nil, false},
		"stripped":         {func(c *publish.Creation) { c.Choice.Strip = true }, nil, false},
		"its type":         {func(c *publish.Creation) { c.MediaType = ocispec.MediaTypeImageIndex }, nil, true},
		"two sources":      {func(c *publish.Creation) { *c = fakes.Creation(t, name.String(), example+":index", example+":s390x") }, nil, false},
		"read again":       {nil, again(example + ":index"), true},
		"another source":   {nil, again(example + ":s390x"), false},
		"an entry less":    {nil, func() error { return publish.DropLocal(t.Context(), w.Lists, name, []string{"linux/arm64"}) }, false},
		"entry annotation": {nil, annotate(arm64.Digest.String(), manifest.Annotation{Descriptor: map[string]string{"k": "v"}}), false},
		"index annotation": {nil, annotate("", manifest.Annotation{List: map[string]string{"k": "v"}}), false},
		"another platform": {nil, annotate(arm64.Digest.String(), manifest.Annotation{Platform: ocispec.Platform{Variant: "v8"}}), false},
	} {
		w.Lists = fakes.Lists{}
		c := fakes.Creation(t, name.String(), example+":index")
		if tt.change != nil {
			tt.change(&c)
		}
		note := fmt.Sprintf("the list differs from the index %s:index, whose digest is %s; to keep the digest: docker multiarch import %[1]s:index %[3]s", example, index, name)
		checkNote := func(want bool) {
			if got := slices.Contains(w.Notes.Notes, note); got != want {
				t.Errorf("%s: got notes %q, want %q: %t", title, w.Notes.Notes, note, want)
			}
			w.Notes.Notes = nil
		}
		if tt.edit == nil {
			pushed, err := publish.CreateAndPush(t.Context(), w.Clients(), c)
			if got := pushed.Descriptor.Digest == index; err != nil || got != tt.whole {
				t.Errorf("%s, without the store: got %s and error %v, want %s: %t", title, pushed.Descriptor.Digest, err, index, tt.whole)
			}
			checkNote(!tt.whole && !strings.Contains(title, "source"))
		}
		_, err := create(t, w, c)
		if err == nil && tt.edit != nil {
			err = tt.edit()
		}
		if err != nil {
			t.Errorf("%s: %v", title, err)
			continue
		}
		pushed, err := push(t, w, name.String(), false)
		if got := pushed.Descriptor.Digest == index; err != nil || got != tt.whole {
			t.Errorf("%s: got %s and error %v, want %s: %t", title, pushed.Descriptor.Digest, err, index, tt.whole)
		}
		checkNote(!tt.whole && !strings.Contains(title, "source"))
		if got := string(w.Registry.Manifests["other.example.com/app:1"]) == raw; got != tt.whole {
			t.Errorf("%s: got %s pushed, want the bytes of the index: %t", title, w.Registry.Manifests["other.example.com/app:1"], tt.whole)
		}
	}
}

// What is read from images beside a sole index, and what the program does not know, does not change its bytes. What cannot be
// taken does.
func TestSoleIndexWithOddChildren(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, example+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	windows := w.Registry.Image(t, example+":windows", ocispec.MediaTypeImageManifest, "windows/amd64")
	nested := w.Registry.Index(t, example+":nested", ocispec.MediaTypeImageIndex, amd64)
	child := func(d ocispec.Descriptor, more string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d%s}`, d.MediaType, d.Digest, d.Size, more)
	}
	for _, tt := range []struct {
		name, children string
		whole          bool
	}{
		{"no platform", child(amd64, ""), true},
		{"a platform of null", child(amd64, `,"platform":null`), true},
		{"half a platform", child(amd64, `,"platform":{"architecture":"amd64"}`), true},
		{"no version", child(windows, `,"platform":{"architecture":"amd64","os":"windows"}`), true},
		{"a version", child(windows, `,"platform":{"os.version":"10.0.1","architecture":"amd64","os":"windows"}`), true},
		{"unknown fields", child(amd64, `,"x":[1.0],"platform":{"architecture":"amd64","os":"linux","y":{"b":1,"a":2}}`), true},
		{"written otherwise", child(amd64, `,"PLATFORM":{"OS":"linux","architecture":"amd64"}`), true},
		{"empty fields", child(amd64, `,"annotations":{},"urls":[],"platform":{"architecture":"amd64","os":"linux","os.features":[]}`), true},
		{"a child twice", child(amd64, "") + "," + child(amd64, ""), true},
		{"false data", child(amd64, `,"data":"eA=="`), false},
		{"an index", child(nested, ""), false},
		{"another type", child(amd64, "") + "," + child(ocispec.Descriptor{MediaType: "text/plain", Digest: amd64.Digest}, ""), false},
	} {
		raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, ocispec.MediaTypeImageIndex, tt.children)
		index := w.Registry.Store(fakes.Named(t, example+":index"), ocispec.MediaTypeImageIndex, []byte(raw))
		c := fakes.Creation(t, "other.example.com/app:1", example+":index")
		pushed, err := publish.CreateAndPush(t.Context(), w.Clients(), c)
		if got := pushed.Descriptor.Digest == index; err != nil || got != tt.whole {
			t.Errorf("%s: got %s and error %v, want %s: %t", tt.name, pushed.Descriptor.Digest, err, index, tt.whole)
		}
		w.Lists = fakes.Lists{}
		if _, err := create(t, w, c); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		pushed, err = push(t, w, "other.example.com/app:1", false)
		if got := pushed.Descriptor.Digest == index; err != nil || got != tt.whole {
			t.Errorf("%s, from the store: got %s and error %v, want %s: %t", tt.name, pushed.Descriptor.Digest, err, index, tt.whole)
		}
	}
}

// A child with odd fields that a copy does not need is kept as it is, and one that is no manifest is skipped.
func TestCreateFromOddIndex(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	whole := string(w.Registry.Manifests[example+":a"])
	children := []ocispec.Descriptor{amd64}
	for i, odd := range []string{`"annotations":{"a":1}`, `"annotations":[]`, `"subject":{"digest":"x"}`, `"subject":"x"`, `"artifactType":7`} {
		raw := []byte(strings.TrimSuffix(whole, "}") + "," + odd + "}")
		name := fmt.Sprintf("%s:odd%d", example, i)
		children = append(children, ocispec.Descriptor{MediaType: amd64.MediaType, Digest: w.Registry.Store(fakes.Named(t, name), amd64.MediaType, raw),
			Size: int64(len(raw)), Platform: &ocispec.Platform{OS: "linux", Architecture: fmt.Sprint("odd", i)}})
	}
	want := len(children)
	invalid := []byte(`{"config":[]}`)
	children = append(children, ocispec.Descriptor{MediaType: amd64.MediaType, Digest: w.Registry.Store(fakes.Named(t, example+":x"), amd64.MediaType, invalid),
		Size: int64(len(invalid)), Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}})
	w.Registry.Index(t, example+":index", ocispec.MediaTypeImageIndex, children...)
	pushed, err := publish.CreateAndPush(t.Context(), w.Clients(), fakes.Creation(t, "example.com/other:1", example+":index"))
	if err != nil || len(pushed.List.Entries) != want {
		t.Fatalf("got %s, error %v, want the %d images that can be copied", summary(pushed.List), err, want)
	}
	for _, c := range children[:want] {
		if got, from := w.Registry.Manifests["example.com/other@"+c.Digest.String()], w.Registry.Manifests[example+"@"+c.Digest.String()]; string(got) != string(from) {
			t.Errorf("got %s, want %s", got, from)
		}
	}
	if got := fmt.Sprint(w.Notes.Warnings); !strings.Contains(got, "contains an invalid image (manifest "+children[want].Digest.String()) || len(w.Notes.Warnings) != 1 {
		t.Errorf("got warnings %s, want one on %s", got, children[want].Digest)
	}
}
