package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// failingRegistry is a client of a registry that answers every request so, and the clock it waits by.
func failingRegistry(t *testing.T, o Options, before func(w http.ResponseWriter, r *http.Request) bool) (*fake, *Client, *clock) {
	n, f, hours := newNetwork(t), newFake(), newClock()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	f.before = before
	c := n.client(o)
	hours.rule(c.budget)
	return f, c, hours
}

func answerWith(status int, header ...string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		refuse(w, status, "BUSY", "hold on")
		return true
	}
}

// Waits grow, are reported when they are long, and end with the budget.
func TestRetryBudget(t *testing.T) {
	var warnings []string
	o := Options{RetryTimeout: 20 * time.Second, Warn: func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }}
	f, c, hours := failingRegistry(t, o, answerWith(503))
	_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	tries := len(f.requests())
	wantError(t, err, errdefs.ErrUnavailable,
		fmt.Sprintf("a.example.com: GET manifest a.example.com/app:1: 503 Service Unavailable (gave up after %d attempts in 20s): BUSY: hold on", tries))
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != 503 {
		t.Errorf("got error %#v, want an *Error of status 503", err)
	}
	if hours.waited() != 20*time.Second || len(hours.waits) != tries-1 {
		t.Errorf("got waits %s after %d attempts, want 20s in total", hours.waits, tries)
	}
	long := 0
	for i, d := range hours.waits {
		if most := min(100*time.Millisecond<<i, 5*time.Second); d > most || d < most/2 && i < len(hours.waits)-1 {
			t.Errorf("got wait %d of %s, want between %s and %s", i, d, most/2, most)
		}
		if d > time.Second {
			long++
		}
	}
	if len(warnings) != long || !strings.HasPrefix(warnings[0], "a.example.com: 503 Service Unavailable, trying again in ") {
		t.Errorf("got warnings %q, want %d about the status", warnings, long)
	}
	_, err = c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "503 Service Unavailable: BUSY")
	if len(f.requests()) != tries+1 {
		t.Errorf("got %d requests after the budget was spent, want 1", len(f.requests())-tries)
	}
}

func TestRetryAfter(t *testing.T) {
	start := newClock().time
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second,
		start.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
		start.Add(-time.Hour).Format(http.TimeFormat):      0,
		"0": 0, "-3": 0, "soon": 0, "": 0, "1.5": 0, "99999999999999999999": 0,
	} {
		t.Run(value, func(t *testing.T) {
			asked := 0
			f, c, hours := failingRegistry(t, Options{}, nil)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				asked++
				return asked == 1 && answerWith(429, "Retry-After", value)(w, r)
			}
			if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
				t.Fatal(err)
			}
			if len(hours.waits) != 1 || want > 0 && hours.waits[0] != want || want == 0 && hours.waits[0] > 2*time.Second {
				t.Errorf("waited %s, want %s", hours.waits, want)
			}
		})
	}
}

// A server that asks for more time than there is is not waited for. A rate limit has time of its own, unless nothing is
// accepted after it.
func TestRetryAfterIsTooLong(t *testing.T) {
	for _, tt := range []struct {
		status, requests int
		after, want      string
	}{
		{503, 1, "60", "503 Service Unavailable (the server asked to wait 1m0s, longer than the rest of --retry-timeout 30s): BUSY"},
		{429, 1, "1767225600", "429 Too Many Requests (the server asked to wait 24h0m0s, longer than 25m0s): BUSY"},
		{429, 1, "Fri, 31 Dec 9999 23:59:59 GMT", "429 Too Many Requests (the server asked to wait 24h0m0s, longer than 25m0s): BUSY"},
		{429, 6, "60", "429 Too Many Requests (gave up after 6 attempts in 5m0s; the server asked to wait 1m0s): BUSY"},
	} {
		f, c, hours := failingRegistry(t, Options{}, answerWith(tt.status, "Retry-After", tt.after))
		_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
		wantError(t, err, errdefs.ErrUnavailable, tt.want)
		if len(hours.waits) != tt.requests-1 || len(f.requests()) != tt.requests {
			t.Errorf("got requests %q and waits %s, want %d requests", f.requests(), hours.waits, tt.requests)
		}
	}
}

