package inspect_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

const example = "example.com/app"

// Of thousands of absent entries the first are named, in their order, and the others counted.
func TestVerboseNamesFewAbsentEntries(t *testing.T) {
	w := fakes.NewFixture()
	var children []ocispec.Descriptor
	for i := range 3000 {
		children = append(children, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(fmt.Sprint(i)), Size: 10,
			Platform: &ocispec.Platform{OS: "linux", Architecture: fmt.Sprint("a", i)},
		})
	}
	w.Registry.Index(t, example+":1", ocispec.MediaTypeImageIndex, children...)
	found, err := inspect.Read(t.Context(), w.Lists, w.Registry, fakes.Named(t, example+":1"))
	if err != nil {
		t.Fatal(err)
	}
	var lines manifest.Diagnostics
	text, err := found.Verbose(t.Context(), w.Registry, &lines)
	if err != nil {
		t.Fatal(err)
	}
	var entries []manifest.ImageManifest
	if err := json.Unmarshal(text, &entries); err != nil || len(entries) != len(children) {
		t.Errorf("got %d entries (%v), want %d", len(entries), err, len(children))
	}
	if len(lines) != 21 {
		t.Fatalf("got %d warnings, want 21", len(lines))
	}
	for i, line := range lines[:20] {
		if want := children[i].Digest.String() + " is not in the registry"; !strings.HasSuffix(line.Text, want) {
			t.Errorf("got warning %q, want %q", line.Text, want)
		}
	}
	if got, want := lines[20].Text, "2980 more entries of "+example+":1 are not in the registry"; got != want {
		t.Errorf("got warning %q, want %q", got, want)
	}
}

// Layers that images share count once in the size of the whole, which is unknown while an entry is.
func TestSizes(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := configured(t, w.Registry, "linux/amd64", `{"a":1}`, "shared", "amd64")
	arm64 := configured(t, w.Registry, "linux/arm64", `{"a":2}`, "shared", "program")
	lost := amd64
	lost.Digest, lost.Platform = digest.FromString("lost"), &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	w.Registry.Index(t, example+":1", ocispec.MediaTypeImageIndex, amd64, arm64, w.Registry.Attestation(t, example+":attestation", amd64.Digest))
	w.Registry.Index(t, example+":lost", ocispec.MediaTypeImageIndex, amd64, lost)
	one, two := 7+6+5+amd64.Size, 7+6+7+arm64.Size
	for _, tt := range []struct {
		tag      string
		whole    int64
		images   []int64
		warnings int
	}{
		{"1", one + two - 6, []int64{one, two}, 0},
		{"lost", 0, []int64{one, 0}, 1},
		{amd64.Digest.String(), one, nil, 0},
	} {
		name := example + ":" + tt.tag
		if strings.Contains(tt.tag, ":") {
			name = example + "@" + tt.tag
		}
		found, err := inspect.Read(t.Context(), w.Lists, w.Registry, fakes.Named(t, name))
		if err != nil {
			t.Fatal(err)
		}
		var lines manifest.Diagnostics
		v, err := found.Sized(t.Context(), w.Registry, &lines)
		if err != nil {
			t.Fatal(err)
		}
		var images []int64
		for _, e := range v.Manifests {
			images = append(images, e.ImageSize)
		}
		if v.ImageSize != tt.whole || !slices.Equal(images, tt.images) || len(lines) != tt.warnings {
			t.Errorf("%s: got %d, %d and warnings %v, want %d, %d and %d warnings", tt.tag, v.ImageSize, images, lines, tt.whole, tt.images, tt.warnings)
		}
	}
}
