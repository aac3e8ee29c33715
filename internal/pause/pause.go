// Package pause waits until a time has passed or a context has ended.
package pause

import (
	"context"
	"time"
)

// For waits for d. It returns the cause if ctx has ended.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}
