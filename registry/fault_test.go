package registry

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// failing is a way in which a request goes wrong.
type failing struct {
	// serve answers wrongly in the place of then.
	serve func(s *publication, w http.ResponseWriter, r *http.Request, then http.Handler)
	// passes says that the fault is gone when it does not happen the next time.
	passes bool
}

var faults = map[string]failing{
	"429":              {status(http.StatusTooManyRequests, ""), true},
	"429, Retry-After": {status(http.StatusTooManyRequests, "3"), true},
	"500":              {status(http.StatusInternalServerError, ""), true},
	"502":              {status(http.StatusBadGateway, ""), true},
	"503":              {status(http.StatusServiceUnavailable, "1"), true},
	"504":              {status(http.StatusGatewayTimeout, ""), true},
	"reset":            {reset, true},
	"truncated":        {truncate, true},
	"silence":          {stopAnswering, true},
	"flipped byte":     {flip, false},
	"empty 200":        {func(*publication, http.ResponseWriter, *http.Request, http.Handler) {}, false},
	"expired token":    {expire, false},
}

// places are the requests that faults happen to.
var places = map[string]func(server string, r *http.Request) bool{
	"manifest GET": func(server string, r *http.Request) bool {
		return server == "a" && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/")
	},
	"config GET": func(server string, r *http.Request) bool {
		return server == "a" && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, digest.FromString(faultConfig).Encoded())
	},
	"blob GET": func(server string, r *http.Request) bool {
		return server == "a" && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, digest.FromBytes(faultLayer).Encoded())
	},
	"blob HEAD": func(server string, r *http.Request) bool {
		return server == "b" && r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/")
	},
	"mount": func(server string, r *http.Request) bool {
		return server == "b" && r.Method == http.MethodPost && r.URL.Query().Has("mount")
	},
	"upload POST": func(server string, r *http.Request) bool {
		return server == "b" && r.Method == http.MethodPost && !r.URL.Query().Has("mount")
	},
	"upload PUT": func(server string, r *http.Request) bool {
		return server == "b" && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/")
	},
	"child PUT": func(server string, r *http.Request) bool {
		return server == "b" && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:")
	},
	"list PUT": func(server string, r *http.Request) bool {
		return server == "b" && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1")
	},
	"token": func(server string, _ *http.Request) bool { return server == "auth" },
}

const faultConfig = `{"os":"linux","architecture":"arm64"}`

var faultLayer = bytes.Repeat([]byte("0123456789abcdef"), 10_000)

// publication is a publication of two images under a tag that names something else: the blobs of one are
// mounted, those of the other come from another registry.
type publication struct {
	target *fake
	client *Client
	// name is the target's, realm the address of the token service.
	name, realm string
	over        chan struct{}
	streams     []ocispec.Descriptor

	mu   sync.Mutex
	left int
}

const oldList = `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[],"annotations":{"a":"old"}}`

func newPublication(t *testing.T, place, name string, times int) *publication {
	n, a, b := newNetwork(t), newFake(), newFake()
	s := &publication{target: b, over: make(chan struct{}), realm: "https://auth.example.com/token"}
	f := faults[name]
	wrap := func(server string, then http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if places[place](server, r) && r.Header.Get("Authorization") != "" == (server != "auth") && s.strikes() {
				f.serve(s, w, r, then)
				return
			}
			then.ServeHTTP(w, r)
		})
	}
	start, port := n.secure, ":443"
	s.name = map[bool]string{true: "h2.example.com", false: "b.example.com"}[times == 2]
	if times > 2 { // the scheme makes no difference but to the time of the test
		start, port, s.realm = n.plain, ":80", "http://auth.example.com/token"
	}
	start("a.example.com"+port, wrap("a", a))
	start(s.name+port, wrap("b", b))
	start("auth.example.com"+port, wrap("auth", &tokens{numbered: true}))
	t.Cleanup(func() { close(s.over) })
	a.before, b.before = bearer(s.realm), bearer(s.realm)
	s.client = n.client(Options{Insecure: times > 2})
	if name == "silence" {
		s.client.idle, s.client.commit = 200*time.Millisecond, 200*time.Millisecond
	}
	layer := a.putBlob("source", faultLayer)
	a.putImage("source", "1", layer)
	b.putImage("other", "1", b.putBlob("other", []byte("other layer")))
	b.put("target", "1", ocispec.MediaTypeImageIndex, []byte(oldList))
	if name == "expired token" {
		if _, err := s.client.Fetch(t.Context(), parse(t, "a.example.com/source:1")); err != nil {
			t.Fatal(err)
		}
	}
	s.left = times
	return s
}

