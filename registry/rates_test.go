package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/internal/throttle"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	repos "github.com/docker-multiarch/docker-multiarch/repository"
	imports "github.com/docker-multiarch/docker-multiarch/transfer"
)

// limited is a registry that limits rates, on the clock of a synctest bubble, and a client of it.
type limited struct {
	*fake
	gate   *throttle.Gate
	client *Client

	mu       sync.Mutex
	began    time.Time
	warnings []warning
}

// warning is a warning and what had happened when it came.
type warning struct {
	text   string
	at     time.Time
	counts map[string]throttle.Count
}

// distance is how long an answer of a limited registry takes.
const distance = 50 * time.Millisecond

// newLimited returns a registry that is reached through pipes, which end with the test.
func newLimited(t *testing.T, limits throttle.Limits, after func(time.Duration) string) *limited {
	l := &limited{fake: newFake(), began: time.Now()}
	l.before = l.serveList
	l.gate = &throttle.Gate{Next: l.fake, Limits: limits, Now: time.Now, After: after}
	ctx, end := context.WithCancel(context.Background())
	server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: discardLog, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(distance)
		l.gate.ServeHTTP(w, r)
	})}
	pipes := make(pipes)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(pipes) })
	l.client = New(Options{Insecure: true, Warn: l.warn})
	l.client.tune = func(tr *http.Transport) {
		tr.Proxy = nil
		tr.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
			if strings.HasSuffix(address, ":443") {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s: connection refused", address)}
			}
			ours, theirs := net.Pipe()
			select {
			case pipes <- theirs:
				return ours, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		t.Cleanup(tr.CloseIdleConnections)
	}
	t.Cleanup(func() {
		end()
		_ = server.Close()
		serving.Wait()
	})
	return l
}

// pipes is a listener.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (l *limited) warn(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.warnings = append(l.warnings, warning{fmt.Sprintf(format, args...), time.Now(), l.gate.Counts()})
}

// serveList serves lists of tags and of referrers, which are none, and deletes manifests with their tags.
func (l *limited) serveList(w http.ResponseWriter, r *http.Request) bool {
	repo, d, isManifest := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
	l.fake.mu.Lock()
	defer l.fake.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/tags/list"):
		repo := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list")
		var tags []string
		for key := range l.manifests {
			if in, name, _ := strings.Cut(key, "|"); in == repo && !strings.Contains(name, ":") {
				tags = append(tags, name)
			}
		}
		slices.Sort(tags)
		_ = json.NewEncoder(w).Encode(map[string]any{"name": repo, "tags": tags})
	case strings.Contains(r.URL.Path, "/referrers/"):
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		_ = json.NewEncoder(w).Encode(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex})
	case isManifest && r.Method == http.MethodDelete && strings.HasPrefix(d, "sha256:"):
		raw := l.manifests[repo+"|"+d].raw
		for key, m := range l.manifests {
			if strings.HasPrefix(key, repo+"|") && string(m.raw) == string(raw) {
				delete(l.manifests, key)
			}
		}
		w.WriteHeader(http.StatusAccepted)
	default:
		return false
	}
	return true
}

// putImages puts n images with tags, one layer each.
func (l *limited) putImages(repo string, n int) {
	for i := range n {
		l.putImage(repo, fmt.Sprintf("t%04d", i), l.putBlob(repo, fmt.Append(nil, "layer ", i)))
	}
}

