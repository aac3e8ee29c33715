package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// importScene imports a list of four platforms with attestations from the scene's registry into target, a registry of
// its own.
type importScene struct {
	*scene
	list     images.Manifest
	from, to string
	target   *servers.Registry
}

// onEachTarget runs a test with each kind of registry as the target.
func onEachTarget(t *testing.T, test func(m *importScene)) {
	eachRegistry(t, func(t *testing.T, o harness.RegistryOptions) { test(newImportScene(t, o)) })
}

func newImportScene(t *testing.T, o harness.RegistryOptions) *importScene {
	s := newScene(t, harness.V3)
	m := &importScene{scene: s, target: harness.NewRegistry(t, o)}
	if o.User != "" {
		s.Login(t, m.target.Host, o.User, o.Password)
	}
	m.list = attestedList(s.repo)
	m.from = harness.Put(t, s.registry, s.repo, "1", m.list)
	m.to = m.target.Host + "/" + s.repo
	return m
}

// attestedList returns a list of four platforms, with two layers and an attestation each.
func attestedList(seed string) images.Manifest {
	var all []images.Manifest
	for _, arch := range farPlatforms[:4] {
		all = append(all, images.Image(images.Spec{
			Seed: seed + arch, Platform: ocispec.Platform{OS: "linux", Architecture: arch}, Format: images.OCI, Layers: 2,
		}))
	}
	return images.Attested(all...)
}

// imports runs the import command, which has to succeed.
func (m *importScene) imports(args ...string) harness.Result {
	m.Helper()
	return m.multiarch(append([]string{"import"}, args...)...)
}

// fails runs an import that has to fail, and to write nothing to the target.
func (m *importScene) fails(words []string, args ...string) harness.Result {
	m.Helper()
	var r harness.Result
	requests := harness.Requests(m.T, m.target, func() {
		r = harness.MustFail(m.T, m.Env, 1, words, "docker", append([]string{"multiarch", "import"}, args...)...)
	})
	if w := writes(requests); len(w) > 0 || r.Stdout != "" {
		m.Errorf("got writes %v and stdout %q of a failed import, want none", w, r.Stdout)
	}
	return r
}

// arrives checks that a tag of the target has the digest d, that all content below it exists, and that d is the last
// line of stdout.
func (m *importScene) arrives(r harness.Result, tag string, d digest.Digest) {
	m.Helper()
	harness.Complete(m.T, m.target, m.repo, tag)
	if got := harness.Get(m.T, m.target, m.repo, tag).Digest; got != d {
		m.Errorf("got %s at tag %s, want %s", got, tag, d)
	}
	if lines := strings.Split(strings.TrimSpace(r.Stdout), "\n"); lines[len(lines)-1] != d.String() {
		m.Errorf("got %q at the end of stdout, want %s", lines[len(lines)-1], d)
	}
}

// A list is copied unchanged, its tags last; importing it again requests the tags and checks each child.
func TestImport(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		digestFile := filepath.Join(m.Dir, "digest")
		var r harness.Result
		requests := harness.Requests(m.T, m.target, func() {
			r = m.imports("-t", "latest", "--digest-file", digestFile, "--metadata-file", filepath.Join(m.Dir, "metadata"), m.from, m.to)
		})
		for _, tag := range []string{"1", "latest"} {
			m.arrives(r, tag, m.list.Digest())
		}
		w := writes(requests)
		for n, one := range w {
			if tagged := strings.HasSuffix(one.Path, "/manifests/1") || strings.HasSuffix(one.Path, "/manifests/latest"); tagged && n < len(w)-3 {
				m.Errorf("got %s before %v, want tags last", one, w[n+1:])
			}
		}
		says(m.T, r.Stdout, "Pushed ref "+m.to+"@"+m.list.Children[0].Digest().String()+" with digest: ")
		says(m.T, r.Stderr, "Sent 20 blobs")
		saysNot(m.T, r.Stdout+r.Stderr, loginSecret)
		if got, err := os.ReadFile(digestFile); err != nil || string(got) != m.list.Digest().String() {
			m.Errorf("got digest file %q (error %v), want %s", got, err, m.list.Digest())
		}
		if got, err := os.ReadFile(filepath.Join(m.Dir, "metadata")); err != nil || !strings.Contains(string(got), m.to+":1,"+m.to+":latest") {
			m.Errorf("got metadata %s (error %v), want both tags", got, err)
		}
		var again harness.Result
		requests = harness.Requests(m.T, m.target, func() { again = m.imports("--quiet", m.from, m.to+":1") })
		m.arrives(again, "1", m.list.Digest())
		if again.Stdout != m.list.Digest().String()+"\n" || again.Stderr != "" || len(requests) > 2+8 {
			m.Errorf("got stdout %q, stderr %q and requests %v, want the digest and at most 10 requests", again.Stdout, again.Stderr, requests)
		}
	})
}

