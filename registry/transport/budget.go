package transport

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
)

const (
	// DefaultBudget is the limit of a retry budget that has none of its own.
	DefaultBudget = 30 * time.Second
	// firstWait bounds the first wait; each is twice the one before, up to longestWait.
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
	// silentWait is the longest wait that is not reported.
	silentWait = time.Second
	// FewAttempts bounds the attempts against a fault that costs much time, or is not known to pass.
	FewAttempts = 3
)

// Budget is a retry budget: how long requests to a server may wait for faults to pass, in total, since it last answered.
// Waits that overlap count once, so it is the time that a person waits. Once a request was given up the server gets no
// more time.
type Budget struct {
	limit time.Duration
	warn  func(format string, args ...any)
	clock Clock

	mu      sync.Mutex
	servers map[string]*spending
	// reported is the end of the wait that was reported last, by server.
	reported map[string]time.Time
}

// spending is how much of the budget one server has taken.
type spending struct {
	spent time.Duration
	// until is the end of the last wait that was taken.
	until time.Time
	// failed says that a request was given up.
	failed bool
}

// Clock is the time that a budget goes by.
type Clock struct {
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewBudget returns a budget of this limit, DefaultBudget for 0 and none below. Long waits are reported to warn.
func NewBudget(limit time.Duration, warn func(format string, args ...any)) *Budget {
	return &Budget{limit: max(cmp.Or(limit, DefaultBudget), 0), warn: warn, clock: Clock{time.Now, pause.For}, servers: map[string]*spending{}, reported: map[string]time.Time{}}
}

// SetClock makes the budget go by another clock.
func (b *Budget) SetClock(c Clock) { b.clock = c }

// Now returns the time by the budget's clock.
func (b *Budget) Now() time.Time { return b.clock.Now() }

// Limit returns the limit of the budget, Spent the most that a server has taken from it.
func (b *Budget) Limit() time.Duration { return b.limit }

// Spent returns how much of the budget was taken.
func (b *Budget) Spent() (most time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.servers {
		most = max(most, s.spent)
	}
	return most
}

// take takes a wait for a server from the budget and returns its length, which is shorter than d where the budget is and
// d is not exact. It returns false when too little is left.
func (b *Budget) take(s *spending, d time.Duration, exact bool) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	from := now
	if s.until.After(now) {
		from = s.until
	}
	left := from.Sub(now) + b.limit - s.spent
	if left <= 0 || d <= 0 || exact && d > left {
		s.failed = true
		return 0, false
	}
	d = min(d, left)
	if end := now.Add(d); end.After(from) {
		s.spent += end.Sub(from)
		s.until = end
	}
	return d, true
}

// answered gives a server its time back.
func (b *Budget) answered(s *spending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !s.failed {
		s.spent = 0
	}
}

// report reports a wait, unless it is short or the first one for a limited class, or a wait for the same server was reported
// and has not ended.
func (b *Budget) report(server string, f Fault, d time.Duration) {
	if d <= silentWait && !f.slow || f.Limited && !f.again && d <= minReported {
		return
	}
	b.mu.Lock()
	now := b.clock.Now()
	known := b.reported[server].After(now)
	if !known {
		b.reported[server] = now.Add(d)
	}
	b.mu.Unlock()
	if !known {
		b.warn("%s: %s, trying again in %s", server, f.Why, max(d, time.Second).Round(time.Second))
	}
}

// Fault is a failure that may pass.
type Fault struct {
	// Why says in a few words what happened.
	Why string
	// After is how long the server asks to wait; 0 when it does not say.
	After time.Duration
	// Few limits the attempts to FewAttempts.
	Few bool
	// AtOnce asks for one more attempt without a wait, which does not count.
	AtOnce bool

	// Limited says that the server limits the rate: the wait is that of all requests of the class, see lane.
	Limited bool

	// again says that the class was refused again, after a pause, final that it was refused too often, and progress that
	// some of its requests were accepted not long ago: that is an answer, and does not count against the budget.
	again, final, progress bool
	// wait is how long the class pauses.
	wait time.Duration
	// server is the one that failed, when that is not the one asked; slow says that the attempt took long.
	server string
	slow   bool
}

