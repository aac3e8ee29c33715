package manifest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// world is everything that operations work with.
type world struct {
	registry *memory
	daemon   *engine
	notes    *said
	lists    shelf
}

func newWorld() world {
	m := newMemory()
	return world{m, newEngine(m), &said{}, shelf{}}
}

func (w world) access() Access { return Access{w.lists, w.registry, w.daemon, w.notes} }

func (w world) create(t *testing.T, c Creation) (List, error) {
	t.Helper()
	return Create(t.Context(), w.access(), c)
}

func (w world) push(t *testing.T, name string, purge bool) (Pushed, error) {
	t.Helper()
	return PushLocal(t.Context(), w.access(), listName(t, name), nil, purge)
}

const example = "example.com/app"

// built is a world with an image for each of two platforms in the registry.
func built(t *testing.T) world {
	w := newWorld()
	w.registry.image(t, example+":amd64", MediaTypeDockerManifest, "linux/amd64")
	w.registry.image(t, example+":arm64", MediaTypeDockerManifest, "linux/arm64")
	return w
}

func TestCreateKeepsOrder(t *testing.T) {
	w := built(t)
	list, err := w.create(t, creation(t, example+":1", example+":arm64", example+":amd64"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(list), "example.com/app:arm64 linux/arm64; example.com/app:amd64 linux/amd64"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(w.notes.notes)+len(w.notes.warnings) > 0 {
		t.Errorf("what docker manifest takes is taken silently: %v %v", w.notes.notes, w.notes.warnings)
	}
}

func TestCreateLeavesNothingBehind(t *testing.T) {
	w := built(t)
	_, err := w.create(t, creation(t, example+":1", example+":amd64", example+":absent"))
	if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "neither in the registry example.com nor in the daemon") {
		t.Errorf("got %v", err)
	}
	if len(w.lists) > 0 {
		t.Errorf("left behind: %v", w.lists)
	}
}

func TestCreateExisting(t *testing.T) {
	w := built(t)
	c := creation(t, example+":1", example+":amd64")
	if _, err := w.create(t, c); err != nil {
		t.Fatal(err)
	}
	if _, err := w.create(t, c); !errdefs.IsAlreadyExists(err) {
		t.Errorf("an existing list: %v", err)
	}
	w.registry.image(t, example+":amd64", MediaTypeDockerManifest, "linux/amd64", "rebuilt")
	c = creation(t, example+":1", example+":arm64", example+":amd64")
	c.Existing = Amend
	list, err := w.create(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(list), "example.com/app:amd64 linux/amd64; example.com/app:arm64 linux/arm64"; got != want {
		t.Errorf("amended: %s, want %s", got, want)
	}
	now, _ := w.registry.Digest(t.Context(), named(t, example+":amd64"))
	if list.Entries[0].Descriptor.Digest != now {
		t.Error("amend did not read the source again")
	}
	c = creation(t, example+":1", example+":arm64")
	c.Existing = Replace
	if list, err = w.create(t, c); err != nil || len(list.Entries) != 1 {
		t.Errorf("replaced: %s, %v", summary(list), err)
	}
}

// index puts an index of two platforms with attestations, one of them nested, under example:index.
func (w world) index(t *testing.T) {
	amd64 := w.registry.image(t, example+":i-amd64", ocispec.MediaTypeImageManifest, "linux/amd64", "i")
	arm64 := w.registry.image(t, example+":i-arm64", ocispec.MediaTypeImageManifest, "linux/arm64", "i")
	nested := w.registry.index(t, example+":nested", ocispec.MediaTypeImageIndex, arm64, w.registry.attestation(t, example+":a2", arm64.Digest))
	proof := w.registry.attestation(t, example+":a1", amd64.Digest)
	w.registry.index(t, example+":index", ocispec.MediaTypeImageIndex, amd64, proof, nested)
	w.registry.index(t, example+":one", ocispec.MediaTypeImageIndex, amd64, proof)
}

func TestCreateFromIndex(t *testing.T) {
	all := "example.com/app:index linux/amd64; example.com/app:index linux/arm64; " +
		"example.com/app:index unknown/unknown attestation; example.com/app:index unknown/unknown attestation"
	arm := "example.com/app:index linux/arm64; example.com/app:index unknown/unknown attestation"
	one := "example.com/app:one linux/amd64; example.com/app:one unknown/unknown attestation"
	for name, c := range map[string]struct {
		source string
		choice Choice
		want   string
	}{
		"all":      {"index", Choice{}, all},
		"strip":    {"index", Choice{Strip: true}, "example.com/app:index linux/amd64; example.com/app:index linux/arm64"},
		"platform": {"index", Choice{Platforms: []Platform{{ocispec.Platform{OS: "linux", Architecture: "arm64"}}}}, arm},
		"one":      {"one", Choice{}, one},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.index(t)
			creation := creation(t, example+":1", example+":"+c.source)
			creation.Choice = c.choice
			list, err := w.create(t, creation)
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(list); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if tagged := list.Entries[0].Ref.String() == example+":"+c.source; tagged != (name == "one") {
				t.Errorf("the first entry is kept as %s", list.Entries[0].Ref)
			}
			if tags := list.sourceTags(nil); (len(tags) == 1) != (name == "one") {
				t.Errorf("tags of the images: %v", tags)
			}
			if len(w.notes.notes) != 1 || !strings.Contains(w.notes.notes[0], "is an index: taking linux/") {
				t.Errorf("notes %v", w.notes.notes)
			}
			if mediaType, _ := list.indexType(); mediaType != ocispec.MediaTypeImageIndex {
				t.Errorf("media type %s", mediaType)
			}
		})
	}
}

