package transport

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"sync"
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
	// measured is the time over which the accepted rate is measured before a refusal.
	measured = time.Minute
	// slowest is the slowest rate, in requests per second, to start with after the first refusal.
	slowest = 1.0
	// catchUp is how much faster than its rate a class may be after a pause.
	catchUp = 4.0
	// minReported is how long the remaining requests have to take for the rate to be reported.
	minReported = time.Minute
)

// pacer limits the requests to one server to the rates that it accepts. A class is not limited before one of its requests
// was refused with 429. Then all of it pauses, continues with a single request, and goes on at the rate that was
// accepted before. Between two refusals a registry accepts what it allows, whatever it allows at once; so the second one
// shows the rate, which is then approached from below and exceeded little by little.
type pacer struct{ lanes [classes]lane }

// classOf returns the class of a request, which may be for a token.
func classOf(r Request, token bool) Class {
	switch path := strings.Split(r.URL.Path, "/"); {
	case token:
		return TokenRequests
	case r.Method == http.MethodDelete:
		return Deletes
	case !r.reads():
		return Writes
	case len(path) > 2 && path[len(path)-2] == "referrers":
		return Referrers
	}
	return Reads
}

// lane is the state of one class.
type lane struct {
	mu sync.Mutex
	// accepted counts the requests since began, and before those of the interval before, since beganBefore.
	accepted, before   int
	began, beganBefore time.Time
	// pauses counts the refusals, without those of requests sent before the pause; refusals are those in a row.
	pauses, refusals int
	// turn is held by the request that waits to be sent next; nil before the first refusal.
	turn chan struct{}
	// until is the end of the pause, trial says that a single request has to show that it is over.
	until time.Time
	trial bool
	// rate is in requests per second, known says that it was measured between two refusals.
	rate  float64
	known bool
	// credit is how many requests may be sent, as of credited; next is when one may be.
	credit         float64
	credited, next time.Time
	// remaining is how many of the requests that the operation has announced are not sent yet; reported says that the rate
	// was reported.
	remaining int
	reported  bool
}

// permit is the permission to send a request: how many pauses there were before, and whether it has to show that the last
// one is over.
type permit struct {
	pauses int
	trial  bool
}

// acquire waits until a request may be sent, and returns the permit for [lane.release]. A long request, such as an upload,
// is not the one that shows that a pause is over. The error is the cause if ctx ends first.
func (l *lane) acquire(ctx context.Context, clock Clock, long bool) (permit, error) {
	l.mu.Lock()
	turn := l.turn
	l.mu.Unlock()
	if turn == nil {
		return permit{}, nil
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return permit{}, context.Cause(ctx)
	}
	for {
		p, d := l.send(clock.Now(), long)
		if d <= 0 {
			if !p.trial {
				<-turn
			}
			return p, nil
		}
		if err := clock.Sleep(ctx, d); err != nil {
			<-turn
			return permit{}, err
		}
	}
}

// send returns the permission to send a request now, or how long to wait before.
func (l *lane) send(now time.Time, long bool) (permit, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.until.Sub(now); d > 0 {
		return permit{}, d
	}
	if l.trial && !long {
		return permit{l.pauses, true}, 0
	}
	rate, most, burst := l.current(now), 1.0, 1.0
	if l.known {
		most, burst = max(rate*measured.Seconds(), 1), catchUp
	}
	l.credit = min(l.credit+rate*now.Sub(l.credited).Seconds(), most)
	l.credited = now
	wait := max(l.next.Sub(now), seconds((1-l.credit)/rate))
	if wait > 0 {
		return permit{}, wait
	}
	l.credit--
	l.next = now.Add(seconds(1 / (burst * rate)))
	return permit{pauses: l.pauses}, 0
}

// seconds returns a duration, rounded up.
func seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(min(s, maxRetryAfter.Seconds()) * float64(time.Second)))
}

