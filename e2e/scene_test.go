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

// scene is an environment with one daemon and one registry, and a repository that no other test uses.
type scene struct {
	*testing.T
	*harness.Env
	daemon   *servers.Daemon // nil: DOCKER_HOST is a socket that does not exist
	registry *servers.Registry
	repo     string
	list     string // the list's name, tag "1" in repo
}

// newScene returns a scene without a daemon.
func newScene(t *testing.T, kind servers.RegistryKind) *scene {
	r, repo := harness.Registry(t, kind), harness.Repo(t)
	return &scene{T: t, Env: harness.NewEnv(t), registry: r, repo: repo, list: r.Host + "/" + repo + ":1"}
}

// onEachStore runs a test with each daemon. Its images have names that start with the scene's repo, or with plain.
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

// eachRegistry runs a test with distribution 3, with 2.8, and with one that requires a login, and with crane's.
func eachRegistry(t *testing.T, test func(t *testing.T, o harness.RegistryOptions)) {
	for name, o := range map[string]harness.RegistryOptions{
		"3": {Kind: harness.V3}, "2.8": {Kind: harness.V28}, "login": withLogin, "crane": {Kind: harness.Crane},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, o)
		})
	}
}

// onEachRegistry runs a test with a scene for each registry.
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

// ownRegistry starts a registry for the scene, with a login if it requires one.
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

// name returns the reference of a tag in the target repository.
func (s *scene) name(tag string) string { return s.registry.Host + "/" + s.repo + ":" + tag }

// plain returns a name without a registry that only this test uses.
func (s *scene) plain(tag string) string { return strings.ReplaceAll(s.repo, "/", "-") + ":" + tag }

// load loads a new image into the daemon; the same name and platform with another version are another image.
func (s *scene) load(name string, p ocispec.Platform, version ...string) images.Manifest {
	s.Helper()
	seed := s.repo + name + p.Architecture + strings.Join(version, "")
	image := images.Image(images.Spec{Seed: seed, Platform: p})
	harness.Load(s.T, s.daemon, name, image)
	return image
}

// put puts a new image into the registry, under a tag of repo.
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
		s.Fatalf("docker multiarch %s: got exit code %d, want 0\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r
}

// ends runs a command of the plugin that has to end with code and to print words.
func (s *scene) ends(code int, words []string, args ...string) harness.Result {
	s.Helper()
	r := harness.Run(s.T, s.Env, "docker", append([]string{"multiarch"}, args...)...)
	if r.Code != code {
		s.Errorf("%v: got exit code %d, want %d\n%s%s", args, r.Code, code, r.Stdout, r.Stderr)
	}
	says(s.T, r.Stdout+r.Stderr, words...)
	return r
}

// refused runs a command of the plugin that has to fail with exit code 1, to print words, and not to change the local
// store, the registry and the daemon.
func (s *scene) refused(words []string, args ...string) harness.Result {
	s.Helper()
	return s.refusedWith(1, words, args...)
}

// refusedWith is refused with another exit code.
func (s *scene) refusedWith(code int, words []string, args ...string) harness.Result {
	s.Helper()
	unchanged := s.unchanged()
	r := harness.MustFail(s.T, s.Env, code, words, "docker", append([]string{"multiarch"}, args...)...)
	if r.Stdout != "" {
		s.Errorf("got stdout %q of a failed command, want none", r.Stdout)
	}
	unchanged()
	return r
}

// unchanged records the local store, the target repository's tags and the test's images in the daemon, and returns a
// check that they have not changed.
func (s *scene) unchanged() func() {
	s.Helper()
	store, tags, local := s.store(), harness.Tags(s.T, s.registry, s.repo), s.daemonTags()
	return func() {
		s.Helper()
		if now := s.store(); !maps.Equal(now, store) {
			s.Errorf("got local store %v, want %v", now, store)
		}
		if now := harness.Tags(s.T, s.registry, s.repo); !maps.Equal(now, tags) {
			s.Errorf("got tags %v in the registry, want %v", now, tags)
		}
		s.sameDaemonTags(local)
	}
}

// store returns the content of the local lists by path: all files without a leading dot.
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

// daemonTags returns the test's own images in the daemon.
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
		s.Errorf("got tags %v in the daemon, want %v", now, before)
	}
}

// holds checks the list under a tag of the target repository: that all its content exists, and that it has these
// platforms in this order. It returns the index.
func (s *scene) holds(tag string, platforms ...string) ocispec.Index {
	s.Helper()
	harness.Complete(s.T, s.registry, s.repo, tag)
	index, err := harness.Get(s.T, s.registry, s.repo, tag).Index()
	if err != nil {
		s.Fatal(err)
	}
	if got := platformsOf(index); !slices.Equal(got, platforms) {
		s.Errorf("got platforms %v of %s, want %v", got, tag, platforms)
	}
	return index
}

// platformsOf returns the platforms of an index, "attestation" for an attestation.
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

// holdsImages checks that the children of an index are these images: by digest or, if the daemon compressed them
// again, by config.
func (s *scene) holdsImages(index ocispec.Index, want ...images.Manifest) {
	s.Helper()
	if len(index.Manifests) != len(want) {
		s.Fatalf("got %d children, want %d", len(index.Manifests), len(want))
	}
	for i, d := range index.Manifests {
		var content struct{ Config ocispec.Descriptor }
		raw := harness.Get(s.T, s.registry, s.repo, d.Digest.String()).Raw
		if err := json.Unmarshal(raw, &content); err != nil {
			s.Fatal(err)
		}
		if d.Digest != want[i].Digest() && content.Config.Digest != want[i].ID() {
			s.Errorf("got child %s with config %s, want %s with config %s", d.Digest, content.Config.Digest, want[i].Digest(), want[i].ID())
		}
	}
}

// nothingPending checks that the local list has the digest of the pushed one.
func (s *scene) nothingPending() digest.Digest {
	s.Helper()
	pushed := harness.Get(s.T, s.registry, s.repo, "1")
	local := s.docker("multiarch", "inspect", "--format", "{{.Local}} {{.Digest}}", s.list)
	if want := "true " + pushed.Digest.String() + "\n"; local != want {
		s.Errorf("got local list %q, want %q", local, want)
	}
	return pushed.Digest
}

// pushedLast checks that the last line on stdout is the digest of the tag in the registry.
func (s *scene) pushedLast(stdout, tag string) {
	s.Helper()
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if d := harness.Get(s.T, s.registry, s.repo, tag).Digest.String(); lines[len(lines)-1] != d {
		s.Errorf("got %q at the end of stdout, want %s", lines[len(lines)-1], d)
	}
}

// says checks that text contains all the words.
func says(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("got no %q in:\n%s", word, text)
		}
	}
}

// saysNot checks that text contains none of the words.
func saysNot(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(text, word) {
			t.Errorf("got %q, want it absent in:\n%s", word, text)
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

// writes returns the requests that change a registry.
func writes(requests []servers.Request) []servers.Request {
	return slices.DeleteFunc(slices.Clone(requests), func(r servers.Request) bool {
		return r.Method == http.MethodGet || r.Method == http.MethodHead
	})
}