// strikes reports whether the fault happens once more.
func (s *publication) strikes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
	return s.left >= 0
}

// publish does what a run does, and returns the bytes of the list it wants to push.
func (s *publication) publish(t *testing.T) ([]byte, error) {
	ctx, target := t.Context(), parse(t, s.name+"/target:1")
	list := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	list.SchemaVersion = 2
	for _, source := range []string{"a.example.com/source:1", s.name + "/other:1"} {
		image, err := s.client.Fetch(ctx, parse(t, source))
		if err != nil {
			return nil, err
		}
		config, layers, err := manifest.ParseImage(image.Raw)
		if err != nil {
			return nil, err
		}
		if content, err := s.client.Blob(ctx, parse(t, source), config); err != nil || string(content) != faultConfig {
			return nil, errors.Join(err, errors.New("config"))
		}
		if err := s.client.Copy(ctx, parse(t, source), image, target); err != nil {
			return nil, err
		}
		list.Manifests = append(list.Manifests, image.Descriptor)
		s.streams = append(append(s.streams, config), layers...)
	}
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"digest":%q},{"digest":%q}]}`,
		list.MediaType, list.Manifests[0].Digest, list.Manifests[1].Digest)
	return raw, s.client.Put(ctx, target, manifest.NewContent(ocispec.MediaTypeImageIndex, raw))
}

// Whatever goes wrong, wherever and however often: either all is there and right, or there is an error
// and the tag is what it was. What may pass is no error when it does.
func TestFaults(t *testing.T) {
	for place := range places {
		for name := range faults {
			for word, times := range map[string]int{"once": 1, "twice": 2, "for ever": math.MaxInt} {
				t.Run(fmt.Sprintf("%s/%s/%s", place, name, word), func(t *testing.T) {
					t.Parallel()
					testFault(t, place, name, times)
				})
			}
		}
	}
}

func testFault(t *testing.T, place, name string, times int) {
	s := newPublication(t, place, name, times)
	list, err := s.publish(t)
	if wanted, known := outcome(place, name, times); known && (err == nil) != wanted {
		t.Errorf("got %v", err)
	}
	if p := s.client.budget; p.Spent() > p.Limit() {
		t.Errorf("got %s of waits, want at most %s", p.Spent(), p.Limit())
	}
	tag, _ := s.target.manifest("target", "1")
	if err != nil {
		if string(tag.raw) != oldList {
			t.Errorf("got tag %s after error %v, want the old list", tag.raw, err)
		}
		return
	}
	if !bytes.Equal(tag.raw, list) {
		t.Errorf("got tag %s, want %s", tag.raw, list)
	}
	for _, b := range s.streams {
		if content, ok := s.target.blob("target", b.Digest); !ok || b.Digest != digest.FromBytes(content) {
			t.Errorf("%s: got the blob %t with %d bytes, want its content", b.Digest, ok, len(content))
		}
	}
}

// outcome returns whether a publication goes well, where that is not left to the implementation.
func outcome(place, name string, times int) (well, known bool) {
	switch {
	case place == "mount", place == "blob HEAD" && (name == "truncated" || !faults[name].passes): // otherwise the blob is uploaded
		return true, true
	case place == "list PUT" && name == "truncated": // the tag shows that it was carried out
		return true, true
	case times == math.MaxInt:
		return false, true
	case faults[name].passes:
		return true, true
	}
	return true, times == 1 && place != "token"
}

func status(code int, after string) func(*publication, http.ResponseWriter, *http.Request, http.Handler) {
	return func(_ *publication, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		if code != http.StatusServiceUnavailable { // which does not listen first
			_, _ = io.Copy(io.Discard, r.Body)
		}
		refuse(w, code, "UNKNOWN", "not now")
	}
}

// reset resets the connection in the middle of the request.
func reset(_ *publication, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.CopyN(io.Discard, r.Body, 100_000)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // it is HTTP/2: the stream alone
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// answerOf serves the request and returns the answer.
func answerOf(w http.ResponseWriter, r *http.Request, then http.Handler) (status int, body []byte) {
	recorder := httptest.NewRecorder()
	then.ServeHTTP(recorder, r)
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	return recorder.Code, recorder.Body.Bytes()
}

// truncate serves the request, but half of the body of the answer is missing, or the whole answer if it has no
// body.
func truncate(_ *publication, w http.ResponseWriter, r *http.Request, then http.Handler) {
	code, body := answerOf(w, r, then)
	if len(body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		_, _ = w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
	}
	panic(http.ErrAbortHandler)
}

// stopAnswering does nothing, or nothing more after half of a large answer.
func stopAnswering(s *publication, w http.ResponseWriter, r *http.Request, then http.Handler) {
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
		code, body := answerOf(w, r, then)
		w.WriteHeader(code)
		_, _ = w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
	}
	select {
	case <-r.Context().Done():
	case <-s.over:
	}
}

// flip changes a byte of what is sent: a registry takes nothing that does not have its digest, and an
// upload session that is none is unknown.
func flip(_ *publication, w http.ResponseWriter, r *http.Request, then http.Handler) {
	if r.Method == http.MethodPut {
		_, _ = io.Copy(io.Discard, r.Body)
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content")
		return
	}
	if strings.HasSuffix(r.URL.Path, "/uploads/") {
		w.Header().Set("Location", "/v2/target/blobs/uploads/sessiom-1?_state=a%2Bb")
		w.WriteHeader(http.StatusAccepted)
		return
	}
	code, body := answerOf(w, r, then)
	if token := []byte("granted|"); bytes.Contains(body, token) {
		body = bytes.ReplaceAll(body, token, []byte("granted}"))
	} else {
		body[len(body)/2] ^= 1
	}
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// expire refuses the token that was sent.
func expire(s *publication, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.realm+`",service="registry",error="invalid_token"`)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "token has expired")
}

