package transport

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Class is a class of requests: registries limit the rate of each on its own.
type Class int

// The classes of requests.
const (
	Reads Class = iota
	Writes
	Deletes
	Referrers
	TokenRequests
	classes
)

var classNames = [classes]string{"reads", "writes", "deletes", "requests for referrers", "token requests"}

func (c Class) String() string { return classNames[c] }

const (
	// maxPause bounds a wait for a Retry-After of 429, maxRefusals how often a class is refused in a row, or one request.
	maxPause    = 5 * time.Minute
	maxRefusals = 5
	// silentRefusal makes the pauses longer where the registry asks for none: a rate cannot be measured in less.
	silentRefusal = 4
	// measured is the least time that a measurement of the rate is for, and the most that is made up for after a pause;
	// enough is how many requests have to be accepted for it to be within 5 %.
	measured = 10 * time.Second
	madeUp   = time.Minute
	enough   = 20
	// refusedLong is how long a class is refused in a row before it is given up, if the registry accepted enough requests
	// of it before: many registries count the requests of a minute, and ask for less than is left of it.
	refusedLong = 90 * time.Second
	// slowest is how many requests a second are sent at first after the first refusal, leastRate how many at least later:
	// a registry that refuses at random would seem to allow less and less.
	slowest   = 4
	leastRate = 1.0
	// catchUp is how much faster than its rate a class may be after a pause.
	catchUp = 4
	// probing is the time in which a class becomes twice as fast as it began after a pause.
	probing = 2 * time.Minute
	// minReported is how long the remaining requests have to take for the rate to be reported, or how long the class has to
	// have been limited if their number is not known.
	minReported = time.Minute
)

// classOf returns the class of a request, which may be for a token.
func classOf(r Request, token bool) Class {
	path, kind := strings.Split(r.URL.Path, "/"), ""
	if len(path) > 2 {
		kind = path[len(path)-2]
	}
	switch {
	case token:
		return TokenRequests
	case r.Method == http.MethodDelete && kind == "manifests":
		return Deletes
	case !r.reads():
		return Writes
	case kind == "referrers":
		return Referrers
	}
	return Reads
}

// lane limits one class of requests to the rate that a server accepts. The class is not limited before one of its requests
// was refused with 429. Then all of it pauses, and goes on slowly at first and faster and faster until it is refused again.
// Between two refusals a registry accepts what it allows, whatever it allows at once: that shows the rate, which is then
// approached from below and exceeded little by little.
type lane struct {
	mu sync.Mutex
	// turn is held by the request that waits to be sent next; nil before the first refusal.
	turn chan struct{}
	// pauses counts the refusals, without those of requests sent before the pause; refusals are those in a row.
	pauses, refusals int
	// limited is the time of the first refusal, until the end of the last pause.
	limited, until time.Time
	// total counts the accepted requests; since is when the first of the refusals in a row was.
	total int
	since time.Time
	// accepted counts the requests that were sent after so many pauses as first, since began, when one was refused.
	accepted, first int
	began           time.Time
	// rate is in requests per second, 0 as long as it is not known; sure says that it was measured with enough requests.
	rate float64
	sure bool
	// due is when the next request has its turn, by the rate: what was not sent in time is made up for. next is when it may be
	// sent.
	due, next time.Time
	// items is the work that was announced, done how much of it is done, sent the requests since it was announced.
	items, done, sent int
	// reported says that the rate was reported.
	reported bool
}

// acquire waits until a request may be sent, and returns how many pauses there were, for [lane.release]. The error is the
// cause if ctx ends first.
func (l *lane) acquire(ctx context.Context, clock Clock) (pauses int, err error) {
	l.mu.Lock()
	turn := l.turn
	l.mu.Unlock()
	if turn == nil {
		return 0, nil
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	for {
		pauses, wait := l.send(clock.Now())
		if wait <= 0 {
			return pauses, nil
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return 0, err
		}
	}
}

// send returns how many pauses there were when a request is sent now, or how long to wait before.
func (l *lane) send(now time.Time) (pauses int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.until.Sub(now); d > 0 {
		return 0, d
	}
	if wait := max(l.due.Sub(now), l.next.Sub(now)); wait > 0 {
		return 0, wait
	}
	rate, late := l.current(now), now
	burst := rate
	if l.rate > 0 {
		late, burst = now.Add(-madeUp), catchUp*rate
	}
	if l.refusals > 0 { // the pause may have been too short
		burst = min(burst, slowest)
	}
	if l.due.Before(late) {
		l.due = late
	}
	l.due = l.due.Add(seconds(1 / rate))
	l.next = now.Add(seconds(1 / burst))
	return l.pauses, 0
}

// seconds returns a duration, rounded up.
func seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(min(s, maxRetryAfter.Seconds()) * float64(time.Second)))
}