func TestNotTriedAgain(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 409, 416, 418, 501, 505, 507} {
		f, c, hours := failingRegistry(t, Options{}, answerWith(status))
		_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
		if err == nil || len(f.requests()) != 1 || len(hours.waits) != 0 {
			t.Errorf("%d: got %d requests, error %v, want 1 and an error", status, len(f.requests()), err)
		}
	}
	f, c, _ := failingRegistry(t, Options{RetryTimeout: -1}, answerWith(503))
	_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "app:1: 503 Service Unavailable: BUSY")
	if len(f.requests()) != 1 {
		t.Errorf("got requests %q, want 1", f.requests())
	}
}

// An upload may meet a connection that was reset as one that is closed.
func TestClosedDuringUpload(t *testing.T) {
	err := &net.OpError{Op: "readfrom", Net: "tcp", Err: &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}}
	if f := transport.Transient(err, true); f == nil || f.Few || f.Why != "the connection was closed" {
		t.Errorf("got fault %+v, want a closed connection", f)
	}
	if got := New(Options{}).host("a.example.com").plainCause(err).Error(); !strings.HasPrefix(got, "the connection was closed (") {
		t.Errorf("got %q, want it to say that the connection was closed", got)
	}
}

func TestRetryIsCancelled(t *testing.T) {
	f, c, _ := failingRegistry(t, Options{}, answerWith(429, "Retry-After", "20"))
	ctx, cancel := context.WithCancel(t.Context())
	c.budget.SetClock(transport.Clock{Now: time.Now, Sleep: func(ctx context.Context, d time.Duration) error {
		cancel()
		return pause.For(ctx, d)
	}})
	_, err := c.Fetch(ctx, parse(t, "a.example.com/app:1"))
	if !errors.Is(err, context.Canceled) || len(f.requests()) != 1 {
		t.Errorf("got requests %q, error %v, want one and %v", f.requests(), err, context.Canceled)
	}
}

// resumable is a copy of a large layer whose first downloads break off.
func resumable(t *testing.T, breaks int, serve func(f *fake, w http.ResponseWriter, r *http.Request) bool) (uploads int, ranges []string) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	layer := f.putBlob("source", bytes.Repeat([]byte("0123456789"), 50_000))
	image := f.putImage("source", "1", layer)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
			return false
		}
		ranges = append(ranges, r.Header.Get("Range"))
		if len(ranges) > breaks {
			return serve != nil && serve(f, w, r)
		}
		content, _ := f.blob("source", layer.Digest)
		first := 0
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(content[first : first+100_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target"))
	if err != nil {
		t.Fatal(err)
	}
	wantImage(t, g, "target", image.Descriptor, layer)
	return g.count("POST"), ranges
}

func TestDownloadGoesOn(t *testing.T) {
	uploads, ranges := resumable(t, 3, nil)
	if want := []string{"", "bytes=100000-", "bytes=200000-", "bytes=300000-"}; uploads != 2 || !slices.Equal(ranges, want) {
		t.Errorf("got %d uploads, ranges %q, want 2, %q", uploads, ranges, want)
	}
	uploads, ranges = resumable(t, 1, func(f *fake, _ http.ResponseWriter, _ *http.Request) bool { f.rangeless = true; return false })
	if want := []string{"", "bytes=100000-"}; uploads != 2 || !slices.Equal(ranges, want) {
		t.Errorf("without ranges: got %d uploads, ranges %q, want 2, %q", uploads, ranges, want)
	}
}

// A blob of which only the end of the answer is missing is complete: there is no range to ask for.
func TestDownloadBreaksAtItsEnd(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	want := bytes.Repeat([]byte("0123456789"), 10_000)
	blob := f.putBlob("app", want)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(want)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	content, err := n.client(Options{}).OpenBlob(t.Context(), parse(t, "a.example.com/app"), blob)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	got, err := io.ReadAll(content)
	if err != nil || !bytes.Equal(got, want) || len(f.requests()) != 1 {
		t.Errorf("got %d bytes, error %v after %q, want %d with one request", len(got), err, f.requests(), len(want))
	}
}

// A part that is not the one asked for is not taken for it: the blob is sent anew.
func TestDownloadOfAnotherPart(t *testing.T) {
	uploads, ranges := resumable(t, 1, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		w.Header().Set("Content-Range", "bytes 0-499999/500000")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, 500_000))
		return true
	})
	if want := []string{"", "bytes=100000-", ""}; uploads != 3 || !slices.Equal(ranges, want) {
		t.Errorf("got %d uploads, ranges %q, want 3, %q", uploads, ranges, want)
	}
}