// current returns the rate at a time after the last pause. A known rate starts 5 % lower, is 5 % higher after a minute,
// and doubles each 30 seconds from then on, since more is allowed than was thought; one that is not known doubles each
// ten seconds.
func (l *lane) current(now time.Time) float64 {
	t := max(now.Sub(l.until).Seconds(), 0)
	factor := math.Exp2(min(t/10, 20))
	if l.known {
		factor = 0.95 + 0.1*min(t/60, 1)
		factor *= math.Exp2(min(max(t-60, 0)/30, 20))
	}
	return l.rate * factor
}

// release records the outcome of a request that was sent with p. After a refusal it returns the fault with the wait of the
// class, otherwise nil.
func (l *lane) release(p permit, outcome outcome, now time.Time) *Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.trial {
		defer func() { <-l.turn }()
	}
	switch {
	case outcome.refused:
		return l.refuse(p, outcome.after, now)
	case outcome.answered:
		l.accept(p, now)
	}
	return nil
}

// outcome is what became of a request: an answer, a refusal with 429, or neither.
type outcome struct {
	answered, refused bool
	// after is the wait that the registry asks for, 0 for none.
	after time.Duration
}

// accept counts an accepted request.
func (l *lane) accept(p permit, now time.Time) {
	if l.pauses == 0 && now.Sub(l.began) > measured {
		l.before, l.beganBefore = l.accepted, l.began
		l.accepted, l.began = 0, now
	}
	l.remaining = max(l.remaining-1, 0)
	if p.pauses == l.pauses {
		l.accepted++
		l.refusals, l.trial = 0, false
	}
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
func (l *lane) refuse(p permit, after time.Duration, now time.Time) *Fault {
	if p.pauses < l.pauses {
		if end := now.Add(min(after, maxPause)); end.After(l.until) && l.trial && l.until.After(now) {
			l.until = end
		}
		return &Fault{quiet: true, wait: l.until.Sub(now)}
	}
	l.refusals++
	wait := min(after, maxPause)
	if after <= 0 {
		wait = backoff(l.refusals + silentRefusal)
	}
	l.measure(now, wait)
	if l.turn == nil {
		l.turn = make(chan struct{}, 1)
	}
	l.pauses++
	l.trial = true
	l.accepted, l.began = 0, now
	l.credit, l.credited = 0, now
	l.until = now.Add(wait)
	l.next = l.until
	return &Fault{wait: wait, quiet: l.known && l.refusals < 2, final: after > 0 && l.refusals > maxRefusals}
}

// measure derives the rate from what was accepted before a refusal. A class may have had little to send: the rate that
// was measured before is at most halved.
func (l *lane) measure(now time.Time, wait time.Duration) {
	took := now.Sub(l.began).Seconds()
	switch {
	case l.pauses == 0:
		began, n := l.began, l.accepted
		if l.before > 0 {
			began, n = l.beganBefore, l.accepted+l.before
		}
		l.rate = max(float64(n)/(now.Sub(began)+wait).Seconds(), slowest)
	case took <= 0:
	case !l.known:
		l.known = l.accepted > 0
		l.rate = max(float64(l.accepted), 0.5) / took
	default:
		weight := min(took/10, 1)
		l.rate = max(l.rate*(1-weight)+float64(l.accepted)/took*weight, l.rate/2)
	}
}

// report returns the rate, in requests per minute, and how many requests remain, the first time that it is known and
// matters.
func (l *lane) report() (perMinute float64, remaining int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	perMinute, remaining = l.rate*60, l.remaining
	long := remaining == 0 || float64(remaining) > l.rate*minReported.Seconds()
	if l.reported || !l.known || !long {
		return 0, 0, false
	}
	l.reported = true
	return perMinute, remaining, true
}

// outcomeOf returns the outcome of a request, and of the requests that waited for another one.
func outcomeOf(resp *http.Response, err error, now time.Time) outcome {
	var busy *busyError
	switch {
	case err == nil:
		return outcome{true, resp.StatusCode == http.StatusTooManyRequests, RetryAfter(resp.Header, now)}
	case errors.As(err, &busy) && busy.Status == http.StatusTooManyRequests:
		return outcome{true, true, RetryAfter(busy.header, now)}
	}
	return outcome{}
}
