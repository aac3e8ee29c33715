package registry

import (
	"context"
	"io"
	"sync"
)

// held marks a context whose requests to a host have their slot already.
type held struct{ host *host }

// enter waits until the host has room for one more request, and returns a context in which that room is
// taken and a function that leaves it. Whoever needs room at two hosts enters the one that is written to
// first, so that none waits for another.
func (h *host) enter(ctx context.Context) (context.Context, func(), error) {
	if ctx.Value(held{h}) != nil {
		return ctx, func() {}, nil
	}
	select {
	case <-ctx.Done():
		return ctx, nil, ctx.Err()
	case h.slots <- struct{}{}:
	}
	return context.WithValue(ctx, held{h}, true), sync.OnceFunc(func() { <-h.slots }), nil
}

// leaving is a body whose end leaves the host's slot.
type leaving struct {
	io.ReadCloser
	leave func()
}

func (b leaving) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}
