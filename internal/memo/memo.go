// Package memo computes values once and shares them between goroutines.
//
// [Once] holds one value, [Memo] one value for each key. Both follow the same rules:
//
//   - The first caller computes the value. Callers that arrive meanwhile wait for it and share its result;
//     later callers get the value at once.
//   - A caller stops waiting when its context is done. When the context of the computing caller is done and
//     the computation fails, the failure belongs to that caller only: one of those that wait computes the
//     value instead.
//   - Any other failure is shared by the callers that waited for it. Whether it is also kept for later
//     callers is up to [Once.KeepErrors] and [Memo.KeepErrors]; by default the next caller tries again.
//
// A computation runs on the goroutine of the caller that started it, so that the caller has returned only
// when its computation has ended. It must not ask for the value that it computes.
package memo

import (
	"context"
	"sync"
)

// Once is a value that is computed once. The zero value is ready for use.
type Once[V any] struct {
	// KeepErrors keeps a failure as it keeps a value.
	KeepErrors bool

	mu  sync.Mutex
	run *run[V] // under way, or the kept result; nil for none
}

// run is a computation. Its result may be read once finished is closed.
type run[V any] struct {
	finished  chan struct{}
	value     V
	err       error
	abandoned bool // by a caller whose context was done
}

// Do returns the value, computed by compute unless that was done before. The error is that of the
// computation, or that of ctx while another caller computes the value.
func (o *Once[V]) Do(ctx context.Context, compute func() (V, error)) (V, error) {
	for {
		r, leads := o.join()
		if leads {
			return o.lead(ctx, r, compute)
		}
		if err := r.wait(ctx); err != nil {
			var none V
			return none, err
		}
		if !r.abandoned {
			return r.value, r.err
		}
	}
}

// wait waits for the end of the computation. One that has ended counts even if ctx is done.
func (r *run[V]) wait(ctx context.Context) error {
	select {
	case <-r.finished:
	case <-ctx.Done():
		if !r.isFinished() {
			return ctx.Err()
		}
	}
	return nil
}

func (r *run[V]) isFinished() bool {
	select {
	case <-r.finished:
		return true
	default:
		return false
	}
}

// join returns the computation whose result is kept or to be waited for or, with leads, a new one for the caller to run.
func (o *Once[V]) join() (r *run[V], leads bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.run != nil {
		return o.run, false
	}
	o.run = &run[V]{finished: make(chan struct{})}
	return o.run, true
}

// lead runs a computation. One that panics is abandoned, so that nobody waits for it forever.
func (o *Once[V]) lead(ctx context.Context, r *run[V], compute func() (V, error)) (V, error) {
	r.abandoned = true
	defer o.finish(r)
	if r.err = ctx.Err(); r.err == nil {
		r.value, r.err = compute()
	}
	r.abandoned = r.err != nil && ctx.Err() != nil
	return r.value, r.err
}

func (o *Once[V]) finish(r *run[V]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if kept := !r.abandoned && (r.err == nil || o.KeepErrors); !kept && o.run == r {
		o.run = nil
	}
	close(r.finished)
}

// Load returns the value if it has been computed without an error, or stored.
func (o *Once[V]) Load() (v V, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.run == nil || !o.run.isFinished() || o.run.err != nil {
		return v, false
	}
	return o.run.value, true
}

// Store makes v the value, in place of any other. A computation under way no longer counts.
func (o *Once[V]) Store(v V) {
	r := &run[V]{finished: make(chan struct{}), value: v}
	close(r.finished)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.run = r
}

// Drop forgets the value if there is one and stale reports true for it. A computation under way still counts.
func (o *Once[V]) Drop(stale func(V) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.run != nil && o.run.isFinished() && o.run.err == nil && stale(o.run.value) {
		o.run = nil
	}
}

// Memo has a value for each key, computed once. The zero value is ready for use.
type Memo[K comparable, V any] struct {
	// KeepErrors keeps failures as it keeps values.
	KeepErrors bool

	values sync.Map // of *Once[V]
}

// Do returns the value of key, computed by compute unless that was done before; see [Once.Do].
func (m *Memo[K, V]) Do(ctx context.Context, key K, compute func() (V, error)) (V, error) {
	return m.at(key).Do(ctx, compute)
}

func (m *Memo[K, V]) at(key K) *Once[V] {
	o, ok := m.values.Load(key)
	if !ok {
		o, _ = m.values.LoadOrStore(key, &Once[V]{KeepErrors: m.KeepErrors})
	}
	return o.(*Once[V])
}

// Load returns the value of key if it has been computed without an error.
func (m *Memo[K, V]) Load(key K) (v V, ok bool) { return m.at(key).Load() }

// Drop forgets the value of key if there is one and stale reports true for it. A computation under way still
// counts.
func (m *Memo[K, V]) Drop(key K, stale func(V) bool) { m.at(key).Drop(stale) }

// DropAll forgets all values that stale reports true for.
func (m *Memo[K, V]) DropAll(stale func(V) bool) {
	m.values.Range(func(_, o any) bool {
		o.(*Once[V]).Drop(stale)
		return true
	})
}

// Delete forgets what was computed for key and returns what [Memo.Load] would have returned. Callers that
// wait for a computation under way still get its result.
func (m *Memo[K, V]) Delete(key K) (v V, ok bool) {
	if o, known := m.values.LoadAndDelete(key); known {
		return o.(*Once[V]).Load()
	}
	return v, false
}
