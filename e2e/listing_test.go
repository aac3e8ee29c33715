package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// onOwnRegistry runs a test with each kind of registry, started for this test only: its catalog is known and its
// requests can be counted.
func onOwnRegistry(t *testing.T, test func(s *scene)) {
	eachRegistry(t, func(t *testing.T, o harness.RegistryOptions) {
		s := newScene(t, harness.V3)
		s.repo = "team/app"
		s.ownRegistry(o)
		test(s)
	})
}

// repository returns the target repository without a tag.
func (s *scene) repository() string { return s.registry.Host + "/" + s.repo }

// listed is an object of --format json.
type listed struct {
	Tag, Kind, Error string
	Digest           digest.Digest
	Tags             []string
	MediaType        string
	ArtifactType     string
	ImageSize        int64
	Created          *time.Time
	Platforms        []struct {
		Platform  string
		ImageSize int64
	}
	Children, Parents []digest.Digest
	Subject           digest.Digest
}

// objects decodes a JSON object from each line.
func objects(t *testing.T, text string) []listed {
	t.Helper()
	var out []listed
	for line := range strings.Lines(text) {
		var v listed
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, v)
	}
	return out
}

// refer puts an artifact that refers to subject under its digest tag.
func (s *scene) refer(subject images.Manifest, suffix string) digest.Digest {
	s.Helper()
	artifact := images.Artifact("application/x-signature", subject)
	harness.Put(s.T, s.registry, s.repo, images.DigestTag(subject.Digest(), suffix), artifact)
	return artifact.Digest()
}

// testRepo is the content that putTestRepo has put into the target repository.
type testRepo struct{ amd64, arm64, list, old, windows images.Manifest }

// putTestRepo puts a list with attestations, a tag for one of its images, and two images, one of them signed, into
// the target repository.
func putTestRepo(s *scene) (l testRepo) {
	s.Helper()
	made := time.Date(2024, 5, 2, 9, 31, 5, 0, time.UTC)
	l.amd64 = images.Image(images.Spec{Seed: s.repo, Platform: amd64, Format: images.OCI, Layers: 2, LayerSize: 1000, Created: made})
	l.arm64 = images.Image(images.Spec{Seed: s.repo, Platform: arm64, Format: images.OCI, Created: made.Add(time.Hour)})
	l.list = images.Attested(l.amd64, l.arm64)
	l.old = images.Image(images.Spec{Seed: s.repo, Platform: amd64, Created: made.Add(-time.Hour)})
	l.windows = images.Image(images.Spec{Seed: s.repo, Platform: windows})
	for tag, m := range map[string]images.Manifest{"1": l.list, "amd64": l.amd64, "old": l.old, "windows": l.windows} {
		harness.Put(s.T, s.registry, s.repo, tag, m)
	}
	s.refer(l.windows, ".sig")
	return l
}

// sizeOf returns the download size of an image.
func sizeOf(m images.Manifest) int64 {
	size := m.Descriptor.Size
	for _, b := range m.Blobs {
		size += b.Descriptor.Size
	}
	return size
}

func TestListingRepositories(t *testing.T) {
	onOwnRegistry(t, func(s *scene) {
		for _, repo := range []string{"team/b", "app", "team/a", "z/y/x"} {
			s.put(repo, "1", images.Spec{Platform: amd64})
		}
		host := s.registry.Host
		if got := s.multiarch("repo", "ls", host).Stdout; got != "app\nteam/a\nteam/b\nz/y/x\n" {
			s.Errorf("got repositories %q, want all of them in order", got)
		}
		if got := s.multiarch("repo", "ls", "--filter", "team/*", "--format", "{{.Name}}", host).Stdout; got != host+"/team/a\n"+host+"/team/b\n" {
			s.Errorf("got repositories %q, want team/a and team/b", got)
		}
		says(s.T, s.multiarch("repo", "ls", "--format", "json", host).Stdout, `{"name":"`+host+`/app","repository":"app"}`+"\n")
		s.refused([]string{"ubuntu", "HOST[:PORT]"}, "repo", "ls", "ubuntu")
	})
}

