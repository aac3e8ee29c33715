package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// far is a registry behind a line with a delay.
type far struct {
	registry *servers.Registry
	line     *proxy.Line
}

func newFar(t *testing.T, guard func(http.Handler) http.Handler) far {
	t.Helper()
	r := harness.NewRegistry(t, harness.RegistryOptions{})
	handler, err := proxy.To(r.Base)
	if err != nil {
		t.Fatal(err)
	}
	return far{r, newLine(t, guard(handler))}
}

func open(h http.Handler) http.Handler { return h }

// newLine puts handler behind a line until the end of the test.
func newLine(t *testing.T, handler http.Handler) *proxy.Line {
	t.Helper()
	l, err := proxy.Start(5*time.Millisecond, handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

var farPlatforms = []string{"amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64", "mips64le", "mips64"}

// seed puts n images of a config and two layers into a repository and returns their names on the line.
func (f far) seed(t *testing.T, repo string, n int) (names []string) {
	t.Helper()
	for _, arch := range farPlatforms[:n] {
		harness.Put(t, f.registry, repo, arch, images.Image(images.Spec{
			Seed: repo + arch, Platform: ocispec.Platform{OS: "linux", Architecture: arch}, Layers: 2,
		}))
		names = append(names, f.line.Host+"/"+repo+":"+arch)
	}
	return names
}

// passes fails the test if the lines have carried more requests or connections than these since the last call.
func passes(t *testing.T, requests, connections int, lines ...*proxy.Line) {
	t.Helper()
	var all proxy.Traffic
	for _, l := range lines {
		all = all.Plus(l.Take())
	}
	if len(all.Requests) > requests || all.Connections > connections {
		t.Errorf("got %d requests, want at most %d; got %d connections, want at most %d:\n%s",
			len(all.Requests), requests, all.Connections, connections, strings.Join(all.Requests, "\n"))
	}
	if all.Connections+all.Probes > connections+len(lines)*2 {
		t.Errorf("got %d connections without a request besides %d, want at most %d in total", all.Probes, all.Connections, connections+len(lines)*2)
	}
}

func multiarch(t *testing.T, e *harness.Env, args ...string) {
	t.Helper()
	harness.MustRun(t, e, "docker", append([]string{"multiarch"}, args...)...)
}

// Every request is made once, and no other: for each manifest, each config, each blob that is mounted or uploaded,
// the list, and what its tag pointed to before. make bench measures how long that takes.
func TestRoundsSameRepository(t *testing.T) {
	f, e := newFar(t, open), harness.NewEnv(t)
	names := f.seed(t, "app", 10)
	list := f.line.Host + "/app:1"
	multiarch(t, e, append([]string{"create", "--push", list}, names...)...)
	passes(t, 22, 11, f.line)
	multiarch(t, e, append([]string{"create", list}, names...)...)
	multiarch(t, e, "push", list)
	passes(t, 22, 12, f.line)
	digests := t.TempDir()
	for tag, d := range harness.Tags(t, f.registry, "app") {
		if tag != "1" {
			if err := os.WriteFile(filepath.Join(digests, strings.TrimPrefix(d, "sha256:")), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	multiarch(t, e, "create", "--push", list, "--digests", digests)
	passes(t, 22, 11, f.line)
	multiarch(t, e, "rm", list)
	multiarch(t, e, "inspect", list)
	passes(t, 1, 1, f.line)
}

func TestRoundsLogin(t *testing.T) {
	tokens := &proxy.Tokens{User: loginUser, Password: loginSecret}
	f := newFar(t, tokens.Guard)
	e := harness.NewEnv(t)
	e.Login(t, f.line.Host, loginUser, loginSecret)
	names := f.seed(t, "app", 10)
	multiarch(t, e, append([]string{"create", "--push", f.line.Host + "/app:1"}, names...)...)
	passes(t, 26, 11, f.line)
	near := f.seed(t, "other/app", 10)
	multiarch(t, e, append([]string{"create", "--push", f.line.Host + "/app:2"}, near...)...)
	passes(t, 3*10+3*10+2+4, 3*10, f.line)
}

// A listing with a login takes the challenge of the API's root and a token first, or the root only where everyone may
// list; without a login it takes neither.
func TestRoundsListingWithLogin(t *testing.T) {
	tokens := &proxy.Tokens{User: loginUser, Password: loginSecret}
	for _, tt := range []struct {
		guard    func(http.Handler) http.Handler
		login    bool
		requests int
	}{{open, false, 1}, {open, true, 2}, {tokens.Guard, true, 3}} {
		f, e := newFar(t, tt.guard), harness.NewEnv(t)
		f.seed(t, "app", 2)
		if tt.login {
			e.Login(t, f.line.Host, loginUser, loginSecret)
		}
		multiarch(t, e, "repo", "tags", "-q", f.line.Host+"/app")
		passes(t, tt.requests, 1, f.line)
	}
}

func TestRoundsOtherRepository(t *testing.T) {
	f, e := newFar(t, open), harness.NewEnv(t)
	names := f.seed(t, "from/app", 10)
	multiarch(t, e, append([]string{"create", "--push", f.line.Host + "/app:1"}, names...)...)
	passes(t, 3*10+3*10+2, 3*10, f.line)
	harness.Complete(t, f.registry, "app", "1")
}

func TestRoundsOtherRegistry(t *testing.T) {
	from, to, e := newFar(t, open), newFar(t, open), harness.NewEnv(t)
	names := from.seed(t, "app", 4)
	create := append([]string{"create", "--push", to.line.Host + "/app:1"}, names...)
	multiarch(t, e, create...)
	passes(t, 4*4+4*4*3+2, 2*4*3, from.line, to.line)
	harness.Complete(t, to.registry, "app", "1")
	multiarch(t, e, create...)
	passes(t, 3*4+3, 2*4+1, from.line, to.line)
}

// An import requests each manifest and blob once, and checks each blob in the target; when all content exists, it
// requests only the two tags and checks each child in the target. A tag is requested again after it was written.
func TestRoundsImport(t *testing.T) {
	from, to, e := newFar(t, open), newFar(t, open), harness.NewEnv(t)
	multiarch(t, e, append([]string{"create", "--push", from.line.Host + "/app:1"}, from.seed(t, "app", 4)...)...)
	from.line.Take()
	args := []string{"import", from.line.Host + "/app:1", to.line.Host + "/app:1"}
	multiarch(t, e, args...)
	passes(t, 1+4+4*3+1+4*3*3+4+1+1+1, 2*4*3+1, from.line, to.line) // the tag is requested three times
	harness.Complete(t, to.registry, "app", "1")
	multiarch(t, e, args...)
	passes(t, 2+4, 1+4, from.line, to.line)
	multiarch(t, e, "tag", "--remote", to.line.Host+"/app:1", to.line.Host+"/app:2")
	passes(t, 3, 2, to.line)
}