// Of a registry, or a proxy before it, that answers any request with an empty 200 now and then, no publication is
// reported as done of which something is missing.
func TestEmptyAnswers(t *testing.T) {
	done := 0
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // no secret depends on it
		n, a, b := newNetwork(t), newFake(), newFake()
		n.plain("a.example.com:80", a)
		n.plain("b.example.com:80", b)
		layers := []ocispec.Descriptor{a.putBlob("source", faultLayer), b.putBlob("other", []byte("other layer"))}
		a.putImage("source", "1", layers[0])
		b.putImage("other", "1", layers[1])
		b.put("target", "1", ocispec.MediaTypeImageIndex, []byte(oldList))
		b.before = func(http.ResponseWriter, *http.Request) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return random.IntN(5) == 0
		}
		s := &publication{target: b, client: n.client(Options{Insecure: true}), name: "b.example.com"}
		list, err := s.publish(t)
		tag, _ := b.manifest("target", "1")
		if err != nil {
			continue
		}
		done++
		if !bytes.Equal(tag.raw, list) {
			t.Errorf("seed %d: got tag %s, want %s", seed, tag.raw, list)
		}
		index, _, err := manifest.ParseIndex(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range index {
			if _, ok := b.manifest("target", child.Digest.String()); !ok {
				t.Errorf("seed %d: the child %s is missing", seed, child.Digest)
			}
		}
		for _, l := range s.streams {
			if content, ok := b.blob("target", l.Digest); !ok || l.Digest != digest.FromBytes(content) {
				t.Errorf("seed %d: the blob %s is missing", seed, l.Digest)
			}
		}
	}
	if done < 30 {
		t.Errorf("got %d of 100 publications done, want at least 30", done)
	}
}
