package manifest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// TestAwait waits for what does not exist yet, and for nothing else, as long as it may.
func TestAwait(t *testing.T) {
	absent, broken := manifest.Errorf(errdefs.ErrNotFound, "absent"), errors.New("broken")
	for name, c := range map[string]struct {
		limit  time.Duration
		after  time.Duration // when it comes
		then   error
		want   error
		took   [2]time.Duration
		report []string
	}{
		"at once":      {time.Minute, 0, nil, nil, [2]time.Duration{}, nil},
		"comes":        {time.Minute, 20 * time.Second, nil, nil, [2]time.Duration{20 * time.Second, 50 * time.Second}, []string{"waiting up to 1m0s for app", "app came after "}},
		"never comes":  {time.Minute, time.Hour, nil, absent, [2]time.Duration{time.Minute, time.Minute}, []string{"waiting up to 1m0s for app"}},
		"not asked to": {0, time.Hour, nil, absent, [2]time.Duration{}, nil},
		"breaks":       {time.Minute, 5 * time.Second, broken, broken, [2]time.Duration{5 * time.Second, 20 * time.Second}, []string{"waiting up to 1m0s for app"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, report := time.Now(), &fakes.Reporter{}
				err := manifest.Await(t.Context(), c.limit, report, "app", func() error {
					if time.Since(start) < c.after {
						return absent
					}
					return c.then
				})
				took := time.Since(start)
				if !errors.Is(err, c.want) || took < c.took[0] || took > c.took[1] {
					t.Errorf("got %v after %s, want %v after %v", err, took, c.want, c.took)
				}
				if !slices.EqualFunc(report.Notes, c.report, strings.HasPrefix) {
					t.Errorf("got reports %q, want %q", report.Notes, c.report)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := manifest.Await(ctx, time.Hour, &fakes.Reporter{}, "app", func() error { cancel(); return absent })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v, want %v", err, context.Canceled)
	}
}

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
		list, err := manifest.Assemble(t.Context(), w.Clients(), c)
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
		_, err := manifest.Assemble(t.Context(), w.Clients(), c)
		if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "broken") || took > time.Minute {
			t.Errorf("got %v after %s, want the error of the broken source at once", err, took)
		}
	})
}