// Attempts are those of one request, or of one transfer.
type Attempts struct {
	budget   *Budget
	spending *spending
	server   string
	limit    int
	began    time.Time
	n        int
	// waited is the sum of the waits that count, refused the number of answers of 429 that asked for one.
	waited  time.Duration
	refused int
	// requested is the wait that the server asked for, when there was no time for it, most the longest possible one.
	requested time.Duration
	most      string
}

// Attempts returns a count of attempts at a server, at most limit of them unless that is 0.
func (b *Budget) Attempts(server string, limit int) *Attempts {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.servers[server]
	if !ok {
		s = &spending{}
		b.servers[server] = s
	}
	return &Attempts{budget: b, spending: s, server: server, limit: limit, began: b.clock.Now()}
}

// Run calls attempt, and again after a wait as long as it returns a fault. It returns whether an attempt ended
// without one; otherwise the attempts are exhausted, or ctx is done.
func (a *Attempts) Run(ctx context.Context, attempt func() *Fault) bool {
	for {
		f := attempt()
		if f == nil {
			return true
		}
		if !f.AtOnce && !a.Wait(ctx, *f) {
			return false
		}
	}
}

// Wait counts an attempt that ended in f, and returns whether there may be one more, after the wait that precedes
// it.
func (a *Attempts) Wait(ctx context.Context, f Fault) bool {
	a.n++
	if a.limit > 0 && a.n >= a.limit || f.Few && a.n >= FewAttempts || ctx.Err() != nil {
		return false
	}
	server := cmp.Or(f.server, a.server)
	if f.Limited && (f.After > 0 || f.progress) {
		return a.pause(server, f)
	}
	own := max(a.budget.limit-a.waited, 0)
	d := f.After
	if d <= 0 {
		d = min(cmp.Or(max(f.wait, 0), backoff(a.n)), own)
	} else if d > own {
		d = math.MaxInt64
	}
	taken, ok := a.budget.take(a.spending, d, f.After > 0)
	if !ok {
		a.requested, a.most = f.After, fmt.Sprintf("the rest of --retry-timeout %s", a.budget.limit)
		return false
	}
	a.waited += taken
	a.budget.report(server, f, taken)
	return f.Limited || a.budget.clock.Sleep(ctx, taken) == nil
}

// pause reports whether to try again after a wait for the class of a request that was answered with 429, which the next
// attempt starts with.
func (a *Attempts) pause(server string, f Fault) bool {
	a.refused++
	switch {
	case a.budget.limit == 0:
		return false
	case f.After > maxPause*maxRefusals:
		a.requested, a.most = f.After, (maxPause * maxRefusals).String()
		return false
	case !f.progress && (f.final || a.refused > maxRefusals):
		a.requested = f.After
		return false
	}
	a.budget.report(server, f, cmp.Or(min(f.After, maxPause), f.wait))
	return true
}

// backoff returns how long to wait after the n-th attempt: half of it is random, so that many clients do not come
// back at once.
func backoff(n int) time.Duration {
	d := longestWait
	if n < 10 {
		d = min(firstWait<<(n-1), longestWait)
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // no secret depends on it
}

// String says how much was tried; it is empty after one attempt that only the budget ended.
func (a *Attempts) String() string {
	switch {
	case a.budget.limit > 0 && a.most != "" && a.requested > 0:
		return fmt.Sprintf("the server asked to wait %s, longer than %s", a.requested, a.most)
	case a.n < 2:
		return ""
	}
	tried := fmt.Sprintf("gave up after %d attempts in %s", a.n, a.budget.clock.Now().Sub(a.began).Round(100*time.Millisecond))
	if a.requested > 0 {
		tried += fmt.Sprintf("; the server asked to wait %s", a.requested)
	}
	return tried
}

// RetryAfter returns how long a server asks to wait, 0 when it does not say: seconds or a date, by
// https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	var seconds int64
	if _, err := fmt.Sscanf(value+" ", "%d ", &seconds); err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, int64(maxRetryAfter/time.Second))) * time.Second
}

// maxRetryAfter bounds the value of a Retry-After: no budget lasts longer.
const maxRetryAfter = 24 * time.Hour

// count returns a number with two significant digits and separators.
func count(n float64) string {
	unit := math.Pow(10, max(math.Floor(math.Log10(max(n, 1)))-1, 0))
	s := strconv.Itoa(max(int(math.Round(n/unit)*unit), 1))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
