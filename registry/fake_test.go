package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// network resolves the names of test servers.
type network struct {
	t  *testing.T
	mu sync.Mutex
	// addresses are those of the servers, by "name:port".
	addresses map[string]string
	// trusted are the certificates that clients trust.
	trusted *x509.CertPool
}

func newNetwork(t *testing.T) *network {
	return &network{t: t, addresses: map[string]string{}, trusted: x509.NewCertPool()}
}

// plain starts a server of plain HTTP, secure one of HTTPS with a certificate that clients trust (it is
// for example.com and the names below it), selfSigned one with a certificate they do not.
func (n *network) plain(name string, h http.Handler) {
	n.start(name, h, (*httptest.Server).Start)
}

func (n *network) secure(name string, h http.Handler) {
	s := n.selfSigned(name, h)
	n.trusted.AddCert(s.Certificate())
}

func (n *network) selfSigned(name string, h http.Handler) *httptest.Server {
	return n.start(name, h, (*httptest.Server).StartTLS)
}

// asking starts an HTTPS server that requests client certificates and speaks this version of TLS.
func (n *network) asking(name string, h http.Handler, who tls.ClientAuthType, version uint16) *httptest.Server {
	s := n.start(name, h, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: who, MinVersion: version, MaxVersion: version}
		s.StartTLS()
	})
	n.trusted.AddCert(s.Certificate())
	return s
}

func (n *network) start(name string, h http.Handler, start func(*httptest.Server)) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = strings.HasPrefix(name, "h2.")
	s.Config.ErrorLog = discardLog
	start(s)
	n.t.Cleanup(s.Close)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses[name] = s.Listener.Addr().String()
	return s
}

func (n *network) dial(ctx context.Context, protocol, address string) (net.Conn, error) {
	n.mu.Lock()
	actual, ok := n.addresses[address]
	n.mu.Unlock()
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: protocol, Err: fmt.Errorf("%s: no such host", address)}
	}
	return new(net.Dialer).DialContext(ctx, protocol, actual)
}

// client returns a client whose waits take no time.
func (n *network) client(o Options) *Client {
	c := New(o)
	newClock().rule(c.budget)
	c.tune = func(t *http.Transport) {
		t.Proxy, t.DialContext = nil, n.dial
		if t.TLSClientConfig.RootCAs == nil {
			t.TLSClientConfig.RootCAs = n.trusted.Clone()
		}
		n.t.Cleanup(t.CloseIdleConnections)
	}
	return c
}

// clock is a clock that advances only by waits.
type clock struct {
	mu    sync.Mutex
	time  time.Time
	waits []time.Duration
}

func newClock() *clock { return &clock{time: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)} }

func (c *clock) rule(b *transport.Budget) { b.SetClock(transport.Clock{Now: c.now, Sleep: c.sleep}) }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

// waited returns the sum of all waits.
func (c *clock) waited() (sum time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.waits {
		sum += d
	}
	return sum
}

// fake is a registry in memory.
type fake struct {
	mu        sync.Mutex
	manifests map[string]fakeManifest
	blobs     map[string][]byte
	sessions  int
	open      map[string]bool
	seen      []string
	headers   []http.Header
	protocol  string

	// before may answer a request itself, and says so.
	before func(w http.ResponseWriter, r *http.Request) bool
	// mounts is the status that a mount is answered with: 201, 202 or a refusal.
	mounts int
	// rangeless makes it send whole blobs only.
	rangeless bool
	// location changes the Location of an upload session.
	location func(path string) string
}

type fakeManifest struct {
	mediaType string
	raw       []byte
}

func newFake() *fake {
	return &fake{manifests: map[string]fakeManifest{}, blobs: map[string][]byte{}, open: map[string]bool{}, mounts: http.StatusCreated}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+r.URL.RequestURI())
	f.headers = append(f.headers, r.Header.Clone())
	f.protocol = r.Proto
	before := f.before
	f.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	if repo, name, ok := strings.Cut(path, "/manifests/"); ok {
		f.serveManifest(w, r, repo, name)
	} else if repo, name, ok := strings.Cut(path, "/blobs/uploads/"); ok {
		f.serveUpload(w, r, repo, name)
	} else if repo, name, ok := strings.Cut(path, "/blobs/"); ok {
		f.serveBlob(w, r, repo, name)
	} else {
		http.NotFound(w, r)
	}
}

func (f *fake) serveManifest(w http.ResponseWriter, r *http.Request, repo, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := repo + "|" + name
	m, ok := f.manifests[key]
	switch {
	case r.Method == http.MethodPut:
		raw, _ := io.ReadAll(r.Body)
		m = fakeManifest{r.Header.Get("Content-Type"), raw}
		f.manifests[key] = m
		f.manifests[repo+"|"+digest.FromBytes(raw).String()] = m
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(raw).String())
		w.WriteHeader(http.StatusCreated)
	case !ok:
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
	case r.Method == http.MethodDelete:
		delete(f.manifests, key)
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Content-Type", m.mediaType)
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(m.raw).String())
		_, _ = w.Write(m.raw)
	}
}

func (f *fake) serveBlob(w http.ResponseWriter, r *http.Request, repo, name string) {
	f.mu.Lock()
	blob, ok := f.blobs[repo+"|"+name]
	f.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")
		return
	}
	var first int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first); err == nil && !f.rangeless {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(blob)-1, len(blob)))
		w.Header().Set("Content-Length", fmt.Sprint(len(blob)-first))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(blob[first:])
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(blob)
	}
}

