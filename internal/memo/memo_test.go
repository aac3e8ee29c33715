package memo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errBroken = errors.New("broken")

func TestComputedOnce(t *testing.T) {
	var m Memo[string, int]
	var computed atomic.Int32
	var group sync.WaitGroup
	for i := range 20 {
		key := fmt.Sprint("key", i%2)
		group.Go(func() {
			got, err := m.Do(t.Context(), key, func() (int, error) {
				computed.Add(1)
				return int(key[3]), nil
			})
			if want := int(key[3]); got != want || err != nil {
				t.Errorf("Do(%s): got %d, %v, want %d", key, got, err, want)
			}
		})
	}
	group.Wait()
	if got := computed.Load(); got != 2 {
		t.Errorf("got %d computations for 2 keys, want 2", got)
	}
}

func TestErrors(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("KeepErrors=", keep), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := Memo[int, int]{KeepErrors: keep}
				computed := 0
				fail := func() (int, error) {
					computed++
					<-time.After(time.Second)
					return 0, errBroken
				}
				var group sync.WaitGroup
				for range 3 {
					group.Go(func() {
						if _, err := m.Do(t.Context(), 1, fail); !errors.Is(err, errBroken) {
							t.Errorf("got error %v, want %v", err, errBroken)
						}
					})
				}
				group.Wait()
				if computed != 1 {
					t.Errorf("got %d computations for callers side by side, want 1", computed)
				}
				if got, ok := m.Load(1); ok {
					t.Errorf("Load after a failure: got %d, want nothing", got)
				}
				got, err := m.Do(t.Context(), 1, func() (int, error) { return 7, nil })
				switch {
				case keep && !errors.Is(err, errBroken):
					t.Errorf("later Do: got error %v, want the kept %v", err, errBroken)
				case !keep && (got != 7 || err != nil):
					t.Errorf("later Do: got %d, %v, want 7", got, err)
				}
			})
		})
	}
}

func TestCancelled(t *testing.T) {
	tests := map[string]struct {
		first, second time.Duration // until the contexts are done
		errs          [2]error
		computed      int
	}{
		"neither":                 {time.Hour, time.Hour, [2]error{nil, nil}, 1},
		"the one that computes":   {time.Second, time.Hour, [2]error{context.DeadlineExceeded, nil}, 2},
		"the one that waits":      {time.Hour, time.Second, [2]error{nil, context.DeadlineExceeded}, 1},
		"both, the waiting first": {2 * time.Second, time.Second, [2]error{context.DeadlineExceeded, context.DeadlineExceeded}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Once[string]{KeepErrors: true}
				var computed atomic.Int32
				var group sync.WaitGroup
				for i, after := range []time.Duration{tt.first, tt.second} {
					ctx, cancel := context.WithTimeout(t.Context(), after)
					defer cancel()
					group.Go(func() {
						<-time.After(time.Duration(i)) // the first computes
						_, err := o.Do(ctx, func() (string, error) {
							computed.Add(1)
							select {
							case <-ctx.Done():
								return "", ctx.Err()
							case <-time.After(time.Minute):
								return "done", nil
							}
						})
						if !errors.Is(err, tt.errs[i]) {
							t.Errorf("caller %d: got error %v, want %v", i+1, err, tt.errs[i])
						}
					})
				}
				group.Wait()
				if got := int(computed.Load()); got != tt.computed {
					t.Errorf("got %d computations, want %d", got, tt.computed)
				}
			})
		})
	}
}

func TestCancelledBeforeItsTurn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Once[int]{KeepErrors: true}
	if _, err := o.Do(ctx, func() (int, error) { return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Do with a cancelled context: got error %v, want %v", err, context.Canceled)
	}
	if got, err := o.Do(t.Context(), func() (int, error) { return 2, nil }); got != 2 || err != nil {
		t.Errorf("next Do: got %d, %v, want 2", got, err)
	}
	if got, err := o.Do(ctx, func() (int, error) { return 3, nil }); got != 2 || err != nil {
		t.Errorf("Do with a cancelled context, value known: got %d, %v, want 2", got, err)
	}
}

func TestPanic(t *testing.T) {
	var o Once[int]
	func() {
		defer func() { _ = recover() }()
		_, _ = o.Do(t.Context(), func() (int, error) { panic("broken") })
	}()
	if got, err := o.Do(t.Context(), func() (int, error) { return 1, nil }); got != 1 || err != nil {
		t.Errorf("Do after a panic: got %d, %v, want 1", got, err)
	}
}

func TestLoadStoreDelete(t *testing.T) {
	var m Memo[string, int]
	if got, ok := m.Load("a"); ok {
		t.Errorf("Load of an unknown key: got %d, want nothing", got)
	}
	if got, ok := m.Delete("a"); ok {
		t.Errorf("Delete of an unknown key: got %d, want nothing", got)
	}
	m.at("a").Store(1)
	if got, err := m.Do(t.Context(), "a", func() (int, error) { return 2, nil }); got != 1 || err != nil {
		t.Errorf("Do after Store: got %d, %v, want 1", got, err)
	}
	if got, ok := m.Load("a"); got != 1 || !ok {
		t.Errorf("Load after Store: got %d, %t, want 1, true", got, ok)
	}
	if got, ok := m.Delete("a"); got != 1 || !ok {
		t.Errorf("Delete: got %d, %t, want 1, true", got, ok)
	}
	if got, err := m.Do(t.Context(), "a", func() (int, error) { return 3, nil }); got != 3 || err != nil {
		t.Errorf("Do after Delete: got %d, %v, want 3", got, err)
	}
}

func TestDrop(t *testing.T) {
	var m Memo[string, int]
	m.Drop("a", func(int) bool { return true })
	m.at("a").Store(1)
	m.Drop("a", func(v int) bool { return v != 1 })
	if got, ok := m.Load("a"); got != 1 || !ok {
		t.Errorf("Load of a value that is not stale: got %d, %t, want 1, true", got, ok)
	}
	m.at("b").Store(2)
	m.DropAll(func(v int) bool { return v == 2 })
	if got, ok := m.Load("b"); ok {
		t.Errorf("Load after DropAll: got %d, want nothing", got)
	}
	m.Drop("a", func(v int) bool { return v == 1 })
	if got, ok := m.Load("a"); ok {
		t.Errorf("Load of a stale value: got %d, want nothing", got)
	}
}

func TestStoreDuringComputation(t *testing.T) {
	var o Once[int]
	_, _ = o.Do(t.Context(), func() (int, error) {
		o.Store(1)
		return 2, nil
	})
	if got, ok := o.Load(); got != 1 || !ok {
		t.Errorf("Load: got %d, %t, want the stored 1", got, ok)
	}
}
