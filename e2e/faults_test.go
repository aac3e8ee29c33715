package e2e

import (
	"maps"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// failing is a way in which a request fails.
type failing struct {
	name string
	// fault is nil for the fault of the token service.
	fault proxy.Fault
	// passes is true if a retry without the fault succeeds.
	passes bool
	// says matches the error of the command, except for a refused token.
	says string
}

var faults = []failing{
	{"429", proxy.Refuse(http.StatusTooManyRequests, ""), true, "429 Too Many Requests"},
	{"429, Retry-After", proxy.Refuse(http.StatusTooManyRequests, "1"), true, "429 Too Many Requests.*asked to wait 1s"},
	{"500", proxy.Refuse(http.StatusInternalServerError, ""), true, "500 Internal Server Error"},
	{"502", proxy.Refuse(http.StatusBadGateway, ""), true, "502 Bad Gateway"},
	{"503", proxy.Refuse(http.StatusServiceUnavailable, ""), true, "503 Service Unavailable"},
	{"504", proxy.Refuse(http.StatusGatewayTimeout, ""), true, "504 Gateway Timeout"},
	{"reset", proxy.Reset, true, "connection reset|broken pipe|the connection was closed"},
	{"truncated", proxy.Truncate, true, "the connection was closed|the transfer was interrupted"},
	{"silence", proxy.Silence, true, "no progress for"},
	{"flipped byte", proxy.Flip, false, "digest|DIGEST_INVALID|BLOB_UPLOAD_INVALID|the registry (claims|stored) sha256:"},
	{"expired token", nil, false, ""},
}

// faultPlace is a request that fails.
type faultPlace struct {
	name string
	is   func(s *faultScene, r *http.Request) bool
	// object is what the error names.
	object func(s *faultScene) string
	// ways are the commands that send it.
	ways []string
}

var (
	reading = []string{"create --replace", "create --push"}
	both    = []string{"create --replace", "push", "create --push"}
	pushing = []string{"push", "create --push"}
)

var faultPlaces = []faultPlace{
	{"manifest GET", func(s *faultScene, r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/source/manifests/1")
	}, func(s *faultScene) string { return s.sources[0] }, reading},
	{"config GET", func(s *faultScene, r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, s.far.ID().String())
	}, func(s *faultScene) string { return "blob " + s.far.ID().String() }, both},
	{"blob GET", func(s *faultScene, r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, s.layer())
	}, func(s *faultScene) string { return "blob " + s.layer() }, pushing},
	{"mount", func(_ *faultScene, r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.Query().Has("mount")
	}, (*faultScene).target, pushing},
	{"upload POST", func(_ *faultScene, r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/uploads/") && !r.URL.Query().Has("mount")
	}, func(s *faultScene) string { return " to " + s.repo }, pushing},
	{"upload PUT", func(s *faultScene, r *http.Request) bool {
		return r.Method == http.MethodPut && r.URL.Query().Get("digest") == s.layer()
	}, func(s *faultScene) string { return "blob " + s.layer() + " to " + s.repo }, pushing},
	{"child PUT", func(_ *faultScene, r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:")
	}, func(s *faultScene) string { return "manifest " + s.target() + "@sha256:" }, pushing},
	{"list PUT", func(_ *faultScene, r *http.Request) bool { return isListPut(r) },
		func(s *faultScene) string { return "pushing the list " + s.list }, pushing},
	{"token", func(_ *faultScene, r *http.Request) bool { return r.URL.Path == "/token" },
		func(*faultScene) string { return "token service 127.0.0.1:" }, both},
}

// faultCase is a fault that occurs a number of times at a place in one of its commands.
type faultCase struct {
	failing
	place faultPlace
	times int
	way   string
}

// always is the number of times of a permanent fault.
const always = math.MaxInt

