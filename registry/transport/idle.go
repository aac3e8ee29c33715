package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// DefaultConnect is how long it may take until there is a connection: to look up a name, to dial, through a proxy, TLS.
	DefaultConnect = 30 * time.Second
	// DefaultIdle is how long a connection may make no progress.
	DefaultIdle = 30 * time.Second
	// DefaultCommit is how long a registry may take over a blob that it has received.
	DefaultCommit = 5 * time.Minute
	// DefaultRate is how many bytes of an answer must arrive in a second, on average.
	DefaultRate = 100
)

// IdleTimeout ends a request whose connection makes no progress: it does not open, an answer does not begin, a body does
// not continue. However long the request takes in total, it may continue while it makes progress.
type IdleTimeout struct {
	Next RoundTripper
	// Connect bounds the time until there is a connection, Idle that without progress, Commit that after a body was sent.
	Connect, Idle, Commit time.Duration
	// Rate is how many bytes of an answer must arrive in a second, on average over Idle; with 0 any byte is progress.
	Rate int64
}

// idleError is the failure of a connection that made no progress; got is how many bytes have arrived all the same.
type idleError struct {
	lasted time.Duration
	got    int64
}

func (e *idleError) Error() string {
	if e.got > 0 {
		return fmt.Sprintf("only %d bytes in %s", e.got, e.lasted)
	}
	return fmt.Sprintf("no progress for %s", e.lasted)
}
func (e *idleError) Timeout() bool   { return true }
func (e *idleError) Temporary() bool { return true }

// idleTimer ends one request.
type idleTimer struct {
	idle, commit time.Duration
	cancel       context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer
	limit    time.Duration
	answered bool
	// got is how many bytes of the answer have arrived since the last progress, spent how long they were waited for.
	got   int64
	spent time.Duration
}

// RoundTrip sends r.
func (t *IdleTimeout) RoundTrip(r Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := &idleTimer{idle: t.Idle, commit: t.Commit, cancel: cancel, limit: t.Connect}
	timer.timer = time.AfterFunc(t.Connect, timer.end)
	original := r.Request
	r.Request = r.WithContext(ctx)
	switch {
	case r.GetBody != nil:
		var err error
		if r.Body, err = r.GetBody(); err != nil {
			timer.stop(true)
			return nil, err
		}
	case !r.repeatable():
		r.Body = &timedUpload{r.Body, timer}
	}
	resp, err := t.Next.RoundTrip(r.onConnect(func(net.Conn) { timer.start(timer.idle) }))
	timer.stop(true)
	if err := reason(ctx, err); err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		cancel(nil)
		return nil, err
	}
	resp.Request = original
	resp.Body = &timedAnswer{resp.Body, ctx, timer, max(1, t.Rate*int64(t.Idle/time.Second))}
	return resp, nil
}

// start makes the request end unless start or stop is called within d.
func (t *idleTimer) start(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.answered {
		t.set(d)
	}
}

func (t *idleTimer) set(d time.Duration) {
	t.limit = d
	t.timer.Reset(d)
}

func (t *idleTimer) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel(&idleError{t.limit, t.got})
}

// stop stops the timer; once the answer has begun, progress of the upload no longer counts.
func (t *idleTimer) stop(answered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered = t.answered || answered
	if answered || !t.answered {
		t.timer.Stop()
	}
}

// reason returns the idleError that ended ctx, with the proxy of err, otherwise err.
func reason(ctx context.Context, err error) error {
	idle, ended := errors.AsType[*idleError](context.Cause(ctx))
	proxy, _ := errors.AsType[*ProxyError](err)
	switch {
	case ended && proxy != nil:
		return &ProxyError{Host: proxy.Host, Err: idle}
	case ended:
		return idle
	}
	return err
}

// timedUpload is a body on its way to a server. While it waits for its own source, the server is not waited for.
type timedUpload struct {
	io.ReadCloser
	timer *idleTimer
}

func (u *timedUpload) Read(p []byte) (int, error) {
	u.timer.stop(false)
	n, err := u.ReadCloser.Read(p)
	if err != nil {
		u.timer.start(u.timer.commit)
	} else {
		u.timer.start(u.timer.idle)
	}
	return n, err
}

// timedAnswer is the body of an answer, of which least bytes have to arrive within the idle timeout. While its reader does
// something else, the server is not waited for.
type timedAnswer struct {
	io.ReadCloser
	ctx   context.Context
	timer *idleTimer
	least int64
}

func (a *timedAnswer) Read(p []byte) (int, error) {
	began := time.Now()
	a.timer.wait()
	n, err := a.ReadCloser.Read(p)
	a.timer.stop(true)
	a.timer.arrived(int64(n), time.Since(began), a.least)
	if err != nil {
		err = reason(a.ctx, err)
	}
	return n, err
}

// wait makes the request end unless more of the answer arrives in what is left of the time without progress.
func (t *idleTimer) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(t.idle - t.spent)
	t.limit = t.idle
}

// arrived notes that n bytes of the answer have arrived in d; least of them are progress.
func (t *idleTimer) arrived(n int64, d time.Duration, least int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got += n
	t.spent += d
	if t.got >= least {
		t.got, t.spent = 0, 0
	}
}

// Close also releases the timer.
func (a *timedAnswer) Close() error {
	err := a.ReadCloser.Close()
	a.timer.cancel(nil)
	return err
}
