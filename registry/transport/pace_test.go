package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-multiarch/docker-multiarch/internal/throttle"
)

// limiting is a server that limits the rate of requests.
type limiting struct {
	after func(missing time.Duration) string

	mu       sync.Mutex
	bucket   throttle.Bucket
	accepted []time.Time
	refused  int
}

func (l *limiting) RoundTrip(r Request) (*http.Response, error) {
	<-time.After(50 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	resp := &http.Response{StatusCode: http.StatusAccepted, Request: r.Request, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
	now := time.Now()
	if missing := l.bucket.Take(now); missing > 0 {
		l.refused++
		resp.StatusCode = http.StatusTooManyRequests
		if after := l.after(missing); after != "" {
			resp.Header.Set("Retry-After", after)
		}
		return resp, nil
	}
	l.accepted = append(l.accepted, now)
	return resp, nil
}

func deletion(ctx context.Context) Request {
	req, _ := http.NewRequestWithContext(ctx, http.MethodDelete, "https://r.example.com/v2/app/manifests/1", nil)
	return Request{Request: req}
}

// newLimiting returns a server that admits this many requests a minute, and at once, a client of it, and the warnings of that.
func newLimiting(perMinute float64, after func(time.Duration) string) (l *limiting, retry *Retry, warnings *[]string) {
	l = &limiting{bucket: throttle.Bucket{Capacity: perMinute, PerMinute: perMinute}, after: after}
	var mu sync.Mutex
	warnings = new([]string)
	budget := NewBudget(0, func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		*warnings = append(*warnings, fmt.Sprintf(format, args...))
	})
	return l, &Retry{Next: l, Server: registry("https://r.example.com"), Budget: budget}, warnings
}

// deleteAll sends n requests, as many at once as by default, and returns how long that took.
func deleteAll(t *testing.T, retry *Retry, n int, done func()) time.Duration {
	t.Helper()
	start := time.Now()
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	var group sync.WaitGroup
	for range jobs {
		group.Go(func() {
			for range work {
				if _, err := retry.RoundTrip(deletion(t.Context())); err != nil {
					t.Errorf("got error %v", err)
				}
				done()
			}
		})
	}
	group.Wait()
	return time.Since(start)
}

const jobs = 64

// The limits are those that Azure Container Registry publishes for deletes and for lists of referrers.
func TestPace(t *testing.T) {
	for name, after := range map[string]func(time.Duration) string{
		"seconds":     throttle.Seconds,
		"date":        func(d time.Duration) string { return time.Now().Add(d + time.Second).UTC().Format(http.TimeFormat) },
		"a minute":    func(time.Duration) string { return "60" },
		"none":        func(time.Duration) string { return "" },
		"not a value": func(time.Duration) string { return "soon" },
	} {
		for _, perMinute := range []float64{250, 500, 2000} {
			t.Run(fmt.Sprintf("%s/%v", name, perMinute), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l, retry, warnings := newLimiting(perMinute, after)
					n := 5 * int(perMinute)
					took := deleteAll(t, retry, n, retry.Announce(n, 0))
					later := 0
					for _, at := range l.accepted {
						if at.Sub(l.accepted[0]) > time.Minute {
							later++
						}
					}
					if rate := float64(later) / (took - time.Minute).Minutes(); rate < 0.9*perMinute {
						t.Errorf("got %.0f requests a minute after the first minute, want at least %.0f", rate, 0.9*perMinute)
					}
					told := 0
					for _, w := range *warnings {
						if strings.Contains(w, " deletes a minute: about ") && strings.Contains(w, " minutes for the remaining ") {
							told++
						}
					}
					if told != 1 || len(*warnings) != 1 {
						t.Errorf("got warnings %q, want one about the rate", *warnings)
					}
					if most := n/50 + jobs; l.refused > most {
						t.Errorf("got %d refusals, want at most %d", l.refused, most)
					}
				})
			})
		}
	}
}