// faultCases returns all combinations of fault, place and number of times, with the commands in rotation. A silence
// lasts as long as the plugin waits for a connection, 30 seconds, so it occurs once; the tests of package registry,
// with shorter timeouts, have it twice and permanently. A PATCH is never sent.
func faultCases() (cases []faultCase) {
	for _, place := range faultPlaces {
		for i, f := range faults {
			for j, times := range []int{1, 2, always} {
				if f.name == "silence" && times > 1 {
					continue
				}
				cases = append(cases, faultCase{f, place, times, place.ways[(i+j)%len(place.ways)]})
			}
		}
	}
	return cases
}

func (c faultCase) String() string {
	count := map[int]string{1: "once", 2: "twice", always: "for ever"}
	return strings.Join([]string{c.place.name, c.name, count[c.times], c.way}, "/")
}

// well returns whether the command succeeds, if that is not left to the implementation.
func (c faultCase) well() (well, known bool) {
	expired := c.name == "expired token"
	switch {
	case c.place.name == "mount": // else the blob is uploaded, unless its requests are refused for ever, too
		return true, !expired || c.times < always
	case c.place.name == "list PUT" && c.name == "truncated": // the tag shows that it was carried out
		return true, true
	case c.times == always:
		return false, true
	case c.passes:
		return true, true
	}
	// A token that is refused at its first use may count as invalid. That of the source is first used for the
	// manifest.
	first := c.place.name == "token" || c.place.name == "manifest GET" && expired
	return true, c.times == 1 && !first
}

// faultScene publishes two images under an existing tag: the blobs of near are in the target registry and are
// mounted, those of far are in another one. Both require tokens.
type faultScene struct {
	*scene
	faults    *proxy.Faults
	tokens    *proxy.Tokens
	far, near images.Manifest
	sources   []string // far, near
}

func newFaultScene(t *testing.T, r *servers.Registry, to http.Handler, layerSize int) *faultScene {
	s := &faultScene{scene: newScene(t, r.Kind), tokens: &proxy.Tokens{User: loginUser, Password: loginSecret}}
	s.registry = r
	s.faults = proxy.NewFaults(s.tokens.Guard(to))
	here, there := newLine(t, s.faults).Host, newLine(t, s.faults).Host
	s.Login(t, here, loginUser, loginSecret)
	s.Login(t, there, loginUser, loginSecret)
	s.far = s.put(s.repo+"/source", "1", images.Spec{Platform: arm64, LayerSize: layerSize})
	s.near = s.put(s.repo+"/other", "1", images.Spec{Platform: amd64})
	s.list = here + "/" + s.repo + ":1"
	s.sources = []string{there + "/" + s.repo + "/source:1", here + "/" + s.repo + "/other:1"}
	harness.Put(t, r, s.repo, "1", images.Index(images.OCI, images.Image(images.Spec{Seed: s.repo, Platform: windows})))
	return s
}

func (s *faultScene) layer() string  { return s.far.Blobs[1].Descriptor.Digest.String() }
func (s *faultScene) target() string { return strings.TrimSuffix(s.list, ":1") }

// Whatever request fails, and however often: either everything is published correctly, or an error names the
// request's object, and the tag and the local list do not change. A temporary fault is no error.
func TestFaults(t *testing.T) {
	cases := faultCases()
	if len(cases) < 120 {
		t.Errorf("got %d cases, want at least 120", len(cases))
	}
	r := harness.NewRegistry(t, harness.RegistryOptions{})
	to, err := proxy.To(r.Base)
	if err != nil {
		t.Fatal(err)
	}
	// A case mostly waits; a silence does nothing else.
	busy := make(chan struct{}, 16)
	var group sync.WaitGroup
	for _, c := range cases {
		group.Go(func() {
			if c.name != "silence" {
				busy <- struct{}{}
				defer func() { <-busy }()
			}
			t.Run(c.String(), func(t *testing.T) { c.test(t, r, to) })
		})
	}
	group.Wait()
}

