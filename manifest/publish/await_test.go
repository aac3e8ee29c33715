package publish_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// TestCreateWaits makes a list of a source that comes later.
func TestCreateWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fakes.NewFixture()
		w.Registry.Image(t, repo+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
		w.Registry.Image(t, repo+":built", ocispec.MediaTypeImageManifest, "linux/arm64")
		time.AfterFunc(5*time.Second, func() {
			w.Registry.Mu.Lock()
			defer w.Registry.Mu.Unlock()
			w.Registry.Manifests[repo+":arm64"] = w.Registry.Manifests[repo+":built"]
		})
		c := fakes.Creation(t, repo+":1", repo+":amd64", repo+":arm64")
		c.Wait = time.Minute
		list, err := publish.Assemble(t.Context(), w.Clients(), c)
		if err != nil || len(list.Entries) != 2 {
			t.Errorf("got %v, %v, want two entries", list, err)
		}
	})
}

// TestCreateEndsToWait does not wait for a source when another one cannot be read.
func TestCreateEndsToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, start := fakes.NewFixture(), time.Now()
		w.Registry.Errs[repo+":arm64"] = manifest.Errorf(errdefs.ErrUnknown, "broken")
		c := fakes.Creation(t, repo+":1", repo+":amd64", repo+":arm64")
		c.Wait = time.Hour
		_, err := publish.Assemble(t.Context(), w.Clients(), c)
		if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "broken") || took > time.Minute {
			t.Errorf("got %v after %s, want the error of the broken source at once", err, took)
		}
	})
}
