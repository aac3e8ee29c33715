package registry

import (
	"context"
	"sync"
)

// once runs a function until it has succeeded one time. Calls that come while it runs wait, and share
// its failure, but for one that only the caller's own cancellation brought about.
type once struct {
	mu      sync.Mutex
	done    bool
	running *run
}

type run struct {
	finished  chan struct{}
	err       error
	cancelled bool
}

func (o *once) do(ctx context.Context, f func() error) error {
	for {
		r, leading := o.join()
		switch {
		case r == nil:
			return nil
		case leading:
			return o.lead(ctx, r, f)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.finished:
		}
		if r.err != nil && !r.cancelled {
			return r.err
		}
	}
}

// skip makes it done without a run.
func (o *once) skip() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = true
}

func (o *once) isDone() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}

// join returns the run to wait for or to lead, nil when it has succeeded before.
func (o *once) join() (r *run, leading bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return nil, false
	}
	if o.running != nil {
		return o.running, false
	}
	o.running = &run{finished: make(chan struct{})}
	return o.running, true
}

func (o *once) lead(ctx context.Context, r *run, f func() error) error {
	r.err = f()
	r.cancelled = ctx.Err() != nil
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done, o.running = o.done || r.err == nil, nil
	close(r.finished)
	return r.err
}