func (c faultCase) test(t *testing.T, registry *servers.Registry, to http.Handler) {
	size := 100_000
	if c.name == "silence" && c.place.name == "upload PUT" {
		size = 8 << 20 // more than the buffers of a connection hold
	}
	s := newFaultScene(t, registry, to, size)
	before, args := s.sources[1:], append([]string{s.list}, s.sources...)
	if c.way == "push" {
		before, args = s.sources, args[:1]
	}
	s.plugin(append([]string{"create", s.list}, before...)...)
	if c.times == always {
		args = append(args, "--retry-timeout", "2s")
	}
	s.strike(c)
	store, tag := s.store(), s.digestOf("1")
	r := harness.Run(t, s.Env, "docker", append(strings.Fields("multiarch "+c.way), args...)...)
	c.outcome(s, r)
	if r.Code == 0 {
		c.succeeded(s)
	} else {
		c.failed(s, r, tag)
	}
	if now := s.store(); !maps.Equal(now, store) && (r.Code != 0 || c.way == "create --push") {
		t.Errorf("got local list %v, want %v", now, store)
	}
	if t.Failed() {
		t.Logf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// plugin runs a command that has to succeed without the docker command, which would take longer than the plugin.
func (s *faultScene) plugin(args ...string) {
	s.Helper()
	plugin, err := harness.Plugin()
	s.must(err)
	harness.MustRun(s.T, s.Env, plugin, args...)
}

// strike enables the fault from now on. It skips requests without a token: they only ask for the challenge.
func (s *faultScene) strike(c faultCase) {
	fault := c.fault
	if fault == nil {
		fault = s.tokens.Expire
	}
	s.faults.Strike(fault, func(r *http.Request) bool {
		return c.place.is(s, r) && (r.URL.Path == "/token" || r.Header.Get("Authorization") != "")
	}, c.times)
}

// outcome checks what holds in every case. Two seconds of retries have room for 7 attempts of each of two requests,
// and a download resumes some 17 times, each time with half of the remaining bytes.
func (c faultCase) outcome(s *faultScene, r harness.Result) {
	s.Helper()
	if well, known := c.well(); r.Code != 0 && r.Code != 1 || known && well != (r.Code == 0) {
		s.Errorf("got exit code %d, want success: %t (required: %t)", r.Code, well, known)
	}
	if met := s.faults.Met(); met < 1 || met > 2*7+17 {
		s.Errorf("got %d requests at the place of the fault, want 1 to %d", met, 2*7+17)
	}
	saysNot(s.T, r.Stdout+r.Stderr, loginSecret)
}

// succeeded checks the list in the registry; after create it is pushed first.
func (c faultCase) succeeded(s *faultScene) {
	s.Helper()
	if c.way == "create --replace" {
		s.faults.Strike(nil, isAny, 0)
		s.plugin("push", s.list)
	}
	s.holdsImages(s.holds("1", "linux/arm64/v8", "linux/amd64"), s.far, s.near)
}

// failed checks the error, and that the tag did not move.
func (c faultCase) failed(s *faultScene, r harness.Result, tag string) {
	s.Helper()
	if r.Stdout != "" {
		s.Errorf("got stdout %q of a failed command, want none", r.Stdout)
	}
	if c.name == "expired token" || c.place.name == "token" && !c.passes { // any request may be refused then
		says(s.T, r.Stderr, "401 Unauthorized", "docker login 127.0.0.1:")
	} else {
		says(s.T, r.Stderr, c.place.object(s))
		if !regexp.MustCompile(c.says).MatchString(r.Stderr) {
			s.Errorf("got no match for %q in stderr", c.says)
		}
	}
	// The registry cannot know which list was meant.
	damaged := c.place.name == "list PUT" && c.name == "flipped byte"
	if now := s.digestOf("1"); now != tag && !damaged {
		s.Errorf("got the tag at %s, want %s", now, tag)
	}
}