// Foreign layers are not copied, and an index can contain indexes.
func TestImportForeignLayersAndNestedIndexes(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		foreign := images.Image(images.Spec{Seed: m.repo + "w", Platform: windows, Foreign: []string{"https://example.invalid/base"}})
		nested := images.Index(images.OCI, images.Index(images.Docker, foreign), m.list)
		for tag, content := range map[string]images.Manifest{"foreign": foreign, "nested": nested} {
			r := m.imports(harness.Put(m.T, m.registry, m.repo, tag, content), m.to)
			m.arrives(r, tag, content.Digest())
		}
		d := m.list.Children[0].Digest().String()
		m.imports(m.name("1")+"@"+d, m.to+":amd64")
		bare := m.registry.Host + "/" + m.repo + "@" + m.list.Digest().String()
		says(m.T, m.imports(bare, m.to).Stdout, m.list.Digest().String())
		if tags := harness.Tags(m.T, m.target, m.repo); len(tags) != 3 || tags["amd64"] != d {
			m.Errorf("got tags %v, want 3, and amd64 at %s", tags, d)
		}
	})
}

func TestImportPlatforms(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		r := m.imports("--platform", "linux/amd64,linux/arm64", m.from, m.to)
		harness.Complete(m.T, m.target, m.repo, "1")
		got := harness.Get(m.T, m.target, m.repo, "1")
		m.arrives(r, "1", got.Digest)
		index, err := got.Index()
		want := []string{"linux/amd64", "linux/arm64", "attestation", "attestation"}
		if err != nil || !slices.Equal(platformsOf(index), want) {
			m.Errorf("got platforms %v (error %v), want %v", platformsOf(index), err, want)
		}
		says(m.T, r.Stderr, m.list.Digest().String(), got.Digest.String())
		again := harness.Requests(m.T, m.target, func() { m.imports("--platform", "linux/arm64,linux/amd64", m.from, m.to) })
		if len(again) > 2+4 {
			m.Errorf("got requests %v, want at most 6", again)
		}
		m.fails([]string{"no image for linux/s390x", "linux/amd64, linux/arm64, linux/arm and linux/386"}, "--platform", "linux/s390x", m.from, m.to+":2")
		// An image that the source lacks is an error, unless --platform excludes it.
		lost := m.list.Children[2]
		if err := m.registry.Delete(m.Context(), m.repo, lost.Digest()); err != nil {
			m.Fatal(err)
		}
		m.fails([]string{"is incomplete", "linux/arm " + lost.Digest().String(), "hint: ", "--platform linux/amd64,linux/arm64,linux/386"}, m.from, m.to+":2")
		m.arrives(m.imports("--platform", "linux/amd64,linux/arm64", m.from, m.to+":2"), "2", got.Digest)
	})
}