func TestListingTags(t *testing.T) {
	onOwnRegistry(t, func(s *scene) {
		l := putTestRepo(s)
		r := s.multiarch("repo", "tags", "--format", "json", s.repository())
		got := objects(s.T, r.Stdout)
		want := []struct {
			tag, kind, platforms string
			of                   images.Manifest
			size                 int64
		}{
			{"1", "index", "linux/amd64 linux/arm64/v8", l.list, 0},
			{"amd64", "image", "linux/amd64", l.amd64, sizeOf(l.amd64)},
			{"old", "image", "linux/amd64", l.old, sizeOf(l.old)},
			{images.DigestTag(l.windows.Digest(), ".sig"), "artifact", "", images.Manifest{}, 0},
			{"windows", "image", "windows(10.0.26100.1742)/amd64", l.windows, sizeOf(l.windows)},
		}
		if len(got) != len(want) {
			s.Fatalf("got %d tags, want %d:\n%s", len(got), len(want), r.Stdout)
		}
		for i, w := range want {
			g := got[i]
			var platforms []string
			for _, p := range g.Platforms {
				platforms = append(platforms, p.Platform)
			}
			if g.Tag != w.tag || g.Kind != w.kind || strings.Join(platforms, " ") != w.platforms || g.Created != nil {
				s.Errorf("got %+v, want %+v", g, w)
			}
			if w.kind != "artifact" && (g.Digest != w.of.Digest() || g.MediaType != w.of.Descriptor.MediaType || g.ImageSize != w.size) {
				s.Errorf("%s: got digest %s, media type %s and size %d, want %s, %s and %d", g.Tag, g.Digest, g.MediaType, g.ImageSize, w.of.Digest(), w.of.Descriptor.MediaType, w.size)
			}
		}
		if got[3].Subject != l.windows.Digest() || got[3].ArtifactType != "application/x-signature" {
			s.Errorf("got %+v, want a signature of %s", got[3], l.windows.Digest())
		}
		table := s.multiarch("repo", "tags", s.repository()).Stdout
		says(s.T, table, "TAG ", "DIGEST ", "PLATFORMS ", "SIZE", "\nold ", l.list.Digest().Encoded()[:12], "linux/amd64, linux/arm64/v8", "artifact ", "(application/x-signature)")
		if got := s.multiarch("repo", "tags", "--digest", l.amd64.Digest().String(), "-q", s.repository()).Stdout; got != "amd64\n" {
			s.Errorf("got tags %q of %s, want amd64", got, l.amd64.Digest())
		}
		newest := s.multiarch("repo", "tags", "--orderby", "time", "--top", "3", "--format", "{{.Tag}} {{.Created}}", s.repository()).Stdout
		if newest != "1 2024-05-02T10:31:05Z\namd64 2024-05-02T09:31:05Z\nold 2024-05-02T08:31:05Z\n" {
			s.Errorf("got newest tags %q, want 1, amd64 and old", newest)
		}
		says(s.T, s.multiarch("repo", "tags", "--orderby", "time", "--reverse", "--top", "2", s.repository()).Stdout, "CREATED\namd64 ", "ago\n1 ")
	})
}

// asks runs a command and returns its stdout and its requests, except for refused ones without a login.
func (s *scene) asks(args ...string) (stdout string, requests []string) {
	s.Helper()
	for _, r := range harness.Requests(s.T, s.registry, func() { stdout = s.multiarch(args...).Stdout }) {
		if r.Status != http.StatusUnauthorized {
			requests = append(requests, r.String())
		}
	}
	return stdout, requests
}

