package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

// Waits that overlap count once.
func TestBudget(t *testing.T) {
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	b := NewBudget(10*time.Second, nil)
	b.SetClock(Clock{Now: func() time.Time { return now }})
	s := b.Attempts("r.example.com", 0).spending
	take := func(d time.Duration, exact bool, want time.Duration) {
		t.Helper()
		if got, ok := b.take(s, d, exact); got != want || ok != (want > 0) {
			t.Errorf("take(%s, %t): got %s, %t, want %s", d, exact, got, ok, want)
		}
	}
	for range 50 {
		take(6*time.Second, true, 6*time.Second)
	}
	now = now.Add(3 * time.Second)
	take(4*time.Second, true, 4*time.Second) // one second later than the others
	take(8*time.Second, true, 0)
	take(8*time.Second, false, 7*time.Second)
	now = now.Add(7 * time.Second)
	take(time.Millisecond, false, 0)
	if b.Spent() != b.Limit() {
		t.Errorf("got %s spent, want %s", b.Spent(), b.Limit())
	}
}

func TestRetry(t *testing.T) {
	for name, tt := range map[string]struct {
		fail     func() (int, error) // of every attempt
		limit    int                 // of attempts
		attempts int                 // 0 for as many as the budget has
	}{
		"busy":                  {func() (int, error) { return 503, nil }, 0, 0},
		"busy, limited":         {func() (int, error) { return 503, nil }, 2, 2},
		"refused":               {func() (int, error) { return 403, nil }, 0, 1},
		"reset":                 {func() (int, error) { return 0, io.ErrUnexpectedEOF }, 0, 0},
		"no route":              {func() (int, error) { return 0, &net.OpError{Op: "dial", Err: errors.New("no such host")} }, 0, 1},
		"no progress":           {func() (int, error) { return 0, &idleError{lasted: time.Second} }, 0, FewAttempts},
		"plain HTTP refused":    {func() (int, error) { return 0, &PlainHTTPError{"h"} }, 0, 1},
		"redirect refused":      {func() (int, error) { return 0, &RefusedError{"no"} }, 0, 1},
		"token service failed":  {func() (int, error) { return 0, &TokenError{Err: io.EOF} }, 0, 1},
		"no credential":         {func() (int, error) { return 0, &CredentialError{io.EOF} }, 0, 1},
		"waited for a busy one": {func() (int, error) { return 0, &busyError{&ExhaustedError{Status: 503, header: http.Header{}}} }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			s, b := registry("https://r.example.com"), noWait(10*time.Second)
			retry := &Retry{Server: s, Budget: b, Next: roundTripperOf(func(r Request) (*http.Response, error) {
				attempts++
				status, err := tt.fail()
				if err != nil {
					return nil, err
				}
				return &http.Response{StatusCode: status, Request: r.Request, Body: io.NopCloser(strings.NewReader("why"))}, nil
			})}
			r := get(t, "https://r.example.com/v2/")
			r.Attempts = tt.limit
			resp, err := retry.RoundTrip(r)
			if tt.attempts > 0 && attempts != tt.attempts || tt.attempts == 0 && (attempts < 5 || b.Spent() != b.Limit()) {
				t.Errorf("got %d attempts and %s spent, want %d (0 for the whole budget)", attempts, b.Spent(), tt.attempts)
			}
			var failure *ExhaustedError
			if got, want := errors.As(err, &failure), tt.attempts != 1; got != want {
				t.Errorf("got %v, error %v, want an ExhaustedError %t", resp, err, want)
			}
			if failure != nil && failure.Tried == "" {
				t.Error("got an ExhaustedError that does not say how much was tried")
			}
		})
	}
}

// A body that can be sent only once is not sent again: the failure says that it may be started again.
func TestRetryOfAStream(t *testing.T) {
	for _, status := range []int{0, 503} {
		attempts := 0
		retry := &Retry{Server: registry("https://r.example.com"), Budget: noWait(0), Next: roundTripperOf(func(r Request) (*http.Response, error) {
			attempts++
			if status == 0 {
				return nil, io.EOF
			}
			return &http.Response{StatusCode: status, Request: r.Request, Body: http.NoBody}, nil
		})}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://r.example.com/x", io.NopCloser(strings.NewReader("x")))
		resp, err := retry.RoundTrip(Request{Request: req})
		var interrupted *InterruptedError
		if attempts != 1 || errors.As(err, &interrupted) != (status == 0) || status != 0 && resp.StatusCode != status {
			t.Errorf("status %d: got %d attempts, %v, error %v", status, attempts, resp, err)
		}
	}
}

// Reading the answer is part of the attempt: what is interrupted is requested again, wrong content once more.
func TestRetryReads(t *testing.T) {
	wrong := fmt.Errorf("wrong digest: %w", errdefs.ErrDataLoss)
	for name, tt := range map[string]struct {
		errs     []error // of the attempts, nil after them
		attempts int
		want     error
	}{
		"interrupted":         {[]error{&InterruptedError{Err: io.ErrUnexpectedEOF}, &InterruptedError{Err: io.ErrUnexpectedEOF}}, 3, nil},
		"wrong content":       {[]error{wrong}, 2, nil},
		"wrong content twice": {[]error{wrong, wrong}, 2, errdefs.ErrDataLoss},
		"not understood":      {[]error{errdefs.ErrInvalidArgument}, 1, errdefs.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			retry := &Retry{Server: registry("https://r.example.com"), Budget: noWait(0), Next: roundTripperOf(func(r Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Request: r.Request, Body: http.NoBody}, nil
			})}
			r := get(t, "https://r.example.com/v2/")
			r.Read = func(*http.Response) error {
				attempts++
				if attempts <= len(tt.errs) {
					return tt.errs[attempts-1]
				}
				return nil
			}
			_, err := retry.RoundTrip(r)
			var read *ReadError
			if attempts != tt.attempts || !errors.Is(err, tt.want) || errors.As(err, &read) != (tt.want != nil) {
				t.Errorf("got %d attempts, error %v, want %d, %v", attempts, err, tt.attempts, tt.want)
			}
		})
	}
}

func TestRetryIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	attempts := 0
	retry := &Retry{Server: registry("https://r.example.com"), Budget: noWait(0), Next: roundTripperOf(func(Request) (*http.Response, error) {
		attempts++
		cancel()
		return nil, io.EOF
	})}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://r.example.com/x", nil)
	if _, err := retry.RoundTrip(Request{Request: req}); attempts != 1 || err == nil {
		t.Errorf("got %d attempts, error %v, want 1 and an error", attempts, err)
	}
}