// check checks how a run has used what the registry admits, of which it needed most of one class, and what it has reported.
func (l *limited) check(t *testing.T, bound string, perMinute float64) {
	t.Helper()
	counts, end := l.gate.Counts(), time.Now()
	for class, got := range counts {
		if most := (got.Admitted+got.Refused)/50 + DefaultJobs; got.Refused > most {
			t.Errorf("%s: got %+v, want at most %d refusals", class, got, most)
		}
	}
	if used := counts[bound].Used; used != 0 && used < 0.9 {
		t.Errorf("got %.2f of the limit of %s used after the first minute, want 0.9", used, bound)
	}
	isReported := map[string]bool{}
	for _, w := range l.warnings {
		m := allowsRate.FindStringSubmatch(w.text)
		if m == nil || isReported[m[2]] {
			t.Errorf("got warning %q, want one about the rate of each class at most", w.text)
			continue
		}
		isReported[m[2]] = true
		if m[2] != bound {
			continue
		}
		left := counts[bound].Admitted - w.counts[bound].Admitted
		wantNear(t, w.text+": rate", reported(m[1]), perMinute, 0)
		wantNear(t, w.text+": remaining requests", reported(m[4]), float64(left), 0)
		wantNear(t, w.text+": minutes", reported(m[3]), end.Sub(w.at).Minutes(), 1)
	}
	if took := end.Sub(l.began); took > 5*time.Minute && !isReported[bound] {
		t.Errorf("got no warning about the rate of %s in %s", bound, took)
	}
}

var allowsRate = regexp.MustCompile(`^a\.example\.com allows about ([0-9,]+) (\w+) a minute(?:: about (\d+) minutes for the remaining ([0-9,]+))?$`)

func reported(s string) float64 {
	n, _ := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	return n
}

// wantNear checks that a number is within 10 % of another one, and more.
func wantNear(t *testing.T, what string, got, want, more float64) {
	t.Helper()
	if math.Abs(got-want) > 0.1*want+more {
		t.Errorf("%s: got %.1f, want about %.1f", what, got, want)
	}
}

// retryAfters are the values of Retry-After that registries send.
var retryAfters = map[string]func(time.Duration) string{
	"seconds":  throttle.Seconds,
	"a minute": func(time.Duration) string { return "60" },
	"none":     func(time.Duration) string { return "" },
}

// eachLimit runs a test for the tiers of a registry that publishes limits.
func eachLimit(t *testing.T, run func(t *testing.T, l *limited)) {
	for tier, limits := range throttle.Azure {
		for name, after := range retryAfters {
			t.Run(tier+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { run(t, newLimited(t, limits, after)) })
			})
		}
	}
}

func TestPurgeWithinLimits(t *testing.T) {
	eachLimit(t, func(t *testing.T, l *limited) {
		l.putImages("app", 2000)
		l.putImage("app", "keep")
		removed := 0
		report := &fakes.Reporter{}
		err := repos.Purge(t.Context(), l.client, report, parse(t, "a.example.com/app"), repos.Selection{Filters: fakes.Patterns(t, "t*")},
			repos.Removal{
				Confirm: func([]repos.Step) (bool, error) { return true, nil },
				Removed: func(reference.Named) { removed++ },
			})
		if err != nil || removed < 2000 || len(l.manifests) != 2 {
			t.Errorf("got error %v, %d names removed, %d left, want none, 2000 at least, 2", err, removed, len(l.manifests))
		}
		l.check(t, "deletes", l.gate.Limits.Deletes)
	})
}

func TestImportWithinLimits(t *testing.T) {
	eachLimit(t, func(t *testing.T, l *limited) {
		l.putImages("from", 500)
		l.mounts = http.StatusAccepted
		got, err := imports.Import(t.Context(), l.client, &fakes.Reporter{}, imports.Request{
			Source: parse(t, "a.example.com/from"), Target: parse(t, "a.example.com/to"), AllTags: true,
		})
		if err != nil || len(got) != 500 {
			t.Errorf("got %d images, error %v, want 500", len(got), err)
		}
		l.check(t, "writes", l.gate.Limits.Writes)
	})
}

// A registry that counts the requests of each minute, and may ask for a wait that is too short, refuses nothing for good.
func TestDeletesInWindows(t *testing.T) {
	const limit, n = 500, 3000
	for name, after := range map[string]func(time.Duration) string{
		"the rest of the minute": nil,
		"too short":              func(time.Duration) string { return "5" },
		"none":                   func(time.Duration) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimited(t, throttle.Limits{Deletes: limit}, after)
				l.gate.Windows = true
				l.putImages("app", n)
				start := time.Now()
				var group sync.WaitGroup
				for i := range n {
					group.Go(func() {
						if err := l.client.Untag(t.Context(), manifest.AtTag(parse(t, "a.example.com/app"), fmt.Sprintf("t%04d", i))); err != nil {
							t.Error(err)
						}
					})
				}
				group.Wait()
				if took := time.Since(start); took > (n/limit+3)*time.Minute {
					t.Errorf("got %s for %d deletions at %d a minute", took, n, limit)
				}
			})
		})
	}
}