// An existing tag of other content is moved only with --force.
func TestImportForce(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		old := images.Image(images.Spec{Seed: m.repo + "old", Platform: amd64})
		harness.Put(m.T, m.target, m.repo, "1", old)
		m.fails([]string{m.to + ":1", old.Digest().String(), m.list.Digest().String(), "--force"}, m.from, m.to)
		m.arrives(m.imports("--force", m.from, m.to), "1", m.list.Digest())
	})
}

// A target that lost images of a list, or their blobs, gets them back.
func TestImportRepairs(t *testing.T) {
	t.Parallel()
	m := newImportScene(t, harness.RegistryOptions{})
	lose := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	m.imports(m.from, m.to)
	image, other := m.list.Children[0], m.list.Children[1]
	lose(m.target.Delete(t.Context(), m.repo, image.Digest()))
	says(t, m.imports("--dry-run", m.from, m.to).Stderr, "lacks 1 of the manifests below it", "Would copy 1 manifests and 0 blobs")
	m.arrives(m.imports(m.from, m.to), "1", m.list.Digest())
	lose(m.target.Delete(t.Context(), m.repo, image.Digest()))
	m.arrives(m.imports("-t", "2", m.from, m.to), "2", m.list.Digest())
	// Layers are only checked with --force.
	layer := other.Blobs[1].Descriptor.Digest
	lose(m.target.DeleteBlob(t.Context(), m.repo, layer))
	says(t, m.imports(m.from, m.to).Stderr, "is up to date")
	says(t, m.imports("--dry-run", "--force", m.from, m.to).Stderr, "Would copy 0 manifests and 1 blobs")
	m.arrives(m.imports("--force", m.from, m.to), "1", m.list.Digest())
	single := m.registry.Host + "/" + m.repo + "@" + other.Digest().String()
	m.imports(single, m.to+":single")
	lose(m.target.DeleteBlob(t.Context(), m.repo, layer))
	m.arrives(m.imports("--force", single, m.to+":single"), "single", other.Digest())
}

func TestImportDryRun(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		harness.Put(m.T, m.target, m.repo, "amd64", m.list.Children[0])
		var r harness.Result
		requests := harness.Requests(m.T, m.target, func() { r = m.imports("--dry-run", m.from, m.to) })
		if w := writes(requests); len(w) > 0 || r.Stdout != m.list.Digest().String()+"\n" {
			m.Errorf("got writes %v and stdout %q, want no writes and the digest", w, r.Stdout)
		}
		says(m.T, r.Stderr, "Would copy 8 manifests and 17 blobs", "Would skip 1 manifests and 3 blobs", "Would write "+m.to+":1")
	})
}

func TestImportAllTags(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		for _, tag := range []string{"1.1", "1.2", "2.0"} {
			m.put(m.repo, tag, images.Spec{Platform: amd64})
		}
		source := strings.TrimSuffix(m.from, ":1")
		r := m.imports("--all-tags", "--filter", "1.*", "--filter", "2.?", source, m.to)
		says(m.T, r.Stdout, "Pushed ref "+m.to+":1.1 with digest: ", "Pushed ref "+m.to+":2.0 with digest: ")
		if tags := harness.Tags(m.T, m.target, m.repo); len(tags) != 3 || tags["1.2"] != m.digestOf("1.2") {
			m.Errorf("got tags %v, want 3, and 1.2 as in the source", tags)
		}
		harness.Put(m.T, m.target, m.repo, "1", m.list.Children[0])
		failed := harness.MustFail(m.T, m.Env, 1, []string{"importing " + m.from, "--force"}, "docker", "multiarch", "import", "-a", source, m.to)
		says(m.T, failed.Stdout, m.to+":1.2 with digest: ")
		m.imports("-a", "--force", "-q", source, m.to)
		for _, tag := range []string{"1", "1.1", "1.2", "2.0"} {
			harness.Complete(m.T, m.target, m.repo, tag)
		}
	})
}

