package repository

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
)

// announced is a registry that counts what is announced and what is done.
type announced struct {
	*fakes.Registry
	n    int
	done atomic.Int32
}

func (a *announced) Announce(_ reference.Named, n, _ int) func() {
	a.n += n
	return func() { a.done.Add(1) }
}

// A purge announces what it is going to remove, if that is known, and says of each step that it is over, also if the purge
// stops before.
func TestPurgeAnnouncesItsSteps(t *testing.T) {
	for name, tt := range map[string]struct {
		deletes int
		time    time.Duration
		want    int
	}{"unbounded": {0, 0, 7}, "deletes": {5, 0, 5}, "time": {0, time.Hour, 0}} {
		r := newBoundedRepo(t)
		a := &announced{Registry: r.Registry}
		o := r.removal()
		o.MaxDeletes, o.MaxTime = tt.deletes, tt.time
		s := Selection{Filters: fakes.Patterns(t, "old-*"), Recursive: true}
		if err := Purge(t.Context(), a, r.Notes, fakes.Named(t, app), s, o); err != nil {
			t.Fatal(err)
		}
		if done := int(a.done.Load()); a.n != tt.want || done < a.n {
			t.Errorf("%s: got %d steps announced and %d over, want %d", name, a.n, done, tt.want)
		}
	}
}