// An upload that waits for its class, or for room, ends with its context, and its session is canceled.
func TestInterruptedWhileLimited(t *testing.T) {
	const n = 3 * DefaultJobs
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, throttle.Limits{}, nil)
		l.mounts = http.StatusAccepted
		l.putImages("app", n)
		var mu sync.Mutex
		refused, canceled := map[string]bool{}, map[string]bool{}
		l.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/uploads/") || r.Method == http.MethodPost {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			if r.Method == http.MethodDelete {
				canceled[r.URL.Path] = true
				return false
			}
			refused[r.URL.Path] = true
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		ctx, cancel := context.WithCancel(t.Context())
		var copies []func() error
		for i := range n {
			source := parse(t, fmt.Sprintf("a.example.com/app:t%04d", i))
			image, err := l.client.Fetch(ctx, source)
			if err != nil {
				t.Fatal(err)
			}
			copies = append(copies, func() error { return l.client.Copy(ctx, source, image, parse(t, "a.example.com/to")) })
		}
		var group sync.WaitGroup
		for _, run := range copies {
			group.Go(func() {
				if err := run(); err == nil {
					t.Error("got no error of an interrupted copy, want one")
				}
			})
		}
		<-time.After(2 * time.Second)
		start := time.Now()
		cancel()
		group.Wait()
		mu.Lock()
		defer mu.Unlock()
		l.fake.mu.Lock()
		defer l.fake.mu.Unlock()
		open := l.sessions - len(refused)
		if took := time.Since(start); took > cancelTimeout || open == 0 || len(canceled) < open {
			t.Errorf("got %d of %d sessions canceled after %s, want all within %s", len(canceled), open, took, cancelTimeout)
		}
	})
}

// What waits for a limited class leaves the room for requests to others, and is not sent before its turn comes.
func TestLimitedClassTakesNoRoom(t *testing.T) {
	const limit, n = 60, 60 + 4*DefaultJobs
	for class, run := range map[string]func(t *testing.T, l *limited, i int) error{
		"deletes": func(t *testing.T, l *limited, i int) error {
			return l.client.Untag(t.Context(), manifest.AtTag(parse(t, "a.example.com/app"), fmt.Sprintf("t%04d", i)))
		},
		"writes": func(t *testing.T, l *limited, i int) error {
			source := parse(t, fmt.Sprintf("a.example.com/app:t%04d", i))
			image, err := l.client.Fetch(t.Context(), source)
			if err != nil {
				return err
			}
			return l.client.Copy(t.Context(), source, image, parse(t, "a.example.com/to"))
		},
	} {
		t.Run(class, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimited(t, throttle.Limits{Deletes: limit, Writes: limit}, func(time.Duration) string { return "60" })
				l.mounts = http.StatusForbidden
				l.putImages("app", n)
				var group sync.WaitGroup
				for i := range n {
					group.Go(func() {
						if err := run(t, l, i); err != nil {
							t.Error(err)
						}
					})
				}
				for _, wait := range []time.Duration{2 * time.Second, 2 * time.Minute} { // in the first pause, and later
					<-time.After(wait)
					start := time.Now()
					if _, err := l.client.Digest(t.Context(), parse(t, "a.example.com/app:other")); !errdefs.IsNotFound(err) || time.Since(start) > 10*distance {
						t.Errorf("got error %v for a read after %s, want that there is none after %s", err, time.Since(start), distance)
					}
				}
				group.Wait()
				if got := l.gate.Counts()[class]; got.Refused > (got.Admitted+got.Refused)/50+DefaultJobs {
					t.Errorf("got %+v, want fewer refusals", got)
				}
			})
		})
	}
}