func TestCreateBounds(t *testing.T) {
	w := newWorld()
	d := w.registry.image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	for range maxDepth + 1 {
		d = w.registry.index(t, example+":deep", ocispec.MediaTypeImageIndex, d)
	}
	if _, err := w.create(t, creation(t, example+":1", example+":deep")); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("got %v", err)
	}
	many := slices.Repeat([]ocispec.Descriptor{d}, MaxEntries+1)
	w.registry.index(t, example+":wide", ocispec.MediaTypeImageIndex, many...)
	if _, err := w.create(t, creation(t, example+":1", example+":wide")); !errdefs.IsInvalidArgument(err) {
		t.Errorf("got %v", err)
	}
}

func TestLookup(t *testing.T) {
	unauthorized := Errorf(errdefs.ErrUnauthenticated, "401")
	unreachable := Errorf(errdefs.ErrUnavailable, "connection refused")
	dead := Errorf(errdefs.ErrUnavailable, "the daemon cannot be reached")
	for name, c := range map[string]struct {
		source   string
		registry map[string]string // name: platform
		errs     map[string]error
		daemon   map[string]string
		dead     bool
		from     Place
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
			source: "example.com/app:a", dead: true, want: "nor in the daemon (the daemon cannot be reached)"},
		"refused, and the daemon has it": {
			source: "example.com/app:a", errs: map[string]error{"example.com/app:a": unauthorized}, daemon: map[string]string{"example.com/app:a": "linux/arm64"},
			want: "example.com/app:a linux/arm64 pending", warning: "refused to show"},
		"refused": {
			source: "example.com/app:a", errs: map[string]error{"example.com/app:a": unauthorized}, want: "401 (nor is example.com/app:a taken from the daemon"},
		"unreachable": {
			source: "example.com/app:a", errs: map[string]error{"example.com/app:a": unreachable}, daemon: map[string]string{"example.com/app:a": "linux/arm64"},
			want: "--from daemon"},
		"from daemon": {
			source: "example.com/app:a", registry: map[string]string{"example.com/app:a": "linux/amd64"}, daemon: map[string]string{"example.com/app:a": "linux/arm64"}, from: InDaemon,
			want: "example.com/app:a linux/arm64 pending"},
		"from registry": {
			source: "app:a", registry: map[string]string{"app:a": "linux/amd64"}, daemon: map[string]string{"app:a": "linux/arm64"}, from: InRegistry,
			want: "app:a linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			w, builder := newWorld(), newMemory()
			for name, platform := range c.registry {
				w.registry.image(t, name, MediaTypeDockerManifest, platform)
			}
			for ref, err := range c.errs {
				w.registry.errs[ref] = err
			}
			for name, platform := range c.daemon {
				builder.image(t, name, MediaTypeDockerManifest, platform)
				w.daemon.holds(t, builder, name, name)
			}
			if c.dead {
				w.daemon.err = dead
			}
			creation := creation(t, "example.com/app:1", c.source)
			creation.Choice.From = c.from
			list, err := w.create(t, creation)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if got := summary(list); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := strings.Join(w.notes.warnings, "\n"); !strings.Contains(got, c.warning) || c.warning == "" && got != "" {
				t.Errorf("warnings %q, want %q", got, c.warning)
			}
		})
	}
}