// current returns the rate at a time after the last pause.
func (l *lane) current(now time.Time) float64 {
	t := max(now.Sub(l.until).Seconds(), 0)
	if l.rate == 0 {
		return slowest * (1 + t*t)
	}
	t /= probing.Seconds()
	return 0.95 * l.rate * (1 + t*t)
}

// release records the answer to a request that was sent after so many pauses, or the failure of another one that it waited
// for. After a refusal it returns the fault with the wait of the class, otherwise nil.
func (l *lane) release(pauses int, resp *http.Response, err error, now time.Time) *Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch busy, _ := errors.AsType[*busyError](err); {
	case busy != nil && busy.Status == http.StatusTooManyRequests:
		return l.refuse(pauses, RetryAfter(busy.header, now), now)
	case err != nil:
		return nil
	case resp.StatusCode == http.StatusTooManyRequests:
		return l.refuse(pauses, RetryAfter(resp.Header, now), now)
	}
	l.sent++
	l.total++
	if pauses >= l.first {
		l.accepted++
	}
	if pauses == l.pauses {
		l.refusals = 0
	}
	return nil
}

// Permit is the permission to send one request of a class that is limited.
type Permit struct {
	// Urgent permits requests during a pause as well.
	Urgent bool

	pauses int
	used   atomic.Bool
}

// isLimited reports whether the class was limited since there were so many pauses.
func (l *lane) isLimited(pauses int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pauses > pauses
}

// giveUp ends the pause after a request was given up, so that the others do not wait for longer.
func (l *lane) giveUp(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.After(now) {
		l.until = now
	}
}

// refuse pauses the class. A request that was sent before the pause began can only prolong it.
func (l *lane) refuse(pauses int, after time.Duration, now time.Time) *Fault {
	if l.refusals == 0 {
		l.since = now
	}
	wait, progress := min(after, maxPause), l.total >= enough && now.Sub(l.since) < refusedLong
	if pauses < l.pauses {
		if end := now.Add(wait); l.until.After(now) && end.After(l.until) {
			l.until = end
		}
		return &Fault{wait: l.until.Sub(now), progress: progress}
	}
	l.measure(now)
	l.pauses++
	l.refusals++
	if after <= 0 {
		wait = backoff(l.refusals + silentRefusal)
	}
	l.due, l.until = now, now.Add(wait)
	if l.rate > 0 {
		l.due = now.Add(seconds(1 / l.rate))
	}
	return &Fault{wait: wait, progress: progress, again: l.refusals > 1, final: after > 0 && l.refusals > maxRefusals}
}

// measure derives the rate from what was accepted since another refusal. A class may have had little to send: the rate is
// at most halved.
func (l *lane) measure(now time.Time) {
	took := now.Sub(l.began)
	if l.turn == nil {
		l.turn = make(chan struct{}, 1)
		l.limited, took = now, measured
	} else if l.accepted > 0 && took > 0 {
		l.rate = max(float64(l.accepted)/took.Seconds(), l.rate/2, leastRate)
		l.sure = l.accepted >= enough
	}
	if took >= measured {
		l.accepted, l.first, l.began = 0, l.pauses+1, now
	}
}

// announce says that n items of work follow, of which so many are worked on at once: they are half done, on average.
func (l *lane) announce(n, atOnce int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.items <= l.done {
		l.items, l.done, l.sent = 0, 0, 0
	}
	l.items += n
	l.done += atOnce / 2
}

// finish says that one of them is done.
func (l *lane) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
}

// report returns the rate, in requests per minute, and how many requests remain, 0 if that is not known, the first time
// that it matters.
func (l *lane) report(now time.Time) (perMinute float64, remaining int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	long := now.Sub(l.limited) > minReported
	if l.items > l.done && l.done > 0 {
		remaining = (l.items - l.done) * l.sent / l.done
		long = float64(remaining) > l.rate*minReported.Seconds()
	}
	if l.reported || !l.sure || !long {
		return 0, 0, false
	}
	l.reported = true
	return l.rate * 60, remaining, true
}
