package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Fault answers a request wrongly in the place of then.
type Fault func(w http.ResponseWriter, r *http.Request, then http.Handler)

// Faults stands in front of a handler and lets requests go wrong.
type Faults struct {
	then http.Handler

	mu    sync.Mutex
	fault Fault
	where func(*http.Request) bool
	times int
	met   int
}

// NewFaults returns one that lets all requests through to then.
func NewFaults(then http.Handler) *Faults {
	return &Faults{then: then, where: func(*http.Request) bool { return false }}
}

// Strike lets as many of the requests that are to come, and that where names, go wrong.
func (f *Faults) Strike(fault Fault, where func(*http.Request) bool, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.where, f.times, f.met = fault, where, times, 0
}

// Met returns how many requests came since the last Strike that it named.
func (f *Faults) Met() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.met
}

// ServeHTTP answers rightly or wrongly.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := f.next(r); fault != nil {
		fault(w, r, f.then)
		return
	}
	f.then.ServeHTTP(w, r)
}

// next returns what happens to r, nil for nothing.
func (f *Faults) next(r *http.Request) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.where(r) {
		return nil
	}
	f.met++
	if f.met > f.times {
		return nil
	}
	return f.fault
}

// Refuse answers with a status and, unless it is "", a Retry-After. A 503 does not listen first.
func Refuse(status int, after string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		if status != http.StatusServiceUnavailable {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNKNOWN","message":"not now"}]}`)
	}
}

// Reset breaks the connection off in the middle of what is sent.
func Reset(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.CopyN(io.Discard, r.Body, 50_000)
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// Truncate does what is asked for, but half of the answer's body is missing, or all of an answer without
// one.
func Truncate(w http.ResponseWriter, r *http.Request, then http.Handler) {
	if status, body := answer(w, r, then); len(body) > 0 {
		half(w, status, body)
	}
	panic(http.ErrAbortHandler)
}

// Silence neither listens nor answers, or stops after half of a blob.
func Silence(w http.ResponseWriter, r *http.Request, then http.Handler) {
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
		status, body := answer(w, r, then)
		half(w, status, body)
	}
	<-r.Context().Done()
}

// Flip changes a byte: of what is sent, or else of the query or the Location or what is answered.
func Flip(w http.ResponseWriter, r *http.Request, then http.Handler) {
	switch {
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(flipped(body)))
		then.ServeHTTP(w, r)
	case r.URL.Query().Has("mount"):
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "mount=sha256", "mount=sha257", 1)
		then.ServeHTTP(w, r)
	default:
		status, body := answer(w, r, then)
		if location := w.Header().Get("Location"); location != "" {
			w.Header().Set("Location", string(flipped([]byte(location))))
		}
		w.WriteHeader(status)
		_, _ = w.Write(flipped(body))
	}
}

// flipped returns content with another letter or digit in the middle, so that JSON stays JSON.
func flipped(content []byte) []byte {
	content = slices.Clone(content)
	for i := len(content) / 2; i < len(content); i++ {
		if c := content[i]; c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			content[i] ^= 1
			break
		}
	}
	return content
}

// answer lets then do what is asked for and returns its answer; the header is in w.
func answer(w http.ResponseWriter, r *http.Request, then http.Handler) (status int, body []byte) {
	recorder := httptest.NewRecorder()
	then.ServeHTTP(recorder, r)
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	return recorder.Code, recorder.Body.Bytes()
}

// half sends the first half of an answer.
func half(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
}
