package manifest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
)

// The pauses between two attempts of Await.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// Await calls f until it returns something else than an errdefs.ErrNotFound error, but not for longer than limit, and returns
// its last result. It reports when it starts to wait for what, and when that came.
func Await(ctx context.Context, limit time.Duration, report Reporter, what string, f func() error) error {
	err := f()
	if limit <= 0 || !errdefs.IsNotFound(err) {
		return err
	}
	report.Note("waiting up to %s for %s", limit, what)
	start := time.Now()
	for next := firstPause; errdefs.IsNotFound(err); next = min(2*next, longestPause) {
		left := limit - time.Since(start)
		if left <= 0 {
			return err
		}
		// Several jobs may wait for one image.
		if ended := pause.For(ctx, min(next/2+rand.N(next/2+1), left)); ended != nil {
			return ended
		}
		err = f()
	}
	if err == nil {
		report.Note("%s came after %s", what, time.Since(start).Round(time.Second))
	}
	return err
}
