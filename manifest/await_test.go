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
