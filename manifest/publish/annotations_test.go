package publish_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// TestCreateAnnotated annotates the list and the descriptors of its images as it is made.
func TestCreateAnnotated(t *testing.T) {
	w := fakes.NewFixture()
	for _, arch := range []string{"amd64", "arm64"} {
		w.Registry.Image(t, repo+":"+arch, ocispec.MediaTypeImageManifest, "linux/"+arch)
	}
	create := func(typed ...string) (manifest.List, error) {
		c := fakes.Creation(t, repo+":1", repo+":amd64", repo+":arm64")
		var err error
		if c.Annotations, err = manifest.ParseAnnotations(typed, "index"); err != nil {
			t.Fatal(err)
		}
		return publish.Assemble(t.Context(), w.Clients(), c)
	}
	list, err := create("a=1", "manifest-descriptor:b=2", "manifest-descriptor[linux/arm64]:c=3")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(list.Annotations, list.Entries[0].Descriptor.Annotations, list.Entries[1].Descriptor.Annotations)
	if want := "map[a:1] map[b:2] map[b:2 c:3]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := create("manifest-descriptor[linux/s390x]:c=3"); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "no image for linux/s390x") {
		t.Errorf("got %v, want an error that names the platform", err)
	}
}
