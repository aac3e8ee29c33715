package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestParseAnnotations(t *testing.T) {
	for typed, want := range map[string]string{
		"k=v":                                 "map[k:v] [] []",
		"k=a=b:c":                             "map[k:a=b:c] [] []",
		"a:b=v":                               "map[a:b:v] [] []",
		"index:k=v":                           "map[k:v] [] []",
		"manifest-descriptor:k=v":             "map[] [all k=v] []",
		"manifest-descriptor[linux/arm64]:k=": "map[] [linux/arm64 k=] []",
		"manifest,index:k=v":                  "map[k:v] [] [manifest]",
		"manifest,index,index-descriptor,manifest-descriptor[linux/amd64]:k=v": "map[k:v] [linux/amd64 k=v] [manifest index-descriptor]",
	} {
		a, err := manifest.ParseAnnotations([]string{typed}, "index")
		descriptors := []string{}
		for _, d := range a.Descriptors {
			platform := "all"
			if d.Platform != nil {
				platform = d.Platform.String()
			}
			descriptors = append(descriptors, platform+" "+d.Key+"="+d.Value)
		}
		if got := fmt.Sprint(a.Index, descriptors, a.Skipped); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", typed, got, err, want)
		}
	}
	for typed, want := range map[string]string{
		"k": "is not KEY=VALUE", "=v": "is not KEY=VALUE", "index:=v": "is not KEY=VALUE",
		"manifest:k=v":                    "only annotations of itself and of its descriptors",
		"manifest,index-descriptor:k=v":   "for manifest and index-descriptor",
		"index[linux/amd64]:k=v":          "an index has no platform",
		"manifest-descriptor[linux]:k=v":  "linux",
		"manifest[linux/amd64],index:k=v": "",
	} {
		_, err := manifest.ParseAnnotations([]string{typed}, "index")
		if (err == nil) != (want == "") || err != nil && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", typed, err, want)
		}
	}
	if _, err := manifest.ParseAnnotations([]string{"manifest:k=v"}, "index"); !strings.Contains(manifest.Hint(err), "DOCKER_METADATA_ANNOTATIONS_LEVELS=index") {
		t.Errorf("got hint %q, want one that names the setting of the action", manifest.Hint(err))
	}
}

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
		return manifest.Assemble(t.Context(), w.Clients(), c)
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
