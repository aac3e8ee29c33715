package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

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
