package manifest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

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
	found, err := manifest.Inspect(t.Context(), w.Lists, w.Registry, fakes.Named(t, example+":1"))
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
