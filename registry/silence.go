package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

const (
	// idleTimeout is how long a connection may make no progress.
	idleTimeout = 30 * time.Second
	// commitTimeout is how long a registry may take over a blob that it was sent.
	commitTimeout = 5 * time.Minute
)

// stall is the failure of a connection that made no progress.
type stall struct{ lasted time.Duration }

func (e *stall) Error() string   { return fmt.Sprintf("silent for %s", e.lasted) }
func (e *stall) Timeout() bool   { return true }
func (e *stall) Temporary() bool { return true }

// watch ends one request whose connection makes no progress: an answer does not begin, a body does not
// go on. However long it takes in all, it may go on while it goes on.
type watch struct {
	// idle and commit are the client's time-outs.
	idle, commit time.Duration
	cancel       context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer
	limit    time.Duration
	answered bool
}

// watched sends req by next.
func (c *Client) watched(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{idle: c.idle, commit: c.commit, cancel: cancel}
	sent := req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { w.expect(w.idle) },
	}))
	if !repeatable(req) {
		sent.Body = &watchedUpload{req.Body, w}
	}
	resp, err := next.RoundTrip(sent)
	w.rest(true)
	if err := reason(ctx, err); err != nil {
		if resp != nil { // what a server may say to somebody who is going
			resp.Body.Close()
		}
		cancel(nil)
		return nil, err
	}
	resp.Request = req
	resp.Body = &watchedAnswer{resp.Body, ctx, w}
	return resp, nil
}

// expect makes the request end unless rest or expect is called within d.
func (w *watch) expect(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answered {
		return
	}
	w.set(d)
}

func (w *watch) set(d time.Duration) {
	w.limit = d
	if w.timer != nil {
		w.timer.Reset(d)
		return
	}
	w.timer = time.AfterFunc(d, w.end)
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel(&stall{w.limit})
}

// rest expects nothing; once the answer has begun, an upload is of no more interest.
func (w *watch) rest(answered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered = w.answered || answered
	if w.timer != nil && (answered || !w.answered) {
		w.timer.Stop()
	}
}

// reason returns the stall that ended ctx, or else err.
func reason(ctx context.Context, err error) error {
	var silent *stall
	if errors.As(context.Cause(ctx), &silent) {
		return silent
	}
	return err
}

// watchedUpload is a body on its way to a registry. While it waits for its own source, the registry owes
// nothing.
type watchedUpload struct {
	io.ReadCloser
	watch *watch
}

func (u *watchedUpload) Read(p []byte) (int, error) {
	u.watch.rest(false)
	n, err := u.ReadCloser.Read(p)
	if err != nil {
		u.watch.expect(u.watch.commit)
	} else {
		u.watch.expect(u.watch.idle)
	}
	return n, err
}

// watchedAnswer is the body of an answer.
type watchedAnswer struct {
	io.ReadCloser
	ctx   context.Context
	watch *watch
}

func (a *watchedAnswer) Read(p []byte) (int, error) {
	a.watch.mu.Lock()
	a.watch.set(a.watch.idle)
	a.watch.mu.Unlock()
	n, err := a.ReadCloser.Read(p)
	a.watch.rest(true)
	if err != nil {
		err = reason(a.ctx, err)
	}
	return n, err
}

// Close also lets go of what watches the request.
func (a *watchedAnswer) Close() error {
	err := a.ReadCloser.Close()
	a.watch.cancel(nil)
	return err
}