// A listing requests only what it shows.
func TestListingRequests(t *testing.T) {
	onOwnRegistry(t, func(s *scene) {
		putTestRepo(s)
		for _, tt := range []struct {
			requests int
			args     []string
		}{
			{0, []string{"tags", "--quiet"}},
			{0, []string{"tags", "--format", "{{.Tag}}", "--top", "2"}},
			{5, []string{"tags", "--format", "{{.Tag}} {{.Digest}}"}},
			{5, []string{"tags", "--format", "{{.Tag}} {{.Size}}"}},
			{5 + 3, []string{"tags"}},
			{2, []string{"tags", "--filter", "old"}},
			{1 + 2, []string{"tags", "--top", "2"}},
			{1, []string{"manifests", "-q", "--filter", "old"}},
			{1 + 4 + 2, []string{"manifests", "--filter", "1"}},
		} {
			args := append(append([]string{"repo"}, tt.args...), s.repository())
			_, got := s.asks(args...)
			got = slices.DeleteFunc(got, func(r string) bool {
				return !strings.Contains(r, "/manifests/") && !strings.Contains(r, "/blobs/")
			})
			if len(got) != tt.requests {
				s.Errorf("%q: got %d requests, want %d:\n%s", tt.args, len(got), tt.requests, strings.Join(got, "\n"))
			}
		}
	})
}

func TestListingManifests(t *testing.T) {
	onOwnRegistry(t, func(s *scene) {
		l := putTestRepo(s)
		r := s.multiarch("repo", "manifests", "--no-trunc", s.repository())
		says(s.T, r.Stderr, "manifests without a tag are not visible")
		var got []string
		for line := range strings.Lines(r.Stdout) {
			columns := strings.Fields(line)
			got = append(got, line[:len(line)-len(strings.TrimLeft(line, " "))]+columns[0])
		}
		att := l.list.Children[2:]
		want := []string{
			"DIGEST", l.list.Digest().String(), "  " + l.amd64.Digest().String(), "    " + att[0].Digest().String(),
			"  " + l.arm64.Digest().String(), "    " + att[1].Digest().String(), l.old.Digest().String(), l.windows.Digest().String(),
		}
		if len(got) != len(want)+1 || !slices.Equal(got[:len(want)], want) || !strings.HasPrefix(got[len(want)], "  sha256:") {
			s.Errorf("got\n%s\nwant the manifests %q and a signature", r.Stdout, want)
		}
		all := objects(s.T, s.multiarch("repo", "manifests", "--format", "json", s.repository()).Stdout)
		var total int64
		for _, m := range all[1:5] {
			total += m.ImageSize
		}
		list, child := all[0], all[1]
		if list.ImageSize != total+l.list.Descriptor.Size || list.Platforms[0].ImageSize != sizeOf(l.amd64) || list.Created == nil {
			s.Errorf("got list %+v, want a size of %d and a creation time", list, total+l.list.Descriptor.Size)
		}
		if !slices.Equal(child.Tags, []string{"amd64"}) || !slices.Equal(child.Parents, []digest.Digest{l.list.Digest()}) || all[2].Subject != l.amd64.Digest() {
			s.Errorf("got child %+v, want amd64 of %s", child, l.list.Digest())
		}
		harness.Put(s.T, s.registry, s.repo, "0", l.old) // the oldest has the first name
		newest := s.multiarch("repo", "manifests", "--orderby", "time", "--top", "1", "-q", s.repository()).Stdout
		if !strings.HasPrefix(newest, l.list.Digest().String()+"\n") || strings.Count(newest, "\n") != 5 {
			s.Errorf("got newest manifests, want %s and its children:\n%s", l.list.Digest(), newest)
		}
	})
}