// The timeout is for a lack of progress: a transfer that continues may take longer.
func TestSlowIsNotSilent(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	layer := f.putBlob("source", bytes.Repeat([]byte("0123456789"), 40_000))
	image := f.putImage("source", "1", layer)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
			return false
		}
		content, _ := f.blob("source", layer.Digest)
		for part := range slices.Chunk(content, len(content)/10) {
			_, _ = w.Write(part)
			w.(http.Flusher).Flush()
			_ = pause.For(r.Context(), 30*time.Millisecond)
		}
		return true
	}
	g.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, layer.Digest.Encoded()) {
			content, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(content))
			_ = pause.For(r.Context(), 500*time.Millisecond) // to check what it was sent
		}
		return false
	}
	c := n.client(Options{RetryTimeout: -1})
	c.idle = 300 * time.Millisecond
	if err := c.Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target")); err != nil {
		t.Fatal(err)
	}
	wantImage(t, g, "target", image.Descriptor, layer)
}

// A registry that mounts nothing for the moment is sent the blob.
func TestMountFails(t *testing.T) {
	for _, status := range []int{429, 500, 503} {
		f, c, hours := failingRegistry(t, Options{}, nil)
		f.mounts = status
		image := f.putImage("app", "1", f.putBlob("app", []byte("layer")))
		if err := c.Copy(t.Context(), parse(t, "a.example.com/app"), image, parse(t, "a.example.com/target")); err != nil {
			t.Fatal(err)
		}
		wantImage(t, f, "target", image.Descriptor)
		if got := f.count("POST /v2/target/blobs/uploads/?from=app&mount="); got > 2*mountAttempts || hours.waited() > 3*time.Minute {
			t.Errorf("%d: got %d requests for mounts and %s of waits, want at most %d and 3m", status, got, hours.waited(), 2*mountAttempts)
		}
	}
}

// An upload is cancelled with one request, which is not retried.
func TestCancelledUploadIsToldOnce(t *testing.T) {
	n, f, g := newNetwork(t), newFake(), newFake()
	n.secure("a.example.com:443", f)
	n.secure("b.example.com:443", g)
	layer := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: "sha256:" + ocispec.DescriptorEmptyJSON.Digest[7:]}
	image := f.putImage("source", "1", layer)
	g.putImage("target", "1")
	g.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			return answerWith(503)(w, r)
		}
		return r.Method == http.MethodPut && answerWith(403)(w, r)
	}
	f.putBlob("source", []byte("{}"))
	err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target"))
	wantError(t, err, errdefs.ErrPermissionDenied, "403")
	if g.count("DELETE") != g.count("POST") {
		t.Errorf("got requests %q, want one DELETE for each POST", g.requests())
	}
}

// brokenConn is a connection that the other side has closed.
type brokenConn struct{ net.Conn }

func (brokenConn) Read([]byte) (int, error) { return 0, io.EOF }

// A first connection that breaks off says nothing about the scheme that a registry speaks.
func TestFirstConnectionBreaks(t *testing.T) {
	for _, name := range []string{"a.example.com:5000", "localhost:5000"} { // which may speak plain HTTP
		n, f := newNetwork(t), newFake()
		n.secure(name, f)
		f.putImage("app", "1")
		c := n.client(Options{Insecure: name == "localhost:5000"})
		tune, dials := c.tune, 0
		c.tune = func(tr *http.Transport) {
			tune(tr)
			tr.DialContext = func(ctx context.Context, protocol, address string) (net.Conn, error) {
				conn, err := n.dial(ctx, protocol, address)
				if dials++; dials == 1 && err == nil {
					conn = brokenConn{conn}
				}
				return conn, err
			}
		}
		if _, err := c.Fetch(t.Context(), parse(t, name+"/app:1")); err != nil {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// A registry that stops to read is given up, however long it may take over what it has.
func TestUploadStalls(t *testing.T) {
	for _, target := range []string{"b.example.com", "h2.example.com"} {
		n, f, g := newNetwork(t), newFake(), newFake()
		n.secure("a.example.com:443", f)
		n.secure(target+":443", g)
		over := make(chan struct{})
		t.Cleanup(func() { close(over) })
		layer := f.putBlob("source", make([]byte, 16<<20))
		image := f.putImage("source", "1", layer)
		var stalled atomic.Bool
		g.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.RawQuery, layer.Digest.Encoded()) || stalled.Swap(true) {
				return false
			}
			select {
			case <-r.Context().Done():
			case <-over:
			}
			panic(http.ErrAbortHandler)
		}
		c := n.client(Options{})
		c.idle, c.commit = 500*time.Millisecond, time.Hour
		if err := c.Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, target+"/target")); err != nil {
			t.Fatal(err)
		}
		wantImage(t, g, "target", image.Descriptor, layer)
		if !stalled.Load() || g.count("POST") != 3 {
			t.Errorf("%s: got requests %q, want 3 sessions", target, g.requests())
		}
	}
}