// A daemon that never answers does not keep a script that needs the registry alone.
func TestLookupDoesNotWaitForTheDaemon(t *testing.T) {
	w := built(t)
	c := creation(t, example+":1", example+":amd64")
	if _, err := Create(t.Context(), Access{w.lists, w.registry, silent{}, w.notes}, c); err != nil {
		t.Error(err)
	}
}

// silent is a daemon that never answers.
type silent struct{ Images }

func (silent) Find(ctx context.Context, _ reference.Named) (Local, error) {
	<-ctx.Done()
	return Local{}, ctx.Err()
}

func TestPushOrder(t *testing.T) {
	w := built(t)
	w.registry.image(t, "other.com/app:s390x", MediaTypeDockerManifest, "linux/s390x")
	if _, err := w.create(t, creation(t, example+":1", example+":amd64", "other.com/app:s390x")); err != nil {
		t.Fatal(err)
	}
	w.registry.log = nil
	pushed, err := w.push(t, example+":1", false)
	if err != nil {
		t.Fatal(err)
	}
	d := pushed.List.Entries[1].Descriptor.Digest
	want := []string{"copy other.com/app:s390x to example.com/app:1", "put example.com/app:1"}
	if !slices.Equal(w.registry.log, want) {
		t.Errorf("requests %q, want %q", w.registry.log, want)
	}
	if len(pushed.Children) != 1 || pushed.Children[0].Digest != d {
		t.Errorf("children %v", pushed.Children)
	}
	w.registry.log = nil
	w.registry.errs["copy"] = errors.New("broken")
	if _, err := w.push(t, example+":1", true); err == nil || slices.Contains(w.registry.log, "put example.com/app:1") {
		t.Errorf("a list was pushed over a child that was not: %v, %v", err, w.registry.log)
	}
	if _, ok := w.lists[example+":1"]; !ok {
		t.Error("a failed push purged the list")
	}
}

func TestPushPending(t *testing.T) {
	w, builder := newWorld(), newMemory()
	builder.image(t, "plain:amd64", MediaTypeDockerManifest, "linux/amd64")
	builder.image(t, example+":arm64", MediaTypeDockerManifest, "linux/arm64")
	plain := w.daemon.holds(t, builder, "plain:amd64", "plain:amd64")
	w.daemon.holds(t, builder, example+":arm64", example+":arm64")
	if _, err := w.create(t, creation(t, example+":1", "plain:amd64", example+":arm64")); err != nil {
		t.Fatal(err)
	}
	pushed, err := w.push(t, example+":1", false)
	if err != nil {
		t.Fatal(err)
	}
	staging := example + ":1-linux-amd64-" + short(plain.ID)
	want := []string{"tag " + staging, "push " + staging, "untag " + staging, "push " + example + ":arm64"}
	if !slices.Equal(w.daemon.log, want) {
		t.Errorf("daemon: %q, want %q", w.daemon.log, want)
	}
	kept := w.lists[example+":1"]
	if got, want := summary(kept), "plain:amd64 linux/amd64; example.com/app:arm64 linux/arm64"; got != want {
		t.Errorf("written back: %s, want %s", got, want)
	}
	if kept.Entries[0].Ref.String() != staging || len(kept.Entries[0].Raw) == 0 {
		t.Errorf("written back: %s", kept.Entries[0].Ref)
	}
	if desc, _, err := kept.Index(); err != nil || desc.Digest != pushed.Descriptor.Digest {
		t.Errorf("the list kept has digest %s (%v), pushed was %s", desc.Digest, err, pushed.Descriptor.Digest)
	}
}

func TestPushPendingFails(t *testing.T) {
	w, builder := newWorld(), newMemory()
	builder.image(t, "plain:amd64", MediaTypeDockerManifest, "linux/amd64")
	w.daemon.holds(t, builder, "plain:amd64", "plain:amd64")
	if _, err := w.create(t, creation(t, example+":1", "plain:amd64")); err != nil {
		t.Fatal(err)
	}
	w.registry.errs["push"] = errors.New("broken pipe")
	if _, err := w.push(t, example+":1", true); err == nil || !strings.Contains(err.Error(), "pushing plain:amd64 from the daemon") {
		t.Errorf("got %v", err)
	}
	if len(w.daemon.images) != 1 || !strings.HasPrefix(w.daemon.log[len(w.daemon.log)-1], "untag ") {
		t.Errorf("a staging name stayed: %v", w.daemon.log)
	}
	if got := summary(w.lists[example+":1"]); got != "plain:amd64 linux/amd64 pending" {
		t.Errorf("the list is now %s", got)
	}
	delete(w.registry.errs, "push")
	builder.image(t, "plain:amd64", MediaTypeDockerManifest, "linux/amd64", "rebuilt")
	w.daemon.holds(t, builder, "plain:amd64", "plain:amd64")
	if _, err := w.push(t, example+":1", true); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "create --amend") {
		t.Errorf("an image that was rebuilt since: %v", err)
	}
}