func TestListingShow(t *testing.T) {
	onOwnRegistry(t, func(s *scene) {
		l := putTestRepo(s)
		referrer := s.refer(l.arm64, ".sbom")
		text := s.multiarch("repo", "show", s.list).Stdout
		says(s.T, text, "Name:        "+s.list+"\n", l.list.Digest().String(), "Kind:        index", "linux/arm64/v8  ", "Manifests:\nDIGEST",
			" attestation ", "Referrers:\nDIGEST", referrer.Encoded()[:12], "application/x-signature")
		for _, name := range []string{s.name("windows"), s.repository() + "@" + l.windows.Digest().String()} {
			text = s.multiarch("repo", "show", name).Stdout
			says(s.T, text, "Platform:  ", "windows(10.0.26100.1742)/amd64", "Layers:", "Referrers:\nDIGEST", "artifact ", "(application/x-signature)")
		}
		var shown struct {
			listed
			Manifests, Referrers []listed
		}
		if err := json.Unmarshal([]byte(s.multiarch("repo", "show", "--format", "json", s.list).Stdout), &shown); err != nil {
			s.Fatal(err)
		}
		if len(shown.Manifests) != 4 || len(shown.Referrers) != 1 || shown.Referrers[0].Digest != referrer || shown.Referrers[0].Subject != l.arm64.Digest() {
			s.Errorf("got %+v, want 4 manifests and the referrer %s", shown, referrer)
		}
		s.refused([]string{s.name("none"), "hint: docker multiarch repo tags " + s.repository()}, "repo", "show", s.name("none"))
	})
}

// An absent repository is an error, an empty one is not.
func TestListingAbsentAndEmptyRepositories(t *testing.T) {
	onOwnRegistry(t, func(s *scene) {
		only := s.put(s.repo, "1", images.Spec{Platform: amd64})
		for _, command := range []string{"tags", "manifests"} {
			s.refused([]string{"no such repository: " + s.registry.Host + "/none", "repo ls " + s.registry.Host}, "repo", command, s.registry.Host+"/none")
		}
		if err := s.registry.Delete(s.Context(), s.repo, only.Digest()); err != nil {
			s.Fatal(err)
		}
		if s.registry.Kind == harness.Crane { // keeps the tags of a deleted manifest
			if err := s.registry.Delete(s.Context(), s.repo, "1"); err != nil {
				s.Fatal(err)
			}
		}
		for _, command := range []string{"tags", "manifests"} {
			if got := s.multiarch("repo", command, s.repository()).Stdout; strings.Count(got, "\n") != 1 {
				s.Errorf("%s: got %q for an empty repository, want only the header", command, got)
			}
		}
	})
}

func TestListingLoginIsMissing(t *testing.T) {
	s := newScene(t, harness.V3)
	s.registry = harness.NewRegistry(t, harness.RegistryOptions{User: loginUser, Password: loginSecret})
	for _, secret := range []string{"", "wrong-" + loginSecret} {
		if secret != "" {
			s.Login(t, s.registry.Host, loginUser, secret)
		}
		for _, args := range [][]string{{"ls", s.registry.Host}, {"tags", s.repository()}, {"manifests", s.repository()}, {"show", s.name("1")}} {
			r := s.refused([]string{"401", "docker login " + s.registry.Host}, append([]string{"repo"}, args...)...)
			saysNot(t, r.Stderr, loginSecret)
		}
	}
}

// manyTags is the number of tags of a large repository: more than one page.
const manyTags = 1200

// All tags of a large repository are listed, in order, and nothing is requested twice.
func TestListingManyTags(t *testing.T) {
	onOwnRegistry(t, func(s *scene) {
		if err := s.registry.PutTags(s.Context(), s.repo, manyTags); err != nil {
			s.Fatal(err)
		}
		const lists, pages = manyTags / 4, 3
		if _, asked := s.asks("repo", "tags", "-q", s.repository()); len(asked) > pages {
			s.Errorf("got %d requests for names, want at most %d: %q", len(asked), pages, asked)
		}
		text, asked := s.asks("repo", "tags", "--format", "json", s.repository())
		if len(asked) > manyTags+1+pages {
			s.Errorf("got %d requests for tags, want at most %d", len(asked), manyTags+1+pages)
		}
		tags := objects(s.T, text)
		text, asked = s.asks("repo", "manifests", "--format", "json", s.repository())
		if len(asked) > manyTags+lists*2+3+pages { // a challenge, the configs, and whether there is a referrers API
			s.Errorf("got %d requests for manifests, want at most %d", len(asked), manyTags+lists*2+3+pages)
		}
		manifests := objects(s.T, text)
		if len(tags) != manyTags || !slices.IsSortedFunc(tags, func(a, b listed) int { return strings.Compare(a.Tag, b.Tag) }) {
			s.Errorf("got %d tags, want %d in order", len(tags), manyTags)
		}
		for i, tag := range tags {
			want := []string{"index", "linux/amd64 linux/arm64"}
			if i%4 > 0 {
				want = []string{"image", "linux/amd64"}
			}
			var platforms []string
			for _, p := range tag.Platforms {
				platforms = append(platforms, p.Platform)
			}
			if tag.Tag != fmt.Sprintf("t%05d", i) || tag.Kind != want[0] || strings.Join(platforms, " ") != want[1] {
				s.Fatalf("tag %d: got %+v, want %q", i, tag, want)
			}
		}
		seen := map[digest.Digest]bool{}
		for _, m := range manifests {
			seen[m.Digest] = true
		}
		if len(manifests) != manyTags+lists*2 || len(seen) != len(manifests) {
			s.Errorf("got %d manifests, %d of them different, want %d", len(manifests), len(seen), manyTags+lists*2)
		}
	})
}

