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

// Fault answers a request with a failure, instead of then.
type Fault func(w http.ResponseWriter, r *http.Request, then http.Handler)

// Faults is a handler that lets requests to another handler fail.
type Faults struct {
	then http.Handler

	mu    sync.Mutex
	fault Fault
	where func(*http.Request) bool
	times int
	met   int
}

// NewFaults returns Faults that forwards all requests to then.
func NewFaults(then http.Handler) *Faults {
	return &Faults{then: then, where: func(*http.Request) bool { return false }}
}

// Strike lets the next requests that where selects fail, as many as times.
func (f *Faults) Strike(fault Fault, where func(*http.Request) bool, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.where, f.times, f.met = fault, where, times, 0
}

// Met returns how many requests where has selected since the last Strike.
func (f *Faults) Met() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.met
}

// ServeHTTP forwards the request or lets it fail.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := f.next(r); fault != nil {
		fault(w, r, f.then)
		return
	}
	f.then.ServeHTTP(w, r)
}

// next returns the fault for r, nil for none.
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

// Refuse answers with a status and, unless it is "", a Retry-After. A 503 does not read the request body first.
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

// Reset resets the connection in the middle of the request body.
func Reset(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.CopyN(io.Discard, r.Body, 50_000)
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// Truncate handles the request, but sends only half of the response body, or no response if that has no body.
func Truncate(w http.ResponseWriter, r *http.Request, then http.Handler) {
	if status, body := answer(w, r, then); len(body) > 0 {
		half(w, status, body)
	}
	panic(http.ErrAbortHandler)
}

// Silence neither reads nor answers, or stops after half of a blob.
func Silence(w http.ResponseWriter, r *http.Request, then http.Handler) {
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
		status, body := answer(w, r, then)
		half(w, status, body)
	}
	<-r.Context().Done()
}

// Flip changes a byte of the request body of a PUT, of the digest of a mount, or otherwise of the Location and the
// body of the response.
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

// flipped returns content with another letter or digit in the middle, so that JSON is still valid.
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

// answer lets then handle the request and returns its response; the header is in w.
func answer(w http.ResponseWriter, r *http.Request, then http.Handler) (status int, body []byte) {
	recorder := httptest.NewRecorder()
	then.ServeHTTP(recorder, r)
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	return recorder.Code, recorder.Body.Bytes()
}

// half sends the first half of a response.
func half(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
}
