package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// scene is a person with one daemon and one registry, and a repository that no
// other test uses.
type scene struct {
	*testing.T
	*harness.Env
	daemon   *servers.Daemon // nil: DOCKER_HOST is a socket nobody listens on
	registry *servers.Registry
	repo     string
	list     string // the list's name, tag "1" in repo
}

// newScene returns a scene without a daemon.
func newScene(t *testing.T, kind servers.RegistryKind) *scene {
	r, repo := harness.Registry(t, kind), harness.Repo(t)
	return &scene{T: t, Env: harness.NewEnv(t), registry: r, repo: repo, list: r.Host + "/" + repo + ":1"}
}

// onEachStore runs a test once with each daemon. Its images have names that start
// with the scene's repo, or with plain.
func onEachStore(t *testing.T, test func(s *scene)) {
	for _, store := range stores {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.useDaemon(harness.Daemon(t, store))
			test(s)
		})
	}
}

// eachRegistry runs a test with distribution 3, with 2.8, and with one that asks for a
// login.
func eachRegistry(t *testing.T, test func(t *testing.T, o harness.RegistryOptions)) {
	for name, o := range map[string]harness.RegistryOptions{
		"3": {Kind: harness.V3}, "2.8": {Kind: harness.V28}, "login": withLogin,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, o)
		})
	}
}

// onEachRegistry runs a test once with each registry.
func onEachRegistry(t *testing.T, test func(s *scene)) {
	eachRegistry(t, func(t *testing.T, o harness.RegistryOptions) {
		if o.User == "" {
			test(newScene(t, o.Kind))
			return
		}
		s := newScene(t, harness.V3)
		s.ownRegistry(o)
		test(s)
	})
}

// ownRegistry gives the scene a registry of its own, and a login where that asks for
// one.
func (s *scene) ownRegistry(o harness.RegistryOptions) {
	s.Helper()
	s.registry = harness.NewRegistry(s.T, o)
	s.list = s.name("1")
	if o.User != "" {
		s.Login(s.T, s.registry.Host, o.User, o.Password)
	}
}

func (s *scene) useDaemon(d *servers.Daemon) {
	s.daemon = d
	s.UseDaemon(d)
}

// name is a tag in the target repository.
func (s *scene) name(tag string) string { return s.registry.Host + "/" + s.repo + ":" + tag }

// plain is a name without a registry that belongs to this test.
func (s *scene) plain(tag string) string { return strings.ReplaceAll(s.repo, "/", "-") + ":" + tag }

// load gives the daemon a new image under name; the same name and platform give
// another image for another version.
func (s *scene) load(name string, p ocispec.Platform, version ...string) images.Manifest {
	s.Helper()
	seed := s.repo + name + p.Architecture + strings.Join(version, "")
	image := images.Image(images.Spec{Seed: seed, Platform: p})
	harness.Load(s.T, s.daemon, name, image)
	return image
}

// put gives the registry a new image under a tag of repo.
func (s *scene) put(repo, tag string, spec images.Spec) images.Manifest {
	s.Helper()
	if spec.Seed == "" {
		spec.Seed = s.repo + repo + tag
	}
	image := images.Image(spec)
	harness.Put(s.T, s.registry, repo, tag, image)
	return image
}

// docker runs a docker command that has to succeed, and returns stdout.
func (s *scene) docker(args ...string) string {
	s.Helper()
	return harness.MustRun(s.T, s.Env, "docker", args...)
}

// multiarch runs a command of the plugin that has to succeed.
func (s *scene) multiarch(args ...string) harness.Result {
	s.Helper()
	r := harness.Run(s.T, s.Env, "docker", append([]string{"multiarch"}, args...)...)
	if r.Code != 0 {
		s.Fatalf("docker multiarch %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r
}

// ends runs a command of the plugin that has to end with code and to say words.
func (s *scene) ends(code int, words []string, args ...string) harness.Result {
	s.Helper()
	r := harness.Run(s.T, s.Env, "docker", append([]string{"multiarch"}, args...)...)
	if r.Code != code {
		s.Errorf("%v: exit code %d, not %d\n%s%s", args, r.Code, code, r.Stdout, r.Stderr)
	}
	says(s.T, r.Stdout+r.Stderr, words...)
	return r
}

// refused runs a command of the plugin that has to fail with exit code 1, to say
// words, and to leave the local store, the registry and the daemon as they were.
func (s *scene) refused(words []string, args ...string) harness.Result {
	s.Helper()
	unchanged := s.unchanged()
	r := harness.MustFail(s.T, s.Env, 1, words, "docker", append([]string{"multiarch"}, args...)...)
	if r.Stdout != "" {
		s.Errorf("stdout of a failed command: %s", r.Stdout)
	}
	unchanged()
	return r
}

// unchanged remembers the local store, the target repository's tags and the test's
// images in the daemon, and returns the check that they are what they were.
func (s *scene) unchanged() func() {
	s.Helper()
	store, tags, local := s.store(), harness.Tags(s.T, s.registry, s.repo), s.daemonTags()
	return func() {
		s.Helper()
		if now := s.store(); !maps.Equal(now, store) {
			s.Errorf("the local store changed:\n%v\nwas:\n%v", now, store)
		}
		if now := harness.Tags(s.T, s.registry, s.repo); !maps.Equal(now, tags) {
			s.Errorf("tags in the registry: %v, were: %v", now, tags)
		}
		s.sameDaemonTags(local)
	}
}

// store is the content of the local lists: every file but those whose name has a
// dot in front, by its path.
func (s *scene) store() map[string]string {
	s.Helper()
	root := filepath.Join(s.Config, "manifests")
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, root)] = string(data)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	return files
}