// A misbehaving registry neither ends a listing nor controls the terminal.
func TestListingOddTags(t *testing.T) {
	s := newScene(t, harness.V3)
	good := s.put(s.repo, "good", images.Spec{Platform: amd64})
	proxy := newProxy(t, s.registry)
	answers := map[string]answer{
		"gone":    {status: http.StatusNotFound, body: refusal("MANIFEST_UNKNOWN", evil)},
		"schema1": {body: `{"schemaVersion":1,"fsLayers":[]}`},
		"unknown": {contentType: "application/" + evil, body: `{"mediaType":"application/x-` + strings.Repeat("x", 2000) + `"}`},
		"denied":  {status: http.StatusForbidden, body: refusal("DENIED", evil)},
		"evil": {contentType: ocispec.MediaTypeImageIndex, body: quoted(ocispec.Index{
			Manifests:   []ocispec.Descriptor{{Digest: good.Digest(), Platform: &ocispec.Platform{OS: evil, Architecture: evil}}},
			Annotations: map[string]string{evil: evil}, ArtifactType: evil,
		})},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if a, ok := answers[name]; ok {
			a.ServeHTTP(w, r)
		} else if name == "list" {
			fmt.Fprint(w, `{"tags":["good","gone","schema1","unknown","denied","evil","good"]}`)
		} else {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	repo := strings.TrimPrefix(server.URL, "http://") + "/" + s.repo
	for _, args := range [][]string{{"tags"}, {"manifests"}, {"tags", "--format", "json"}, {"manifests", "--format", "json"}} {
		r := harness.Run(t, s.Env, "docker", append(append([]string{"multiarch", "repo"}, args...), repo)...)
		if r.Code != 1 || strings.ContainsAny(r.Stdout+r.Stderr, "\x1b\x07\r\u202e") || len(r.Stderr) > 4000 {
			t.Errorf("%q: got exit code %d, want 1 and no control characters\n%q", args, r.Code, r.Stdout+r.Stderr)
		}
		says(t, r.Stdout, "good", "gone", "schema1", "unknown", "denied", "not in the registry")
		says(t, r.Stderr, "could not be read", "schema 1", "403")
		saysNot(t, r.Stderr, "gone")
	}
	if r := s.multiarch("repo", "tags", "--filter", "go*", repo); strings.Count(r.Stdout, "\n") != 3 {
		t.Errorf("got tags, want good and gone:\n%s", r.Stdout)
	}
}

// A registry that allows fewer names per page than are requested refuses the request, and its own links to other pages.
// Nothing is missing from its listings, and a purge keeps what a tag on a later page needs.
func TestListingOfShortPages(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{3, 50} {
		s := newScene(t, harness.V3)
		s.repo = "team/app"
		s.ownRegistry(harness.RegistryOptions{MaxEntries: limit})
		var repos, tags []string
		for i := range 2*limit + 2 {
			repos = append(repos, fmt.Sprintf("repo-%03d", i))
			s.put(repos[i], "1", images.Spec{Platform: amd64})
			tags = append(tags, fmt.Sprintf("t%03d", i))
			s.put(s.repo, tags[i], images.Spec{Platform: amd64, Seed: fmt.Sprint(i % (2*limit + 1))}) // the last is the first
		}
		if got := strings.Fields(s.multiarch("repo", "ls", s.registry.Host).Stdout); !slices.Equal(got[len(got)-len(repos)-1:], append(repos, s.repo)) {
			t.Errorf("limit %d: got repositories %q, want %q", limit, got, append(repos, s.repo))
		}
		if got := strings.Fields(s.multiarch("repo", "tags", "-q", s.repository()).Stdout); !slices.Equal(got, tags) {
			t.Errorf("limit %d: got tags %q, want %q", limit, got, tags)
		}
		r := s.multiarch("repo", "purge", "--force", "--filter", tags[0], s.repository())
		says(t, r.Stdout, "Untagged "+s.repository()+":"+tags[0])
		saysNot(t, r.Stdout, "Deleted")
	}
}

// A registry without a catalog, or with an invalid one, is an error that explains it.
func TestListingWithoutCatalog(t *testing.T) {
	s := newScene(t, harness.V3)
	for name, tt := range map[string]struct {
		answer answer
		words  []string
	}{
		"404":  {answer{status: http.StatusNotFound, body: "404 page not found"}, []string{"does not list its repositories", "no catalog", "repo tags"}},
		"405":  {answer{status: http.StatusMethodNotAllowed, body: refusal("UNSUPPORTED", evil)}, []string{"does not list its repositories"}},
		"401":  {answer{status: http.StatusUnauthorized, body: refusal("UNAUTHORIZED", evil)}, []string{"only for administrators", "docker login"}},
		"403":  {answer{status: http.StatusForbidden, body: refusal("DENIED", evil)}, []string{"only for administrators"}},
		"junk": {answer{body: "<html>" + evil}, []string{"catalog of", "cannot be read"}},
		"away": {answer{header: map[string]string{"Link": `<https://evil.invalid/v2/_catalog>; rel="next"`}, body: `{"repositories":["a"]}`}, []string{"evil.invalid", "not on the registry"}},
	} {
		server := httptest.NewServer(tt.answer)
		t.Cleanup(server.Close)
		host := strings.TrimPrefix(server.URL, "http://")
		r := s.refused(append(tt.words, host), "repo", "ls", host)
		if strings.ContainsAny(r.Stderr, "\x1b\x07\r\u202e") {
			t.Errorf("%s: got a control character in stderr: %q", name, r.Stderr)
		}
	}
}

func TestInterruptDuringListing(t *testing.T) {
	for name, interrupt := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.put(s.repo, "1", images.Spec{Platform: amd64})
			s.put(s.repo, "2", images.Spec{Platform: amd64})
			for command, what := range map[string]string{"ls": "", "tags": "/" + s.repo, "manifests": "/" + s.repo, "show": "/" + s.repo + ":1"} {
				g := newGate(t, s.registry, func(r *http.Request) bool {
					return command == "ls" || strings.Contains(r.URL.Path, "/manifests/")
				})
				r := s.start("repo", command, g.Host+what)
				s.await(g)
				if err := interrupt(r.cmd); err != nil {
					t.Fatal(err)
				}
				r.ends(130)
				says(t, r.stderr.String(), "interrupted")
			}
		})
	}
}

// Twenty concurrent processes list the same.
func TestProcessesListConcurrently(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	for i := range 20 {
		s.put(s.repo, fmt.Sprintf("t%02d", i), images.Spec{Platform: amd64})
	}
	var jobs []*job
	for range 20 {
		jobs = append(jobs, &job{args: []string{"repo", "tags", s.repository()}})
	}
	s.together(jobs)
	for _, j := range jobs {
		if j.code != 0 || j.text != jobs[0].text || strings.Count(j.text, "\n") != 21 {
			t.Errorf("got exit code %d, want 0 and 20 tags\n%s", j.code, j.text)
		}
	}
}
