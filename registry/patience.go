package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// retryTimeout is the budget of waiting unless Options say another.
	retryTimeout = 30 * time.Second
	// firstWait is how long the first wait is at most; each is twice the one before, up to longestWait.
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
	// quietWait is the longest wait that nobody is told of.
	quietWait = time.Second
	// fewTries bounds the tries against what costs much time each, or is not known to pass.
	fewTries = 3
	// mountTries bounds those of a mount, since the blob can be uploaded too.
	mountTries = 5
)

// patience is what a client has left for failures that may pass: one budget of waiting for all of its
// requests. Waits that overlap count once, so that it is the time a person has waited.
type patience struct {
	limit time.Duration
	warn  func(format string, args ...any)
	// now and sleep are those of the clock, but in tests.
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration) error

	mu    sync.Mutex
	spent time.Duration
	// until is when the last wait ends that was taken from the budget.
	until time.Time
	// told has for each server when the wait ends that was told last.
	told map[string]time.Time
}

func newPatience(limit time.Duration, warn func(string, ...any)) *patience {
	if limit == 0 {
		limit = retryTimeout
	}
	return &patience{limit: max(limit, 0), warn: warn, now: time.Now, sleep: sleep, told: map[string]time.Time{}}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// take takes a wait from the budget and returns its length, which is shorter than d where the budget is
// and d is not exact. It returns false when there is not enough left.
func (p *patience) take(d time.Duration, exact bool) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	from := now
	if p.until.After(now) {
		from = p.until
	}
	left := from.Sub(now) + p.limit - p.spent
	if left <= 0 || exact && d > left {
		return 0, false
	}
	d = min(d, left)
	if end := now.Add(d); end.After(from) {
		p.spent += end.Sub(from)
		p.until = end
	}
	return d, true
}

// tell says what is waited for, unless that is short, or a wait for the same server already known.
func (p *patience) tell(server string, f fault, d time.Duration) {
	if d <= quietWait && !f.slow {
		return
	}
	p.mu.Lock()
	now := p.now()
	known := p.told[server].After(now)
	if !known {
		p.told[server] = now.Add(d)
	}
	p.mu.Unlock()
	if !known {
		p.warn("%s: %s, trying again in %s", server, f.why, max(d, time.Second).Round(time.Second))
	}
}

// fault is a failure that may pass.
type fault struct {
	// why says in a few words what happened.
	why string
	// after is how long the server wants to be left alone, 0 when it does not say.
	after time.Duration
	// few says that it should not be tried more than fewTries times.
	few bool
	// slow says that the try itself took long.
	slow bool
}

// tries are those of one request, or of one transfer of a blob or manifest.
type tries struct {
	patience *patience
	server   string
	began    time.Time
	n        int
	// asked is the wait that the server asked for, when the budget had too little for it.
	asked time.Duration
}

// tries returns those of what is asked of a server.
func (c *Client) tries(server string) *tries {
	return &tries{patience: c.patience, server: server, began: c.patience.now()}
}

// again counts a try that ended in f, and returns whether there may be one more, after the wait that
// should precede it.
func (t *tries) again(ctx context.Context, f fault) bool {
	t.n++
	most, limited := ctx.Value(mostTries{}).(int)
	if limited && t.n >= most || f.few && t.n >= fewTries || ctx.Err() != nil {
		return false
	}
	d := f.after
	if d <= 0 {
		d = backoff(t.n)
	}
	d, ok := t.patience.take(d, f.after > 0)
	if !ok {
		t.asked = f.after
		return false
	}
	t.patience.tell(t.server, f, d)
	return t.patience.sleep(ctx, d) == nil
}

// backoff returns how long to wait after the n-th try: the half of it is left to chance, so that many
// clients do not come back at once.
func backoff(n int) time.Duration {
	d := longestWait
	if n < 10 {
		d = min(firstWait<<(n-1), longestWait)
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // nothing secret hangs on it
}

// String says how much was tried, "" when that was once and nothing but the budget kept it from more.
func (t *tries) String() string {
	switch {
	case t.asked > 0 && t.patience.limit > 0:
		return fmt.Sprintf("it asks to be left alone for %s, more than is left of --retry-timeout %s", t.asked, t.patience.limit)
	case t.n < 2:
		return ""
	}
	return fmt.Sprintf("gave up after %d tries in %s", t.n, t.patience.now().Sub(t.began).Round(100*time.Millisecond))
}

// mostTries is the context key for a bound on the tries of a request.
type mostTries struct{}

func withTries(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, mostTries{}, n)
}

// retryAfter returns how long a server wants to be left alone, 0 when it does not say: seconds or a
// date, by https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	var seconds int64
	if _, err := fmt.Sscanf(value+" ", "%d ", &seconds); err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, int64(maxRetryAfter/time.Second))) * time.Second
}

// maxRetryAfter bounds what is understood of a Retry-After: more is not waited for anyway.
const maxRetryAfter = 24 * time.Hour