// The list's own name is never taken for an image, and a staging name never from another image.
func TestPushStagingNames(t *testing.T) {
	w, builder := newWorld(), newMemory()
	builder.image(t, example+":1", MediaTypeDockerManifest, "linux/amd64")
	local := w.daemon.holds(t, builder, example+":1", example+":1")
	staging := example + ":1-linux-amd64-" + short(local.ID)
	w.registry.image(t, staging, MediaTypeDockerManifest, "linux/s390x")
	if _, err := w.create(t, creation(t, example+":1", example+":1")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.push(t, example+":1", true); err != nil {
		t.Fatal(err)
	}
	if want := []string{"tag " + staging + "-2", "push " + staging + "-2", "untag " + staging + "-2"}; !slices.Equal(w.daemon.log, want) {
		t.Errorf("daemon: %q, want %q", w.daemon.log, want)
	}
	// A person's own tag that happens to be the staging name stays.
	w.daemon.images[staging+"-2"], w.daemon.log = local, nil
	again := creation(t, example+":1", example+":1")
	again.Choice.From = InDaemon
	if _, err := w.create(t, again); err != nil {
		t.Fatal(err)
	}
	if _, err := w.push(t, example+":1", true); err != nil {
		t.Fatal(err)
	}
	if want := []string{"tag " + staging + "-3", "push " + staging + "-3", "untag " + staging + "-3"}; !slices.Equal(w.daemon.log, want) {
		t.Errorf("daemon: %q, want %q", w.daemon.log, want)
	}
	long := strings.Repeat("x", maxTag)
	s := &sender{Access: w.access(), list: List{Name: named(t, example+":"+long)}}
	name, err := s.stage(t.Context(), local, []Entry{{Descriptor: ocispec.Descriptor{Platform: &local.Platform}}})
	if err != nil || len(name.Tag()) != maxTag || !strings.HasSuffix(name.Tag(), "-linux-amd64-"+short(local.ID)) {
		t.Errorf("got %v, %v", name, err)
	}
}

// An index in the containerd store goes up whole; its attestations join the list.
func TestPushPendingIndex(t *testing.T) {
	for name, missing := range map[string]bool{"complete": false, "partial": true} {
		t.Run(name, func(t *testing.T) {
			w, builder := newWorld(), newMemory()
			amd64 := builder.image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
			arm64 := builder.image(t, example+":b", ocispec.MediaTypeImageManifest, "linux/arm64")
			proof := builder.attestation(t, example+":c", amd64.Digest)
			top := builder.index(t, example+":i", ocispec.MediaTypeImageIndex, amd64, arm64, proof)
			for _, d := range []ocispec.Descriptor{amd64, arm64, proof, top} {
				w.daemon.bytes[d.Digest], w.daemon.raw[d.Digest] = d, builder.manifests[example+"@"+d.Digest.String()]
				if d.Digest != top.Digest {
					w.registry.put(named(t, example+"@"+d.Digest.String()), d.MediaType, w.daemon.raw[d.Digest])
				}
			}
			w.daemon.images["docker.io/library/plain:i"] = Local{ID: top.Digest, Platform: *amd64.Platform, Manifests: []LocalManifest{
				{Descriptor: amd64, Available: true}, {Descriptor: arm64, Available: !missing},
				{Descriptor: proof, Available: true, Subject: amd64.Digest},
			}}
			if _, err := w.create(t, creation(t, example+":1", "plain:i")); err != nil {
				t.Fatal(err)
			}
			pushed, err := w.push(t, example+":1", false)
			if err != nil {
				t.Fatal(err)
			}
			want := "plain:i linux/amd64; plain:i linux/arm64; plain:i unknown/unknown attestation"
			if missing {
				want = "plain:i linux/amd64"
			}
			if got := summary(pushed.List); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if missing != (len(w.notes.warnings) > 0) {
				t.Errorf("warnings %v", w.notes.warnings)
			}
			if tags := pushed.List.sourceTags(nil); len(tags) != 1 || !strings.HasPrefix(tags[0].name.Tag(), "1-") {
				t.Errorf("the staging tag is forgotten: %v", tags)
			}
		})
	}
}

func TestPurgeTags(t *testing.T) {
	w := built(t)
	w.registry.image(t, "other.com/app:s390x", MediaTypeDockerManifest, "linux/s390x")
	if _, err := w.create(t, creation(t, example+":1", example+":amd64", example+":arm64", "other.com/app:s390x")); err != nil {
		t.Fatal(err)
	}
	pushed, err := w.push(t, example+":1", true)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.lists) != 0 {
		t.Error("the local list stays after --purge")
	}
	w.registry.noUntag = true
	if err := PurgeTags(t.Context(), w.access(), pushed, nil); err != nil || len(w.notes.warnings) != 1 {
		t.Errorf("a registry that cannot untag: %v, %v", err, w.notes.warnings)
	}
	w.registry.noUntag, w.notes.warnings = false, nil
	w.registry.image(t, example+":arm64", MediaTypeDockerManifest, "linux/arm64", "moved")
	if err := PurgeTags(t.Context(), w.access(), pushed, nil); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{example + ":amd64": false, example + ":arm64": true, example + ":1": true, "other.com/app:s390x": true} {
		if _, err := w.registry.Digest(t.Context(), named(t, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.notes.warnings) != 1 || !strings.Contains(w.notes.warnings[0], "the tag stays") {
		t.Errorf("warnings %v", w.notes.warnings)
	}
}

// A list that was changed while it was pushed is not purged, nor are the changes lost.
func TestPushWhileChanged(t *testing.T) {
	for name, c := range map[string]struct {
		purge  bool
		change func(*testing.T, world)
		want   string
	}{
		"written back": {false, func(*testing.T, world) {}, "plain:s390x linux/s390x"},
		"amended": {false, func(t *testing.T, w world) {
			amend := creation(t, example+":1", example+":amd64")
			amend.Existing = Amend
			if _, err := w.create(t, amend); err != nil {
				t.Error(err)
			}
		}, "plain:s390x linux/s390x; example.com/app:amd64 linux/amd64"},
		"annotated": {false, func(t *testing.T, w world) {
			if err := AnnotateLocal(t.Context(), w.lists, listName(t, example+":1"), "plain:s390x", Annotation{Platform: ocispec.Platform{Variant: "z"}}); err != nil {
				t.Error(err)
			}
		}, "plain:s390x linux/s390x/z pending"},
		"dropped": {false, func(t *testing.T, w world) {
			w.lists[example+":1"] = List{Name: named(t, example+":1"), Entries: []Entry{{Ref: named(t, "x"), Source: named(t, "x")}}}
		}, "x:latest unknown/unknown pending"},
		"purged": {true, func(*testing.T, world) {}, ""},
		"annotated and purged": {true, func(t *testing.T, w world) {
			if err := AnnotateLocal(t.Context(), w.lists, listName(t, example+":1"), "plain:s390x", Annotation{Platform: ocispec.Platform{Variant: "z"}}); err != nil {
				t.Error(err)
			}
		}, "plain:s390x linux/s390x/z pending"},
	} {
		t.Run(name, func(t *testing.T) {
			w, builder := built(t), newMemory()
			builder.image(t, "plain:s390x", MediaTypeDockerManifest, "linux/s390x")
			w.daemon.holds(t, builder, "plain:s390x", "plain:s390x")
			if _, err := w.create(t, creation(t, example+":1", "plain:s390x")); err != nil {
				t.Fatal(err)
			}
			w.daemon.pushed = func() {
				w.daemon.mu.Unlock()
				defer w.daemon.mu.Lock()
				c.change(t, w)
			}
			if _, err := w.push(t, example+":1", c.purge); err != nil {
				t.Fatal(err)
			}
			if got := summary(w.lists[example+":1"]); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// What keeps a list from being pushed never makes an image of the same name be pushed in its place.
func TestPushPrefersTheList(t *testing.T) {
	w, builder := built(t), newMemory()
	builder.image(t, example+":1", MediaTypeDockerManifest, "linux/s390x")
	w.daemon.holds(t, builder, example+":1", example+":1")
	w.registry.image(t, "other.com/app:amd64", MediaTypeDockerManifest, "linux/amd64")
	if _, err := w.create(t, creation(t, example+":1", "other.com/app:amd64")); err != nil {
		t.Fatal(err)
	}
	w.registry.errs["copy"] = Errorf(errdefs.ErrNotFound, "blob unknown")
	if _, err := w.push(t, example+":1", true); !errdefs.IsNotFound(err) || len(w.daemon.log) > 0 {
		t.Errorf("got %v, the daemon did %v", err, w.daemon.log)
	}
	delete(w.lists, example+":1")
	pushed, err := PushLocal(t.Context(), w.access(), listName(t, example+":1"), []reference.NamedTagged{listName(t, example+":2")}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{example + ":1", example + ":2"} {
		if d, err := w.registry.Digest(t.Context(), named(t, name)); err != nil || d != pushed.Descriptor.Digest {
			t.Errorf("%s is %s, %v", name, d, err)
		}
	}
	if _, err := w.push(t, example+":absent", false); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "No such manifest: example.com/app:absent") {
		t.Errorf("got %v", err)
	}
}

// A registry that deletes the manifest together with its tag gets it back.
func TestPurgeTagsKeepsChildren(t *testing.T) {
	w := built(t)
	if _, err := w.create(t, creation(t, example+":1", example+":amd64")); err != nil {
		t.Fatal(err)
	}
	pushed, err := w.push(t, example+":1", true)
	if err != nil {
		t.Fatal(err)
	}
	w.registry.greedy = true
	child := atDigest(named(t, example), pushed.List.Entries[0].Descriptor.Digest)
	pushed.List.Entries[0].Raw = nil // as in a list of an older docker
	if err := PurgeTags(t.Context(), w.access(), pushed, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.registry.Digest(t.Context(), child); err != nil || len(w.notes.warnings) != 1 {
		t.Errorf("%v, %v", err, w.notes.warnings)
	}
}

func TestAssembleRefusesDuplicates(t *testing.T) {
	w := built(t)
	w.registry.image(t, example+":again", MediaTypeDockerManifest, "linux/arm64", "again")
	c := creation(t, example+":1", example+":arm64", example+":again")
	if _, err := Assemble(t.Context(), w.access(), c); !errdefs.IsFailedPrecondition(err) ||
		!strings.Contains(err.Error(), "example.com/app:arm64 and example.com/app:again are both for linux/arm64") {
		t.Errorf("got %v", err)
	}
	if _, err := w.create(t, c); err != nil || len(w.notes.warnings) != 1 {
		t.Errorf("create: %v, %v", err, w.notes.warnings)
	}
}

func TestCreateNamedTwice(t *testing.T) {
	w, builder := newWorld(), newMemory()
	builder.image(t, "plain:a", MediaTypeDockerManifest, "linux/amd64")
	w.daemon.holds(t, builder, "plain:a", "plain:a")
	w.index(t)
	if list, err := w.create(t, creation(t, example+":1", "plain:a", "plain:a")); err != nil || len(list.Entries) != 1 {
		t.Errorf("a source named twice: %s, %v", summary(list), err)
	}
	// A child that is named itself is no longer its index's.
	d := w.registry.image(t, example+":i-amd64", ocispec.MediaTypeImageManifest, "linux/amd64", "i").Digest
	named := example + "@" + d.String()
	list, err := w.create(t, creation(t, example+":2", example+":one", named))
	if err != nil || list.Entries[0].Source.String() != example+":one" || list.Entries[2].Source.String() != named {
		t.Errorf("a child named besides: %s, %v", summary(list), err)
	}
	list, err = w.create(t, creation(t, example+":3", example+":index", named))
	if want := named + " linux/amd64; example.com/app:index linux/arm64"; err != nil || !strings.HasPrefix(summary(list), want) {
		t.Errorf("a child named besides: %s, %v", summary(list), err)
	}
}

func TestCreateTellsOfOtherRegistries(t *testing.T) {
	w := newWorld()
	w.registry.image(t, "other.com/app:a", MediaTypeDockerManifest, "linux/amd64")
	if _, err := w.create(t, creation(t, example+":1", "other.com/app:a")); err != nil {
		t.Fatal(err)
	}
	if len(w.notes.notes) != 1 || !strings.Contains(w.notes.notes[0], "in the registry other.com: push will copy it") {
		t.Errorf("notes %v", w.notes.notes)
	}
}

func TestCreateChecksSizes(t *testing.T) {
	w := newWorld()
	d := w.registry.image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	d.Size++
	w.registry.index(t, example+":index", ocispec.MediaTypeImageIndex, d)
	if _, err := w.create(t, creation(t, example+":1", example+":index")); !errdefs.IsDataLoss(err) {
		t.Errorf("got %v", err)
	}
}

func TestSelectBySource(t *testing.T) {
	w := newWorld()
	w.index(t)
	list, err := w.create(t, creation(t, example+":1", example+":index"))
	if err != nil {
		t.Fatal(err)
	}
	list.Entries[0].Ref = named(t, example+":index") // as push leaves an index that it sent
	if found, err := list.Select(example + ":index"); err != nil || !slices.Equal(found, []int{0, 1}) {
		t.Errorf("got %v, %v", found, err)
	}
	_, err = list.selectOne(example + ":index")
	for _, e := range list.Images() {
		if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), e.Descriptor.Digest.String()) {
			t.Errorf("got %v, without %s", err, e.Descriptor.Digest)
		}
	}
}

func TestIsSame(t *testing.T) {
	m := newMemory()
	x := m.image(t, example+":x", ocispec.MediaTypeImageManifest, "linux/amd64")
	y := m.image(t, example+":y", ocispec.MediaTypeImageManifest, "linux/arm64")
	z := m.image(t, example+":z", ocispec.MediaTypeImageManifest, "linux/arm64", "rebuilt")
	top := m.index(t, example+":i", ocispec.MediaTypeImageIndex, x, y)
	raw := m.manifests[example+":i"]
	config, _, _ := ParseImage(m.manifests[example+":x"])
	local := func(manifests ...LocalManifest) Local { return Local{ID: z.Digest, Manifests: manifests} }
	for name, c := range map[string]struct {
		local Local
		want  bool
	}{
		"all":              {local(LocalManifest{Descriptor: x, Available: true}, LocalManifest{Descriptor: y, Available: true}), true},
		"one of two":       {local(LocalManifest{Descriptor: x, Available: true}, LocalManifest{Descriptor: y}), true},
		"one rebuilt":      {local(LocalManifest{Descriptor: x, Available: true}, LocalManifest{Descriptor: z, Available: true}), false},
		"graph, pulled":    {Local{ID: z.Digest, RepoDigests: []digest.Digest{top.Digest}}, true},
		"graph, a child":   {Local{ID: z.Digest, RepoDigests: []digest.Digest{y.Digest}}, true},
		"graph, different": {Local{ID: z.Digest}, false},
	} {
		if got := isSame(c.local, top, raw); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !isSame(Local{ID: config.Digest}, x, m.manifests[example+":x"]) {
		t.Error("the config is the image ID")
	}
}

// Another push may take the same staging name away.
func TestPushStagedOnceMore(t *testing.T) {
	w, builder := newWorld(), newMemory()
	builder.image(t, "plain:amd64", MediaTypeDockerManifest, "linux/amd64")
	local := w.daemon.holds(t, builder, "plain:amd64", "plain:amd64")
	staging := example + ":1-linux-amd64-" + short(local.ID)
	if _, err := w.create(t, creation(t, example+":1", "plain:amd64")); err != nil {
		t.Fatal(err)
	}
	w.daemon.pushed = func() {
		w.daemon.pushed = nil
		w.registry.errs["push"] = Errorf(errdefs.ErrNotFound, "tag does not exist")
		delete(w.daemon.images, staging)
	}
	w.daemon.tagged = func() {
		if w.daemon.pushed == nil {
			delete(w.registry.errs, "push")
		}
	}
	if _, err := w.push(t, example+":1", false); err != nil || len(w.daemon.images) != 1 {
		t.Errorf("got %v, the daemon did %v", err, w.daemon.log)
	}
	w.registry.errs["push"] = errors.New("denied") // no other push's doing
	w.daemon.tagged, w.daemon.log = nil, nil
	if _, err := w.create(t, creation(t, example+":2", "plain:amd64")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.push(t, example+":2", true); err == nil || len(w.daemon.log) != 2 {
		t.Errorf("got %v, the daemon did %v", err, w.daemon.log)
	}
}

// What is known at create is told at create: that attestations will not fit.
func TestAttestedPendingNeedsOCI(t *testing.T) {
	w, builder := newWorld(), newMemory()
	image := builder.image(t, example+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	proof := builder.attestation(t, example+":b", image.Digest)
	w.daemon.images["docker.io/library/plain:a"] = Local{ID: image.Digest, Platform: *image.Platform, Manifests: []LocalManifest{
		{Descriptor: image, Available: true}, {Descriptor: proof, Available: true, Subject: image.Digest},
	}}
	c := creation(t, example+":1", "plain:a")
	c.MediaType = MediaTypeDockerList
	if _, err := w.create(t, c); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "--attestations strip") || len(w.lists) > 0 {
		t.Errorf("got %v", err)
	}
	c.Choice.Strip = true
	if _, err := w.create(t, c); err != nil {
		t.Errorf("stripped: %v", err)
	}
}

func TestPlatformTag(t *testing.T) {
	if got := platformTag(ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7/é"}); got != "linux-arm-v7--" {
		t.Errorf("got %s", got)
	}
	if got := platformTag(ocispec.Platform{OS: "linux", Architecture: "arm", Variant: strings.Repeat("v", 200)}); len(got) > maxTag/3 {
		t.Errorf("got %s", got)
	}
}

func TestRequire(t *testing.T) {
	w := built(t)
	c := creation(t, example+":1", example+":arm64")
	c.Require = []Platform{{ocispec.Platform{OS: "linux", Architecture: "arm64"}}, {ocispec.Platform{OS: "linux", Architecture: "s390x"}}}
	if _, err := w.create(t, c); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "no image for linux/s390x") || len(w.lists) > 0 {
		t.Errorf("got %v, %v", err, w.lists)
	}
}

func TestDropAndAnnotateLocal(t *testing.T) {
	w := newWorld()
	w.index(t)
	if _, err := w.create(t, creation(t, example+":1", example+":index")); err != nil {
		t.Fatal(err)
	}
	name := listName(t, example+":1")
	err := AnnotateLocal(t.Context(), w.lists, name, example+":index", Annotation{Platform: ocispec.Platform{Variant: "v8"}})
	if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "one of sha256:") {
		t.Errorf("annotating several entries at once: %v", err)
	}
	if err := DropLocal(t.Context(), w.lists, name, []string{"linux/amd64"}); err != nil {
		t.Fatal(err)
	}
	if got, want := summary(w.lists[example+":1"]), "example.com/app:index linux/arm64; example.com/app:index unknown/unknown attestation"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := DropLocal(t.Context(), w.lists, name, []string{"linux/arm64"}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("dropping all: %v", err)
	}
	if err := DropLocal(t.Context(), w.lists, name, []string{"linux/s390x"}); !errdefs.IsNotFound(err) {
		t.Errorf("dropping what is not there: %v", err)
	}
	absent := listName(t, example+":absent")
	if err := AnnotateLocal(t.Context(), w.lists, absent, "a", Annotation{}); !errdefs.IsNotFound(err) {
		t.Errorf("absent list: %v", err)
	}
}

func TestTagIsAllOrNothing(t *testing.T) {
	w := built(t)
	for _, name := range []string{example + ":1", example + ":3"} {
		if _, err := w.create(t, creation(t, name, example+":amd64")); err != nil {
			t.Fatal(err)
		}
	}
	targets := []reference.NamedTagged{listName(t, example+":2"), listName(t, example+":3")}
	if err := Tag(t.Context(), w.lists, w.daemon, named(t, example+":1"), targets); !errdefs.IsAlreadyExists(err) {
		t.Errorf("got %v", err)
	}
	if _, ok := w.lists[example+":2"]; ok {
		t.Error("half of the names were given")
	}
	if err := Tag(t.Context(), w.lists, w.daemon, named(t, example+":1"), targets[:1]); err != nil || w.lists[example+":2"].Name.String() != example+":2" {
		t.Errorf("got %v", err)
	}
	if err := Tag(t.Context(), w.lists, w.daemon, named(t, "absent"), targets[:1]); !errdefs.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// A push says beforehand what it needs of the registries, and tells of images as they become known.
func TestPublishTellsAhead(t *testing.T) {
	w := built(t)
	w.registry.image(t, "other.com/app:s390x", MediaTypeDockerManifest, "linux/s390x")
	c := creation(t, example+":1", example+":amd64", "other.com/app:s390x")
	if _, err := Publish(t.Context(), w.access(), c, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"example.com/app:1", "example.com/app", "other.com/app", // by create
		"example.com/app:1", "other.com/app", // by push
		"image example.com/app:amd64", "image other.com/app:s390x",
	}
	slices.Sort(want)
	got := slices.Sorted(slices.Values(w.registry.expected))
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if len(w.lists) != 0 {
		t.Errorf("lists %v", w.lists)
	}
}
