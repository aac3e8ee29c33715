package repository

import (
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestPurgeTags(t *testing.T) {
	w := fakes.NewWorld()
	w.Registry.Image(t, tidied+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Registry.Image(t, tidied+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64")
	w.Registry.Image(t, "other.com/app:s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
	if _, err := manifest.Create(t.Context(), w.Lists, w.Clients(), fakes.Creation(t, tidied+":1", tidied+":amd64", tidied+":arm64", "other.com/app:s390x")); err != nil {
		t.Fatal(err)
	}
	pushed, err := manifest.PushLocal(t.Context(), w.Lists, w.Clients(), fakes.ListName(t, tidied+":1"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Lists) != 0 {
		t.Error("the local list stays after --purge")
	}
	w.Registry.NoUntag = true
	if err := PurgeTags(t.Context(), w.Access(), pushed); err != nil || len(w.Notes.Warnings) != 1 {
		t.Errorf("a registry that cannot untag: %v, %v", err, w.Notes.Warnings)
	}
	w.Registry.NoUntag, w.Notes.Warnings = false, nil
	w.Registry.Image(t, tidied+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64", "moved")
	if err := PurgeTags(t.Context(), w.Access(), pushed); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{tidied + ":amd64": false, tidied + ":arm64": true, tidied + ":1": true, "other.com/app:s390x": true} {
		if _, err := w.Registry.Digest(t.Context(), fakes.Named(t, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.Notes.Warnings) != 1 || !strings.Contains(w.Notes.Warnings[0], "the tag stays") {
		t.Errorf("warnings %v", w.Notes.Warnings)
	}
}

// A registry that deletes the manifest together with its tag gets it back.
func TestPurgeTagsKeepsChildren(t *testing.T) {
	w := fakes.NewWorld()
	w.Registry.Image(t, tidied+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Registry.Image(t, tidied+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64")
	if _, err := manifest.Create(t.Context(), w.Lists, w.Clients(), fakes.Creation(t, tidied+":1", tidied+":amd64")); err != nil {
		t.Fatal(err)
	}
	pushed, err := manifest.PushLocal(t.Context(), w.Lists, w.Clients(), fakes.ListName(t, tidied+":1"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	w.Registry.Greedy = true
	child := manifest.AtDigest(fakes.Named(t, tidied), pushed.List.Entries[0].Descriptor.Digest)
	pushed.List.Entries[0].Raw = nil // as in a list of an older docker
	if err := PurgeTags(t.Context(), w.Access(), pushed); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Registry.Digest(t.Context(), child); err != nil || len(w.Notes.Warnings) != 1 {
		t.Errorf("%v, %v", err, w.Notes.Warnings)
	}
}