// Within a registry blobs are mounted, or sent if the registry does not mount them.
func TestImportWithinARegistry(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		m.imports(m.from, m.to)
		var r harness.Result
		requests := harness.Requests(m.T, m.target, func() { r = m.imports(m.to+":1", m.to+"/copy:2") })
		if r.Stdout == "" || m.target.Kind != harness.Crane && slices.ContainsFunc(requests, func(r servers.Request) bool { return strings.Contains(r.Path, "digest=") }) {
			m.Errorf("got stdout %q and requests %v, want the digest and no upload", r.Stdout, requests)
		}
		if m.target.Kind != harness.Crane {
			says(m.T, r.Stderr, "20 mounted")
		}
		harness.Complete(m.T, m.target, m.repo+"/copy", "2")
	})
}

// Referrers of a list and of its images are copied, and listed by the tag scheme if the registries have no API for
// it; existing entries in the target are kept.
func TestImportReferrers(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		image := m.list.Children[1]
		ofList, ofImage, cosign := images.Artifact("test/list", m.list), images.Artifact("test/image", image), images.Artifact("test/cosign", image)
		old := images.Artifact("test/old", m.list)
		harness.Put(m.T, m.registry, m.repo, images.DigestTag(m.list.Digest(), ""), images.Index(images.OCI, ofList))
		harness.Put(m.T, m.registry, m.repo, images.DigestTag(image.Digest(), ""), images.Index(images.OCI, ofImage))
		harness.Put(m.T, m.registry, m.repo, images.DigestTag(image.Digest(), ".sig"), cosign)
		harness.Put(m.T, m.target, m.repo, images.DigestTag(m.list.Digest(), ""), images.Index(images.OCI, old))
		r := m.imports("--referrers", m.from, m.to)
		m.arrives(r, "1", m.list.Digest())
		says(m.T, r.Stderr, "3 referrers and cosign tags, 3 of them new")
		for subject, want := range map[digest.Digest][]images.Manifest{m.list.Digest(): {old, ofList}, image.Digest(): {ofImage, cosign}} {
			harness.Complete(m.T, m.target, m.repo, images.DigestTag(subject, ""))
			index, err := harness.Get(m.T, m.target, m.repo, images.DigestTag(subject, "")).Index()
			same := func(d ocispec.Descriptor, w images.Manifest) bool { return d.Digest == w.Digest() }
			if err != nil || !slices.EqualFunc(index.Manifests, want, same) {
				m.Errorf("got referrers %v of %s (error %v), want %d", index.Manifests, subject, err, len(want))
			}
		}
		harness.Complete(m.T, m.target, m.repo, images.DigestTag(image.Digest(), ".sig"))
		again := harness.Requests(m.T, m.target, func() { m.imports("--referrers", m.from, m.to) })
		if w := writes(again); len(w) > 0 {
			m.Errorf("got writes %v of a second import, want none", w)
		}
	})
}

// A list that lists a referrer has it under the referrers tag, too, wherever it is copied.
func TestReferrersTagsAreKept(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		image := m.list.Children[0]
		artifact := images.Artifact("test/image", image)
		from := harness.Put(m.T, m.registry, m.repo, "signed", images.Index(images.OCI, image, artifact))
		m.imports(from, m.to)
		m.multiarch("create", "--push", m.to+"/pushed:1", m.to+":signed")
		m.multiarch("tag", "--remote", m.to+":signed", m.to+"/tagged:1")
		for _, repo := range []string{m.repo, m.repo + "/pushed", m.repo + "/tagged"} {
			tag := images.DigestTag(image.Digest(), "")
			harness.Complete(m.T, m.target, repo, tag)
			index, err := harness.Get(m.T, m.target, repo, tag).Index()
			if err != nil || len(index.Manifests) != 1 || index.Manifests[0].Digest != artifact.Digest() || index.Manifests[0].ArtifactType != "test/image" {
				m.Errorf("%s: got referrers %v (error %v), want %s", repo, index.Manifests, err, artifact.Digest())
			}
		}
	})
}

