package publish_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// A source whose tag names another architecture than that of its image gets a note with the build that is missing.
func TestCreateNotesArchitectures(t *testing.T) {
	for _, c := range []struct{ name, platform, want string }{
		{"plain:arm64", "linux/amd64", "plain:arm64 names arm64, but the image is for linux/amd64; to build one for that: docker build --platform linux/arm64 --tag plain:arm64 ."},
		{"plain:1.0-armv7", "linux/arm/v6", "plain:1.0-armv7 names arm/v7, but the image is for linux/arm/v6; to build one for that: docker build --platform linux/arm/v7 --tag plain:1.0-armv7 ."},
		{"plain:arm64", "linux/arm64", ""},
		{"plain:arm64v8", "linux/arm64/v8", ""},
		{"plain:arm", "linux/arm/v6", ""},
		{"plain:1.0", "linux/amd64", ""},
		{"plain:amd64", "windows/amd64", ""},
		{example + "/arm64:1", "linux/amd64", example + "/arm64:1 names arm64"},
		{example + "/arm64:x64", "linux/amd64", ""},
	} {
		w, builder := fakes.NewFixture(), fakes.NewRegistry()
		if strings.HasPrefix(c.name, "plain") {
			builder.Image(t, c.name, manifest.MediaTypeDockerManifest, c.platform)
			w.Daemon.Holds(t, builder, c.name, c.name)
		} else {
			w.Registry.Image(t, c.name, manifest.MediaTypeDockerManifest, c.platform)
		}
		if _, err := create(t, w, fakes.Creation(t, example+":1", c.name)); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(w.Notes.Notes, func(n string) bool { return strings.Contains(n, " names ") })
		if i < 0 != (c.want == "") || i >= 0 && !strings.HasPrefix(w.Notes.Notes[i], c.want) {
			t.Errorf("%s for %s: got notes %q, want %q", c.name, c.platform, w.Notes.Notes, c.want)
		}
	}
}

// The sources together must have every platform of --platform.
func TestCreatePlatformsThatNoSourceHas(t *testing.T) {
	w := built(t)
	putIndexes(t, w)
	builder := fakes.NewRegistry()
	builder.Image(t, "plain:s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
	builder.Image(t, "plain:v6", manifest.MediaTypeDockerManifest, "linux/arm/v6")
	w.Daemon.Holds(t, builder, "plain:s390x", "plain:s390x")
	w.Daemon.Holds(t, builder, "plain:v6", "plain:v6")
	for _, c := range []struct{ sources, platforms, want string }{
		{example + ":index plain:s390x", "linux/amd64 linux/s390x", ""},
		{example + ":index plain:s390x", "linux/amd64 linux/s390x linux/ppc64le linux/riscv64", "no source has an image for linux/ppc64le (they have: linux/amd64, linux/arm64 and linux/s390x)\n"},
		{example + ":amd64 " + example + ":index", "linux/s390x", "no source has an image for linux/s390x (they have: linux/amd64 and linux/arm64)\n"},
		{example + ":amd64", "linux/arm64 linux/amd64", "no source has an image for linux/arm64 (they have: linux/amd64)\n"},
		{"plain:s390x", "linux/amd64", "no source has an image for linux/amd64 (they have: linux/s390x)\n"},
		{"plain:v6", "linux/arm", "no source has an image for linux/arm (they have: linux/arm/v6)\nlinux/arm does not include linux/arm/v6; for all variants: linux/arm/*"},
		{"plain:v6", "linux/arm/*", ""},
	} {
		creation := fakes.Creation(t, example+":1", strings.Fields(c.sources)...)
		creation.Existing = publish.Replace
		var err error
		if creation.Choice.Platforms, err = manifest.ParsePlatforms(strings.Fields(c.platforms)); err != nil {
			t.Fatal(err)
		}
		list, err := create(t, w, creation)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s, --platform %s: got error %v, want none", c.sources, c.platforms, err)
		case c.want == "":
		case !errdefs.IsNotFound(err) || err.Error()+"\n"+manifest.Hint(err) != c.want:
			t.Errorf("%s, --platform %s: got list %s and error %v, want %q", c.sources, c.platforms, summary(list), err, c.want)
		}
	}
	if _, ok := w.Lists[example+":1"]; !ok {
		t.Error("got no list, want the last that was created")
	}
}

// A platform that the daemon lacks the content of is missing, too.
func TestCreatePlatformWithoutContent(t *testing.T) {
	w, builder := fakes.NewFixture(), fakes.NewRegistry()
	builder.Image(t, "plain:1", manifest.MediaTypeDockerManifest, "linux/amd64")
	local := w.Daemon.Holds(t, builder, "plain:1", "plain:1")
	for _, arch := range []string{"amd64", "arm64"} {
		d := ocispec.Descriptor{Digest: local.ID, Platform: &ocispec.Platform{OS: "linux", Architecture: arch}}
		local.Manifests = append(local.Manifests, manifest.LocalManifest{Descriptor: d, Available: arch == "amd64"})
	}
	w.Daemon.Images[local.Name.String()] = local
	creation := fakes.Creation(t, example+":1", "plain:1")
	creation.Choice.Platforms, _ = manifest.ParsePlatforms([]string{"linux/amd64", "linux/arm64"})
	if _, err := create(t, w, creation); !errdefs.IsNotFound(err) || !strings.Contains(strings.Join(w.Notes.Warnings, "\n"), "lacks the content of plain:1 for linux/arm64") {
		t.Errorf("got error %v and warnings %q, want that nothing has linux/arm64, and why", err, w.Notes.Warnings)
	}
}

// annotate suggests flags for an architecture that it does not know.
func TestAnnotateSuggestsFlags(t *testing.T) {
	w := built(t)
	if _, err := create(t, w, fakes.Creation(t, example+":1", example+":arm64")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ arch, text, hint string }{
		{"armv7", "did you mean linux/arm/v7?", "--os linux --arch arm --variant v7"},
		{"arm46", "did you mean linux/arm64?", "--os linux --arch arm64"},
		{"xyzzy", "architectures of linux are 386,", ""},
	} {
		a := manifest.Annotation{Platform: ocispec.Platform{Architecture: c.arch}}
		err := publish.AnnotateLocal(t.Context(), w.Lists, fakes.ListName(t, example+":1"), example+":arm64", a)
		if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.text) || manifest.Hint(err) != c.hint {
			t.Errorf("%s: got error %v with hint %q, want %q and %q", c.arch, err, manifest.Hint(err), c.text, c.hint)
		}
	}
}