// daemonTags are the test's own images in the daemon.
func (s *scene) daemonTags() map[string]string {
	s.Helper()
	if s.daemon == nil {
		return nil
	}
	tags := harness.Images(s.T, s.daemon)
	maps.DeleteFunc(tags, func(name, _ string) bool {
		return !strings.Contains(name, s.repo+":") && !strings.Contains(name, s.repo+"/") && !strings.HasPrefix(name, s.plain(""))
	})
	return tags
}

func (s *scene) sameDaemonTags(before map[string]string) {
	s.Helper()
	if now := s.daemonTags(); !maps.Equal(now, before) {
		s.Errorf("tags in the daemon: %v, were: %v", now, before)
	}
}

// holds checks the list under a tag of the target repository: sound down to the
// layers, and with these platforms in this order. It returns the index.
func (s *scene) holds(tag string, platforms ...string) ocispec.Index {
	s.Helper()
	harness.Sound(s.T, s.registry, s.repo, tag)
	index, err := harness.Get(s.T, s.registry, s.repo, tag).Index()
	if err != nil {
		s.Fatal(err)
	}
	if got := platformsOf(index); !slices.Equal(got, platforms) {
		s.Errorf("%s has %v, not %v", tag, got, platforms)
	}
	return index
}

// platformsOf are the platforms of an index, "attestation" for an attestation.
func platformsOf(index ocispec.Index) []string {
	var out []string
	for _, d := range index.Manifests {
		name := "none"
		if p := d.Platform; p != nil {
			name = strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
		}
		if d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
			name = "attestation"
		}
		out = append(out, name)
	}
	return out
}

// holdsImages checks that the children of an index are these images: by digest,
// or, for what the daemon packed anew, by config.
func (s *scene) holdsImages(index ocispec.Index, want ...images.Manifest) {
	s.Helper()
	if len(index.Manifests) != len(want) {
		s.Fatalf("%d children, not %d", len(index.Manifests), len(want))
	}
	for i, d := range index.Manifests {
		var content struct{ Config ocispec.Descriptor }
		raw := harness.Get(s.T, s.registry, s.repo, d.Digest.String()).Raw
		if err := json.Unmarshal(raw, &content); err != nil {
			s.Fatal(err)
		}
		if d.Digest != want[i].Digest() && content.Config.Digest != want[i].ID() {
			s.Errorf("child %d is %s with the config %s, not %s", i, d.Digest, content.Config.Digest, want[i].ID())
		}
	}
}

// nothingPending checks that the local list is the one under its tag in the
// registry, to the digest.
func (s *scene) nothingPending() digest.Digest {
	s.Helper()
	pushed := harness.Get(s.T, s.registry, s.repo, "1")
	local := s.docker("multiarch", "inspect", "--format", "{{.Local}} {{.Digest}}", s.list)
	if want := "true " + pushed.Digest.String() + "\n"; local != want {
		s.Errorf("local list: %s, not %s", local, want)
	}
	return pushed.Digest
}

// pushedLast checks the last line on stdout, which is the digest of what is under
// tag in the registry.
func (s *scene) pushedLast(stdout, tag string) {
	s.Helper()
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if d := harness.Get(s.T, s.registry, s.repo, tag).Digest.String(); lines[len(lines)-1] != d {
		s.Errorf("stdout ends in %q, not %s", lines[len(lines)-1], d)
	}
}

// says checks that text has all the words.
func says(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is missing in:\n%s", word, text)
		}
	}
}

// saysNot checks that text has none of the words.
func saysNot(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(text, word) {
			t.Errorf("%q should not be in:\n%s", word, text)
		}
	}
}

// noWarning checks that stderr has no warning about anything of this test. A daemon may print warnings of its own.
func (s *scene) noWarning(stderr string) {
	s.Helper()
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "WARNING") && (strings.Contains(line, s.repo) || strings.Contains(line, s.plain(""))) {
			s.Errorf("got %swant no warning in:\n%s", line, stderr)
		}
	}
}

// writes are the requests that change a registry.
func writes(requests []servers.Request) []servers.Request {
	return slices.DeleteFunc(slices.Clone(requests), func(r servers.Request) bool {
		return r.Method == http.MethodGet || r.Method == http.MethodHead
	})
}