// A password for the source is read from standard input, and only sent to the source.
func TestImportSourceCredential(t *testing.T) {
	s := newScene(t, harness.V3)
	source := harness.NewRegistry(t, harness.RegistryOptions{User: loginUser, Password: loginSecret})
	image := images.Image(images.Spec{Seed: s.repo, Platform: amd64})
	from := harness.Put(t, source, s.repo, "1", image)
	args := []string{"multiarch", "import", "--src-username", loginUser, "--src-password-stdin", from, s.list}
	harness.MustFail(t, s.Env, 1, []string{"docker login " + source.Host, "401"}, "docker", "multiarch", "import", from, s.list)
	for secret, code := range map[string]int{"wrong-" + loginSecret: 1, "": 1, loginSecret + "\r\n": 0} {
		r := harness.RunInput(t, s.Env, strings.NewReader(secret), "docker", args...)
		if r.Code != code {
			t.Errorf("password %q: got exit code %d, want %d\n%s", secret, r.Code, code, r.Stderr)
		}
		saysNot(t, r.Stdout+r.Stderr, loginSecret, "docker login")
		if secret == "wrong-"+loginSecret {
			says(t, r.Stderr, "hint: check --src-username and the password on standard input, which are used for "+source.Host)
		}
	}
	harness.Complete(t, s.registry, s.repo, "1")
	// Within one registry the credential of the source reads, and the login writes: nothing is mounted.
	s.Login(t, source.Host, loginUser, loginSecret)
	args[len(args)-1] = source.Host + "/" + s.repo + "/copy"
	requests := harness.Requests(t, source, func() {
		if r := harness.RunInput(t, s.Env, strings.NewReader(loginSecret), "docker", args...); r.Code != 0 {
			t.Errorf("got exit code %d, want 0\n%s", r.Code, r.Stderr)
		}
	})
	if slices.ContainsFunc(requests, func(r servers.Request) bool { return strings.Contains(r.Path, "mount=") }) {
		t.Errorf("got requests %v, want no mount", requests)
	}
	harness.Complete(t, source, s.repo+"/copy", "1")
}

// tag --remote adds tags in a registry, without transferring a layer.
func TestTagRemote(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		m.imports(m.from, m.to)
		harness.Put(m.T, m.target, m.repo, "old", m.list.Children[0])
		var r harness.Result
		requests := harness.Requests(m.T, m.target, func() { r = m.multiarch("tag", "--remote", m.to+":1", m.to+":old") })
		m.arrives(r, "old", m.list.Digest())
		if len(requests) > 4 { // one is the challenge, one the look at the tag
			m.Errorf("got requests %v, want at most 4", requests)
		}
		r = m.multiarch("tag", "--remote", m.to+"@"+m.list.Digest().String(), m.to+":2", "3", m.to+"/copy:3")
		m.arrives(r, "3", m.list.Digest())
		harness.Complete(m.T, m.target, m.repo+"/copy", "3")
		m.refused([]string{"\"other:1\" is neither a tag nor a name with a registry", "hint: use a tag of " + m.to + ", such as 1, or the whole name: " + m.target.Host + "/other:1"},
			"tag", "--remote", m.to+":1", "other:1")
		m.refused([]string{m.from, "another registry", "docker multiarch import"}, "tag", "--remote", m.to+":1", m.from)
		m.refused([]string{m.to + ":none"}, "tag", "--remote", m.to+":none", m.to+":4")
	})
}

// A rate limit and a broken connection at any request are retried.
func TestImportSurvivesFaults(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter){
		"429": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"reset": func(w http.ResponseWriter) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newImportScene(t, harness.RegistryOptions{})
			m.target.Host = newFaulty(t, m.target, fault)
			from := newFaulty(t, m.registry, fault)
			m.to = m.target.Host + "/" + m.repo
			m.arrives(m.imports(from+"/"+m.repo+":1", m.to), "1", m.list.Digest())
		})
	}
}

