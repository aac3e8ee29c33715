package repository

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

func TestPurgeTags(t *testing.T) {
	w := fakes.NewFixture()
	w.Registry.Image(t, app+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Registry.Image(t, app+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64")
	w.Registry.Image(t, "other.com/app:s390x", manifest.MediaTypeDockerManifest, "linux/s390x")
	if _, err := publish.Create(t.Context(), w.Lists, w.Clients(), fakes.Creation(t, app+":1", app+":amd64", app+":arm64", "other.com/app:s390x")); err != nil {
		t.Fatal(err)
	}
	pushed, err := publish.PushLocal(t.Context(), w.Lists, w.Clients(), fakes.ListName(t, app+":1"), publish.Publication{}, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Lists) != 0 {
		t.Error("got the local list after --purge, want it removed")
	}
	w.Registry.NoUntag = true
	hint := "repo untag --via-placeholder " + app + ":amd64 " + app + ":arm64)"
	if err := PurgeTags(t.Context(), w.Registry, w.Notes, pushed); err != nil || len(w.Notes.Warnings) != 1 || !strings.HasSuffix(w.Notes.Warnings[0], hint) {
		t.Errorf("a registry that cannot untag: got error %v and warnings %q, want one warning that ends with %q", err, w.Notes.Warnings, hint)
	}
	w.Registry.NoUntag, w.Notes.Warnings = false, nil
	w.Registry.Image(t, app+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64", "moved")
	if err := PurgeTags(t.Context(), w.Registry, w.Notes, pushed); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{app + ":amd64": false, app + ":arm64": true, app + ":1": true, "other.com/app:s390x": true} {
		if _, err := w.Registry.Digest(t.Context(), fakes.Named(t, name)); (err == nil) != there {
			t.Errorf("%s: got error %v, want it to exist: %t", name, err, there)
		}
	}
	if len(w.Notes.Warnings) != 1 || !strings.Contains(w.Notes.Warnings[0], "keeping the tag") {
		t.Errorf("got warnings %q, want one of the tag that moved", w.Notes.Warnings)
	}
}

// A manifest that the registry deletes together with its tag is restored.
func TestPurgeTagsKeepsChildren(t *testing.T) {
	w := fakes.NewFixture()
	w.Registry.Image(t, app+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Registry.Image(t, app+":arm64", manifest.MediaTypeDockerManifest, "linux/arm64")
	if _, err := publish.Create(t.Context(), w.Lists, w.Clients(), fakes.Creation(t, app+":1", app+":amd64")); err != nil {
		t.Fatal(err)
	}
	pushed, err := publish.PushLocal(t.Context(), w.Lists, w.Clients(), fakes.ListName(t, app+":1"), publish.Publication{}, true)
	if err != nil {
		t.Fatal(err)
	}
	w.Registry.Greedy = true
	w.Registry.Manifests[app+":sibling"] = w.Registry.Manifests[app+":amd64"]
	child := manifest.AtDigest(fakes.Named(t, app), pushed.List.Entries[0].Descriptor.Digest)
	pushed.List.Entries[0].Raw = nil // as in a list of an older docker
	if err := PurgeTags(t.Context(), w.Registry, w.Notes, pushed); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Registry.Digest(t.Context(), child); err != nil || len(w.Notes.Warnings) != 1 || !strings.Contains(w.Notes.Warnings[0], "sibling") {
		t.Errorf("got error %v and warnings %q, want the manifest and one warning that names sibling", err, w.Notes.Warnings)
	}
	if got, err := w.Registry.Digest(t.Context(), fakes.Named(t, app+":sibling")); err != nil || got != child.Digest() {
		t.Errorf("got %s and error %v for another tag of the image, want %s", got, err, child.Digest())
	}
	w.Registry.Errs["tags "+app] = manifest.Errorf(errdefs.ErrPermissionDenied, "no listing")
	w.Registry.Image(t, app+":amd64", manifest.MediaTypeDockerManifest, "linux/amd64")
	w.Notes.Warnings = nil
	if err := PurgeTags(t.Context(), w.Registry, w.Notes, pushed); err != nil || len(w.Notes.Warnings) != 1 || !strings.Contains(w.Notes.Warnings[0], "cannot be listed") {
		t.Errorf("a registry that does not list tags: got error %v and warnings %q, want one warning", err, w.Notes.Warnings)
	}
	if _, err := w.Registry.Digest(t.Context(), fakes.Named(t, app+":amd64")); err != nil {
		t.Errorf("a registry that does not list tags: got error %v, want the tag kept", err)
	}
}