func (f *fake) serveUpload(w http.ResponseWriter, r *http.Request, repo, session string) {
	switch r.Method {
	case http.MethodPost:
		if d := r.URL.Query().Get("mount"); d != "" && f.mounts != http.StatusAccepted {
			f.serveMount(w, repo, d, r.URL.Query().Get("from"))
			return
		}
		f.startSession(w, repo)
	case http.MethodPut:
		f.finishSession(w, r, repo, session)
	case http.MethodDelete:
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.open, session)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *fake) serveMount(w http.ResponseWriter, repo, d, from string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	blob, ok := f.blobs[from+"|"+d]
	if f.mounts != http.StatusCreated || !ok {
		refuse(w, f.mounts, "DENIED", "no mounts here")
		return
	}
	f.blobs[repo+"|"+d] = blob
	w.Header().Set("Location", "/v2/"+repo+"/blobs/"+d)
	w.WriteHeader(http.StatusCreated)
}

func (f *fake) startSession(w http.ResponseWriter, repo string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions++
	id := fmt.Sprintf("session-%d", f.sessions)
	f.open[id] = true
	location := "/v2/" + repo + "/blobs/uploads/" + id + "?_state=a%2Bb"
	if f.location != nil {
		location = f.location(location)
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusAccepted)
}

func (f *fake) finishSession(w http.ResponseWriter, r *http.Request, repo, session string) {
	raw, err := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	d := digest.Digest(r.URL.Query().Get("digest"))
	switch {
	case err != nil:
		return
	case !f.open[session] || r.URL.Query().Get("_state") != "a+b":
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such session")
	default: // a registry that trusts the digest in the request
		delete(f.open, session)
		f.blobs[repo+"|"+d.String()] = raw
		w.WriteHeader(http.StatusCreated)
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}

func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// count returns how many requests there were whose text has this prefix.
func (f *fake) count(prefix string) int {
	n := 0
	for _, r := range f.requests() {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (f *fake) put(repo, name, mediaType string, raw []byte) digest.Digest {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := digest.FromBytes(raw)
	f.manifests[repo+"|"+name] = fakeManifest{mediaType, raw}
	f.manifests[repo+"|"+d.String()] = fakeManifest{mediaType, raw}
	return d
}

func (f *fake) putBlob(repo string, content []byte) ocispec.Descriptor {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := digest.FromBytes(content)
	f.blobs[repo+"|"+d.String()] = content
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: d, Size: int64(len(content))}
}

func (f *fake) blob(repo string, d digest.Digest) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.blobs[repo+"|"+d.String()]
	return b, ok
}

func (f *fake) manifest(repo, name string) (fakeManifest, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.manifests[repo+"|"+name]
	return m, ok
}

func (f *fake) openSessions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// putImage stores an image of these layers and returns its manifest.
func (f *fake) putImage(repo, tag string, layers ...ocispec.Descriptor) manifest.Content {
	config := f.putBlob(repo, []byte(`{"os":"linux","architecture":"arm64"}`))
	config.MediaType = ocispec.MediaTypeImageConfig
	raw, _ := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: layers,
	})
	f.put(repo, tag, ocispec.MediaTypeImageManifest, raw)
	return manifest.NewContent(ocispec.MediaTypeImageManifest, raw)
}

// tokens is a token service: its tokens name the scopes they are for.
type tokens struct {
	mu   sync.Mutex
	seen []url.Values
	// check returns false to refuse the credentials in a request, with status or else 401.
	check  func(r *http.Request) bool
	status int
	// grant returns the scopes of a token; nil grants all that are requested.
	grant func(scopes []string) []string
	// numbered makes each token another one.
	numbered bool
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	s.seen = append(s.seen, r.Form)
	s.mu.Unlock()
	if s.check != nil && !s.check(r) {
		w.WriteHeader(cmp.Or(s.status, http.StatusUnauthorized))
		fmt.Fprint(w, `{"details":"incorrect username or password"}`)
		return
	}
	scopes := strings.Fields(strings.Join(r.Form["scope"], " "))
	if s.grant != nil {
		scopes = s.grant(scopes)
	}
	token := "granted|" + strings.Join(scopes, "|")
	if s.numbered {
		token += fmt.Sprintf("|%d", len(s.requests()))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 300})
}

func (s *tokens) requests() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// bearer makes a registry ask for tokens of the service at realm.
func bearer(realm string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		repo := strings.TrimPrefix(r.URL.Path, "/v2/")
		for _, part := range []string{"/manifests/", "/blobs/"} {
			repo, _, _ = strings.Cut(repo, part)
		}
		action := map[string]string{"GET": "pull", "HEAD": "pull", "DELETE": "delete"}[r.Method]
		if action == "" || strings.Contains(r.URL.Path, "/uploads/") {
			action = "push"
		}
		header := r.Header.Get("Authorization")
		for _, scope := range strings.Split(strings.TrimPrefix(header, "Bearer granted|"), "|") {
			if strings.HasPrefix(header, "Bearer ") && strings.HasPrefix(scope, "repository:"+repo+":") && strings.Contains(scope, action) {
				return false
			}
		}
		challenge := fmt.Sprintf(`Bearer realm=%q,service="registry",scope="repository:%s:%s"`, realm, repo, action)
		if header != "" {
			challenge += `,error="insufficient_scope"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	}
}

// basic makes a registry ask for a name and a password.
func basic(user, password string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if u, p, _ := r.BasicAuth(); u == user && p == password {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	}
}

func credential(c Credential) func(context.Context, string, string, []string) (Credential, error) {
	return func(context.Context, string, string, []string) (Credential, error) { return c, nil }
}

func parse(t *testing.T, s string) reference.Named {
	t.Helper()
	ref, err := manifest.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