// The body of a token request goes along when the request is sent again.
func TestTokenIsAskedForAgain(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	f.putImage("app", "1")
	asked := 0
	service := &tokens{check: func(r *http.Request) bool { return func() bool { _, p, _ := r.BasicAuth(); return p == "hunter22" }() }}
	n.secure("auth.example.com:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked++; asked {
		case 1:
			answerWith(429, "Retry-After", "90")(w, r)
		case 2:
			panic(http.ErrAbortHandler)
		case 3:
			breakOff([]byte(`{"token":"t"}`), true)(w)
		default:
			service.ServeHTTP(w, r)
		}
	}))
	f.before = bearer("https://auth.example.com/token")
	var warnings []string
	c := n.client(Options{
		Credentials: credential(Credential{Username: "me", Secret: "hunter22"}),
		Warn:        func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) },
	})
	if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
		t.Fatal(err)
	}
	if want := "auth.example.com: 429 Too Many Requests, trying again in 1m30s"; len(warnings) != 1 || warnings[0] != want {
		t.Errorf("got warnings %q, want %q", warnings, want)
	}
}

func TestTokenServiceStaysDown(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answerWith(503)(w, r)
	}))
	f.before = bearer("https://auth.example.com/token")
	_, err := n.client(Options{}).Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "a.example.com: GET manifest a.example.com/app:1: token service auth.example.com: 503 Service Unavailable (gave up after ", " attempts in 30s): BUSY: hold on")
}

// A download that never gets further ends with what was tried, said once.
func TestDownloadEnds(t *testing.T) {
	for name, later := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"breaks off": func(w http.ResponseWriter, _ *http.Request) bool {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"503": answerWith(503),
		"a byte each": func(w http.ResponseWriter, r *http.Request) bool {
			var first int
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-199999/200000", first))
			w.WriteHeader(http.StatusPartialContent)
			breakOff(bytes.Repeat([]byte{byte('0' + first%10)}, 2), true)(w)
			return true
		},
	} {
		n, f, g := newNetwork(t), newFake(), newFake()
		n.secure("a.example.com:443", f)
		n.secure("b.example.com:443", g)
		layer := f.putBlob("source", bytes.Repeat([]byte("0123456789"), 20_000))
		image := f.putImage("source", "1", layer)
		downloads := 0
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
				return false
			}
			if downloads++; downloads == 1 {
				breakOff(make([]byte, 200_000), true)(w)
			}
			return later(w, r)
		}
		err := n.client(Options{}).Copy(t.Context(), parse(t, "a.example.com/source"), image, parse(t, "b.example.com/target"))
		wantError(t, err, errdefs.ErrUnavailable, "blob "+layer.Digest.String()+" of a.example.com/source")
		if strings.Count(err.Error(), "gave up after") != 1 || g.openSessions() != 0 {
			t.Errorf("%s: got error %v after %q, want one note about the attempts and no open session", name, err, g.requests())
		}
		if downloads > 50 {
			t.Errorf("%s: got %d downloads, want those of one interruption", name, downloads)
		}
	}
}

// A manifest that a fresh token does not suffice for is not sent a third time.
func TestPutRefused(t *testing.T) {
	f, c, _ := failingRegistry(t, Options{}, nil)
	refused := bearer("https://a.example.com/token")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			fmt.Fprint(w, `{"token":"t"}`)
			return true
		}
		return refused(w, r)
	}
	err := c.Put(t.Context(), parse(t, "a.example.com/app:1"), manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(emptyIndex)))
	wantError(t, err, errdefs.ErrUnauthenticated, "401")
	if got := f.count("PUT"); got != 2 {
		t.Errorf("got %d PUT requests, want 2", got)
	}
}