// newFaulty starts a proxy for a registry that lets the first request of each kind fail, and returns its address.
func newFaulty(t *testing.T, r *servers.Registry, fault func(http.ResponseWriter)) string {
	proxy := newProxy(t, r)
	var seen sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := r.Method + fmt.Sprint(strings.Contains(r.URL.Path, "/blobs/"), strings.Contains(r.URL.Path, "/uploads/"))
		if _, before := seen.LoadOrStore(kind, true); !before {
			fault(w)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// Twenty concurrent imports succeed. Distribution 2.8 corrupts concurrent writes of one manifest, so there each
// import has its own repository.
func TestImportTwentyAtOnce(t *testing.T) {
	onEachTarget(t, func(m *importScene) {
		var group sync.WaitGroup
		for n := range 20 {
			to := m.repo
			if m.target.Kind == harness.V28 {
				to = fmt.Sprint(m.repo, "/", n)
			}
			group.Go(func() {
				r := harness.Run(m.T, m.Env, "docker", "multiarch", "import", "-q", m.from, m.target.Host+"/"+to)
				if r.Code != 0 || r.Stdout != m.list.Digest().String()+"\n" {
					m.Errorf("got exit code %d, want 0 and the digest\n%s%s", r.Code, r.Stdout, r.Stderr)
				}
				harness.Complete(m.T, m.target, to, "1")
			})
		}
		group.Wait()
	})
}

// An imported list can be pulled, each platform by its own digest.
func TestImportedListIsPulled(t *testing.T) {
	t.Parallel()
	m := newImportScene(t, harness.RegistryOptions{})
	m.useDaemon(harness.Daemon(t, harness.Containerd))
	m.imports(m.from, m.to)
	for _, child := range m.list.Children[:4] {
		p := child.Descriptor.Platform
		m.docker("pull", "-q", "--platform", p.OS+"/"+p.Architecture, m.to+":1")
		got := m.docker("image", "inspect", "--platform", p.OS+"/"+p.Architecture, "--format", "{{.Architecture}} {{json .RepoDigests}}", m.to+":1")
		says(t, got, p.Architecture, m.to+"@"+m.list.Digest().String())
		by := m.to + "@" + child.Digest().String()
		m.docker("pull", "-q", "--platform", p.OS+"/"+p.Architecture, by)
		says(t, m.docker("image", "inspect", "--format", "{{json .RepoDigests}}", by), by)
	}
	t.Cleanup(func() { harness.Run(t, m.Env, "docker", "image", "prune", "-af", "--filter", "label=none") })
}

// Responses of the source are checked and escaped before anything is written.
func TestImportFromAMisbehavingRegistry(t *testing.T) {
	child := func(d any, size int) string {
		return quoted(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": []any{
			map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": d, "size": size, "platform": map[string]string{"os": evil, "architecture": evil}},
		}})
	}
	for name, test := range map[string]struct {
		answer
		words []string
	}{
		"evil message":  {answer{status: http.StatusForbidden, body: refusal("DENIED", evil)}, []string{"403", `\x1b]0;title`}},
		"evil digest":   {answer{body: child(evil, 1)}, []string{`\x1b`}},
		"html":          {answer{contentType: "text/html", body: "<html>"}, []string{"text/html"}},
		"evil platform": {answer{body: child(digest.FromString("x"), 1)}, nil},
		"no method":     {answer{status: http.StatusMethodNotAllowed}, []string{"405"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newImportScene(t, harness.RegistryOptions{})
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			bad := strings.TrimPrefix(server.URL, "http://") + "/app:1"
			for _, args := range [][]string{{bad, m.to}, {"--referrers", "--platform", "linux/amd64", bad, m.to}} {
				r := m.fails(append(test.words, bad), args...)
				if i := strings.IndexAny(r.Stderr, "\x1b\x07\r\u202e"); i >= 0 {
					t.Errorf("got a control character at byte %d of stderr: %q", i, r.Stderr)
				}
			}
		})
	}
}