// A rate is reported if it matters: if the rest takes longer than a minute or, where that is not known, it was limited for
// longer.
func TestRateIsReportedWhereItMatters(t *testing.T) {
	for n, want := range map[int][]string{650: nil, 1500: {"r.example.com allows about 500 deletes a minute"}} {
		for name, announced := range map[string]int{"unknown": 0, "little": 650} {
			if announced > 0 && n != announced {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				_, retry, warnings := newLimiting(500, throttle.Seconds)
				done := func() {}
				if announced > 0 {
					done = retry.Announce(announced, 0)
				}
				deleteAll(t, retry, n, done)
				if !slices.Equal(*warnings, want) {
					t.Errorf("%d requests, %s: got warnings %q, want %q", n, name, *warnings, want)
				}
			})
		}
	}
}

// A class follows a limit that changes.
func TestPaceFollowsTheLimit(t *testing.T) {
	for limit, n := range map[float64]int{100: 2400, 1500: 6000} {
		synctest.Test(t, func(t *testing.T) {
			l, retry, _ := newLimiting(500, throttle.Seconds)
			time.AfterFunc(3*time.Minute, func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.bucket.PerMinute = limit
			})
			took := deleteAll(t, retry, n, func() {})
			ideal := 3*time.Minute + time.Duration(float64(n-4*500)/limit*float64(time.Minute))
			if most := n/50 + jobs; took > ideal+2*time.Minute || l.refused > most {
				t.Errorf("limit of %.0f: %d requests took %s, and %d were refused, want %s and 2 minutes at most, and %d", limit, n, took, l.refused, ideal, most)
			}
		})
	}
}

// A refused class stops its own requests only, and a request that is cancelled does not wait.
func TestPaceOfAClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		sent := map[string]int{}
		next := roundTripperOf(func(r Request) (*http.Response, error) {
			<-time.After(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			sent[r.Method]++
			resp := &http.Response{StatusCode: http.StatusOK, Request: r.Request, Header: http.Header{}, Body: http.NoBody}
			if r.Method == http.MethodDelete && time.Since(start) < 30*time.Second {
				resp.StatusCode = http.StatusTooManyRequests
				resp.Header.Set("Retry-After", "30")
			}
			return resp, nil
		})
		retry := &Retry{Next: next, Server: registry("https://r.example.com"), Budget: NewBudget(time.Second, func(string, ...any) {})}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 30 {
			group.Go(func() {
				if _, err := retry.RoundTrip(deletion(t.Context())); err != nil {
					t.Errorf("got error %v", err)
				}
			})
			group.Go(func() {
				if _, err := retry.RoundTrip(deletion(ctx)); !errors.Is(err, context.Canceled) || time.Since(start) > 2*time.Second {
					t.Errorf("got error %v after %s, want %v after 1s", err, time.Since(start), context.Canceled)
				}
			})
		}
		<-time.After(time.Second)
		cancel()
		if _, err := retry.RoundTrip(get(t, "https://r.example.com/v2/app/manifests/1")); err != nil || time.Since(start) > 2*time.Second {
			t.Errorf("got error %v for a read after %s, want none after 1s", err, time.Since(start))
		}
		group.Wait()
		if want := 60 + 30; sent[http.MethodDelete] != want {
			t.Errorf("got %d DELETE requests, want %d", sent[http.MethodDelete], want)
		}
	})
}

// A class that is refused for ever ends, and for a day at once.
func TestPaceEnds(t *testing.T) {
	for after, want := range map[string]int{"1": maxRefusals + 1, "600": maxRefusals + 1, "99999999": 1} {
		synctest.Test(t, func(t *testing.T) {
			start, sent := time.Now(), 0
			next := roundTripperOf(func(r Request) (*http.Response, error) {
				sent++
				return &http.Response{
					StatusCode: http.StatusTooManyRequests, Request: r.Request, Header: http.Header{"Retry-After": {after}}, Body: http.NoBody,
				}, nil
			})
			retry := &Retry{Next: next, Server: registry("https://r.example.com"), Budget: NewBudget(0, func(string, ...any) {})}
			_, err := retry.RoundTrip(deletion(t.Context()))
			var failure *ExhaustedError
			if !errors.As(err, &failure) || sent != want || time.Since(start) > maxRefusals*maxPause || !strings.Contains(failure.Tried, "the server asked to wait ") {
				t.Errorf("Retry-After %s: got %d requests in %s, error %v (%+v), want %d", after, sent, time.Since(start), err, failure, want)
			}
		})
	}
}
