package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// untagsAlone reports whether the registry can remove a tag without its manifest.
func (s *scene) untagsAlone() bool { return s.registry.Kind != harness.V28 }

// tagsAre checks the tags of the repository.
func (s *scene) tagsAre(want ...string) {
	s.Helper()
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(harness.Tags(s.T, s.registry, s.repo))); !slices.Equal(got, want) {
		s.Errorf("got tags %v, want %v", got, want)
	}
}

// putIndex puts an attested index of two images under a tag.
func (s *scene) putIndex(tag string, created time.Time) images.Manifest {
	s.Helper()
	oci := func(arch string) images.Manifest {
		p := amd64
		p.Architecture = arch
		return images.Image(images.Spec{Seed: s.repo + tag, Platform: p, Format: images.OCI, Created: created})
	}
	index := images.Attested(oci("amd64"), oci("arm64"))
	harness.Put(s.T, s.registry, s.repo, tag, index)
	return index
}

// absent checks that neither m nor anything below it exists.
func (s *scene) absent(m images.Manifest) {
	s.Helper()
	harness.Absent(s.T, s.registry, s.repo, m.Digest().String())
	for _, child := range m.Children {
		s.absent(child)
	}
}

// Untagging removes only the tag, not the manifest and its other tags.
func TestRepoUntag(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		image := s.put(s.repo, "a", images.Spec{Platform: amd64})
		harness.Put(s.T, s.registry, s.repo, "b", image)
		index := s.putIndex("c", time.Time{})
		args := []string{"repo", "untag", s.name("a"), s.name("none"), s.name("c")}
		if !s.untagsAlone() {
			s.refused([]string{"does not remove a tag without its manifest", "--via-placeholder", "nothing was removed"}, args...)
			args = append(args, "--via-placeholder")
		}
		record := filepath.Join(s.Home, "record")
		r := s.ends(1, []string{s.name("none"), "404"}, append(args, "--record", record)...)
		if want := "Untagged " + s.name("a") + "\nUntagged " + s.name("c") + "\n"; r.Stdout != want {
			s.Errorf("got stdout %q, want %q", r.Stdout, want)
		}
		s.tagsAre("b")
		harness.Complete(s.T, s.registry, s.repo, "b")
		harness.Complete(s.T, s.registry, s.repo, index.Digest().String())
		says(s.T, s.multiarch("repo", "restore", record).Stdout, "Restored "+s.name("c"), "Restored "+s.name("a"))
		s.tagsAre("a", "b", "c")
		s.refused([]string{"is a manifest, not a tag"}, "repo", "untag", s.registry.Host+"/"+s.repo+"@"+index.Digest().String())
	})
}

// A manifest is deleted with all its tags, which the prompt names.
func TestRepoRm(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		image := s.put(s.repo, "a", images.Spec{Platform: amd64})
		harness.Put(s.T, s.registry, s.repo, "b", image)
		s.put(s.repo, "c", images.Spec{Platform: arm64})
		rm := []string{"multiarch", "repo", "rm", s.name("a")}
		for _, no := range []string{"n\n", ""} {
			r := harness.RunInput(s.T, s.Env, strings.NewReader(no), "docker", rm...)
			if r.Code != 1 {
				s.Errorf("not confirmed, without a terminal: got exit code %d, want 1", r.Code)
			}
			says(s.T, r.Stderr, "nothing was removed", "hint: to remove without confirmation: --force")
			says(s.T, r.Stdout, "the image "+s.registry.Host+"/"+s.repo+"@"+image.Digest().String()+" (", "), tagged "+s.name("a")+", "+s.name("b"))
			s.tagsAre("a", "b", "c")
		}
		says(s.T, s.multiarch("repo", "rm", "--dry-run", s.name("a")).Stdout, "ACTION", "delete    image", "a, b")
		s.tagsAre("a", "b", "c")
		record := filepath.Join(s.Home, "record")
		r := harness.RunInput(s.T, s.Env, strings.NewReader("y\n"), "docker", append(rm, "--record", record)...)
		says(s.T, r.Stderr, "removed 2 tags and 1 manifests")
		says(s.T, r.Stdout, "Untagged "+s.name("a")+"\n", "Untagged "+s.name("b")+"\n", "Deleted "+s.registry.Host+"/"+s.repo+"@"+image.Digest().String()+"\n")
		s.tagsAre("c")
		s.absent(image)
		s.multiarch("repo", "restore", record)
		s.tagsAre("a", "b", "c")
		s.multiarch("repo", "rm", "-f", s.name("a"))
		s.ends(1, []string{s.name("a"), "404"}, "repo", "rm", "-f", s.name("a"), s.name("c"))
		s.tagsAre()
	})
}

// A child of an index cannot be removed on its own; with the index it is removed, unless another tag needs it.
func TestRepoRmOfAnIndex(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		index := s.putIndex("1", time.Time{})
		arm := index.Children[1]
		harness.Put(s.T, s.registry, s.repo, "arm", arm)
		at := s.registry.Host + "/" + s.repo + "@"
		s.refused([]string{"is kept: " + s.name("1") + " needs it", "repo untag"}, "repo", "rm", "-f", s.name("arm"))
		s.refused([]string{"is kept: " + s.name("1") + " needs it"}, "repo", "rm", "-f", at+index.Children[0].Digest().String())
		s.multiarch("repo", "rm", "-f", s.name("1"))
		s.tagsAre("arm")
		for _, child := range index.Children {
			harness.Complete(s.T, s.registry, s.repo, child.Digest().String())
		}
		index = s.putIndex("1", time.Time{})
		r := s.multiarch("repo", "rm", "-f", "--recursive", at+index.Digest().String())
		if n := strings.Count(r.Stdout, "Deleted "); n != 3 {
			s.Errorf("got %d deleted manifests, want 3:\n%s", n, r.Stdout)
		}
		s.tagsAre("arm")
		harness.Complete(s.T, s.registry, s.repo, "arm")
		harness.Complete(s.T, s.registry, s.repo, index.Children[3].Digest().String()) // its attestation
		s.absent(index.Children[0])
		s.absent(index.Children[2])
	})
}

// A purge lists what it would remove; with --force it removes that, and the record can restore it.
func TestRepoPurge(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		long, now := time.Now().AddDate(0, 0, -40), time.Now()
		old := s.putIndex("pr-1", long)
		young, unknown := s.putIndex("pr-2", now), s.putIndex("pr-3", time.Time{})
		harness.Put(s.T, s.registry, s.repo, "keep-amd64", old.Children[0])
		repo := s.registry.Host + "/" + s.repo
		args := []string{"repo", "purge", "--filter", "pr-*", "--older-than", "30d", "-r", repo}
		before := harness.Tags(s.T, s.registry, s.repo)
		dry := s.multiarch(args...)
		says(s.T, dry.Stdout, "ACTION", "delete", "pr-1", "5 weeks ago", old.Digest().Encoded()[:12])
		says(s.T, dry.Stderr, "3 of 4 tags match; 1 tags and 3 manifests to remove", "Nothing was removed; to remove this, pass --force", "keeping tags and manifests of unknown age: pr-3")
		var row struct {
			Action, Kind, Digest string
			Tags                 []string
			Created              time.Time
		}
		lines := strings.Split(strings.TrimSpace(s.multiarch(append(args, "--format", "json")...).Stdout), "\n")
		if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || len(lines) != 3 ||
			row.Action != "delete" || row.Kind != "index" || !slices.Equal(row.Tags, []string{"pr-1"}) || row.Digest != old.Digest().String() || !row.Created.Equal(long) {
			s.Errorf("got row %+v of %d (error %v), want the index of pr-1 of 3", row, len(lines), err)
		}
		says(s.T, s.multiarch(append(args, "-q")...).Stdout, s.name("pr-1")+"\n"+repo+"@"+old.Digest().String()+"\n")
		s.tagsAre(slices.Collect(maps.Keys(before))...)
		record := filepath.Join(s.Home, "record")
		r := s.multiarch(append(args, "--force", "--record", record)...)
		says(s.T, r.Stdout, "Untagged "+s.name("pr-1")+"\n", "Deleted "+repo+"@"+old.Digest().String()+"\n")
		s.tagsAre("pr-2", "pr-3", "keep-amd64")
		for _, m := range []images.Manifest{young, unknown, old.Children[0], old.Children[2]} {
			harness.Complete(s.T, s.registry, s.repo, m.Digest().String())
		}
		s.absent(old.Children[1])
		s.absent(old.Children[3])
		says(s.T, s.multiarch("repo", "restore", record).Stdout, "Restored "+s.name("pr-1"))
		if now := harness.Tags(s.T, s.registry, s.repo); !maps.Equal(now, before) {
			s.Errorf("got tags %v, want %v", now, before)
		}
		harness.Complete(s.T, s.registry, s.repo, "pr-1")
		says(s.T, s.multiarch("repo", "purge", "--filter", "pr-1", repo).Stderr, "2 manifests below them are left without a tag; --recursive removes these, too")
		r = s.multiarch(append(args, "--force", "--format", "json")...)
		if got := strings.Split(strings.TrimSpace(r.Stdout), "\n"); !slices.Equal(got, lines) {
			s.Errorf("got rows\n%s\nof what was removed, want those of the plan\n%s", r.Stdout, strings.Join(lines, "\n"))
		}
		says(s.T, r.Stderr, repo+": removed 1 tags and 3 manifests, which frees up to ")
	})
}

// A purge of all repositories that match, and one that keeps the manifests.
func TestRepoPurgeOfRepositories(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		for _, path := range []string{"/a", "/b"} {
			for _, tag := range []string{"old", "kept"} {
				s.put(s.repo+path, tag, images.Spec{Platform: amd64, Seed: path + tag})
			}
		}
		old := harness.Get(s.T, s.registry, s.repo+"/b", "old")
		args := []string{"repo", "purge", "--filter", "old", "--keep-manifests", "--repositories", "regex:" + s.repo + "/.*", s.registry.Host}
		dry := s.multiarch(args...)
		says(s.T, dry.Stdout, "REPOSITORY", s.registry.Host+"/"+s.repo+"/a", "untag")
		says(s.T, dry.Stderr, s.repo+"/b: 1 of 2 tags match; 1 tags and 0 manifests to remove", s.registry.Host+" may not remove tags without their manifests")
		if !s.untagsAlone() {
			s.refused([]string{"does not remove a tag without its manifest", "nothing was removed from " + s.registry.Host + "/" + s.repo + "/b"}, append(args, "--force")...)
			args = slices.DeleteFunc(args, func(arg string) bool { return arg == "--keep-manifests" })
		}
		s.multiarch(append(args, "--force")...)
		for _, path := range []string{"/a", "/b"} {
			harness.Absent(s.T, s.registry, s.repo+path, "old")
			harness.Get(s.T, s.registry, s.repo+path, "kept")
		}
		if s.untagsAlone() {
			harness.Get(s.T, s.registry, s.repo+"/b", old.Digest.String())
		}
	})
}

// A tag of a shared manifest is removed on its own if the registry can do that; otherwise an error says so before
// anything is removed.
func TestRepoPurgeOfSharedManifests(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		image := s.put(s.repo, "keep", images.Spec{Platform: amd64})
		harness.Put(s.T, s.registry, s.repo, "old-1", image)
		gone := s.put(s.repo, "old-2", images.Spec{Platform: arm64})
		args := []string{"repo", "purge", "-f", "--filter", "regex:old-[0-9]", s.registry.Host + "/" + s.repo}
		if !s.untagsAlone() {
			s.refused([]string{s.name("old-1") + " shares its manifest", "--via-placeholder", "nothing was removed"}, args...)
			s.multiarch("repo", "untag", "--via-placeholder", s.name("old-1"))
		}
		s.multiarch(args...)
		s.tagsAre("keep")
		harness.Complete(s.T, s.registry, s.repo, "keep")
		s.absent(gone)
	})
}

// The newest tags are kept, by name or time.
func TestRepoPurgeKeeps(t *testing.T) {
	for by, want := range map[string][]string{"name": {"v9", "v10"}, "time": {"v8", "v10"}} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			for i, tag := range []string{"v9", "v8", "v10"} {
				s.put(s.repo, tag, images.Spec{Platform: amd64, Created: time.Now().AddDate(0, 0, i-9)})
			}
			s.multiarch("repo", "purge", "--all", "--keep", "2", "--orderby", by, "--force", s.registry.Host+"/"+s.repo)
			s.tagsAre(want...)
		})
	}
}

// A purge that --max-deletes stops removes whole indexes, says what is left, and succeeds.
func TestRepoPurgeStops(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		old := []images.Manifest{s.putIndex("old-1", time.Time{}), s.putIndex("old-2", time.Time{})}
		s.put(s.repo, "keep", images.Spec{Platform: arm64})
		args := []string{"repo", "purge", "--force", "-r", "--filter", "old-*", "--max-deletes", "7", "--max-time", "1h", s.registry.Host + "/" + s.repo}
		says(s.T, s.multiarch(args...).Stderr, "1 tags and 5 manifests are left")
		s.tagsAre("keep", "old-2")
		harness.Complete(s.T, s.registry, s.repo, "old-2")
		saysNot(s.T, s.multiarch(args...).Stderr, "left")
		s.tagsAre("keep")
		for _, index := range old {
			s.absent(index)
		}
	})
}

// Invalid or impossible purges are errors, and nothing changes.
func TestRepoPurgeRefuses(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		s.put(s.repo, "a", images.Spec{Platform: amd64})
		s.put(s.repo, "b", images.Spec{Platform: arm64})
		repo := s.registry.Host + "/" + s.repo
		for _, test := range []struct {
			words, args []string
		}{
			{[]string{"--filter", "--all"}, []string{repo}},
			{[]string{"--filter", "--all"}, []string{repo, "--older-than", "30d"}},
			{[]string{"all 2 tags match", "--all"}, []string{repo, "--filter", "*"}},
			{[]string{"all 2 tags match", "--all"}, []string{repo, "--filter", "*", "--older-than", "1h"}},
			{[]string{"lists only tags", "nothing was removed"}, []string{repo, "--untagged"}},
			{[]string{repo + "/none", "404", "nothing was removed"}, []string{repo + "/none", "--all"}},
			{[]string{"as in " + repo}, []string{repo + ":a", "--all"}},
		} {
			s.refused(test.words, append([]string{"repo", "purge", "-f"}, test.args...)...)
		}
		s.refusedWith(125, []string{"is not a pattern"}, "repo", "purge", "-f", "--filter", "[", repo)
		for _, age := range []string{"", "0d", "-1d", "d7", "12h1d", "one day", "2999-01-01T00:00:00Z"} {
			harness.MustFail(s.T, s.Env, 125, []string{"older-than"}, "docker", "multiarch", "repo", "purge", "-f", "--all", "--older-than", age, repo)
		}
		r := s.multiarch("repo", "purge", "-f", "--filter", "no*", repo)
		says(s.T, r.Stderr, "0 of 2 tags match")
		s.tagsAre("a", "b")
	})
}

// newRefusing starts a proxy for the scene's registry that refuses deletions, and returns the repository in it.
func (s *scene) newRefusing(status int, refuses func(*http.Request) bool, message string) string {
	proxy := newProxy(s.T, s.registry)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && refuses(r) {
			challenge := map[string]string{"WWW-Authenticate": `Basic realm="r"`}
			answer{status: status, header: challenge, body: refusal("DENIED", message)}.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	s.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/" + s.repo
}

// A registry that cannot delete, or refuses that to this account, is an error before anything changes, with its
// message escaped.
func TestRepoWithoutDeletion(t *testing.T) {
	for _, status := range []int{401, 403, 405, 501} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			repo := s.newRefusing(status, isAny, "no \x1b[31mdeletion\x07 here")
			s.put(s.repo, "a", images.Spec{Platform: amd64})
			s.put(s.repo, "b", images.Spec{Platform: arm64})
			words := []string{strconv.Itoa(status), "nothing was removed", `no \x1b[31mdeletion\a here`}
			for _, args := range [][]string{
				{"purge", "-f", "--filter", "a", repo}, {"rm", "-f", repo + ":a"}, {"untag", repo + ":a"}, {"untag", "--via-placeholder", repo + ":a"},
			} {
				s.refused(words, append([]string{"repo"}, args...)...)
			}
		})
	}
}

// A manifest that the registry refuses to delete is reported and keeps what it needs; the others are removed. One
// that the registry claims not to have does not count as removed.
func TestRepoPurgeContinues(t *testing.T) {
	for _, status := range []int{401, 403, 404, 405, 409} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			locked := s.putIndex("old-1", time.Time{})
			s.put(s.repo, "old-2", images.Spec{Platform: arm64})
			s.put(s.repo, "keep", images.Spec{Platform: amd64})
			refuses := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, locked.Digest().String()) }
			repo := s.newRefusing(status, refuses, "locked")
			r := s.ends(1, []string{repo + ":old-1", "locked"}, "repo", "purge", "-f", "-r", "--filter", "old-*", repo)
			says(t, r.Stdout, "Untagged "+repo+":old-2")
			saysNot(t, r.Stdout, "old-1")
			s.tagsAre("old-1", "keep")
			harness.Complete(t, s.registry, s.repo, "old-1")
		})
	}
}

// An interrupted purge has recorded what it was about to delete, and deletes nothing else.
func TestRepoPurgeInterrupted(t *testing.T) {
	s := newScene(t, harness.V3)
	index := s.putIndex("old", time.Time{})
	s.put(s.repo, "keep", images.Spec{Platform: arm64})
	g := newGate(t, s.registry, func(r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, index.Digest().String())
	})
	record := filepath.Join(s.Home, "record")
	r := s.start("repo", "purge", "-f", "-r", "--filter", "old", "--record", record, g.Host+"/"+s.repo)
	s.await(g)
	if err := receivers["group"](r.cmd); err != nil {
		t.Fatal(err)
	}
	r.ends(130)
	says(t, r.stderr.String(), "To restore what was removed: docker multiarch repo restore "+record+"\n")
	s.tagsAre("old", "keep")
	harness.Complete(t, s.registry, s.repo, "old")
	written, err := os.ReadFile(record)
	if err != nil || strings.Count(string(written), "\n") != 1 || !strings.Contains(string(written), index.Digest().String()) {
		t.Errorf("got record %s (error %v), want a line for %s", written, err, index.Digest())
	}
}

// What is pushed during a purge is kept, with all it needs.
func TestRepoPurgeDuringPush(t *testing.T) {
	s := newScene(t, harness.V3)
	s.registry = harness.NewRegistry(t, harness.RegistryOptions{})
	index := s.putIndex("old", time.Time{})
	other := s.put(s.repo, "old-2", images.Spec{Platform: riscv64})
	s.put(s.repo, "keep", images.Spec{Platform: arm64})
	var lists atomic.Int32
	g := newGate(t, s.registry, func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/tags/list") && lists.Add(1) == 2
	})
	repo := g.Host + "/" + s.repo
	r := s.start("repo", "purge", "-f", "-r", "--filter", "old*", repo)
	s.await(g)
	harness.Put(t, s.registry, s.repo, "new", index.Children[1])
	harness.Put(t, s.registry, s.repo, "old-2", index.Children[0])
	g.open()
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("got %v from the purge, want success\n%s", err, &r.stderr)
	}
	says(t, r.stderr.String(), repo+":new is new: keeping it", repo+":old-2 now points to "+index.Children[0].Digest().String()+", not to")
	s.tagsAre("keep", "new", "old-2")
	harness.Complete(t, s.registry, s.repo, "new")
	harness.Complete(t, s.registry, s.repo, "old-2")
	harness.Complete(t, s.registry, s.repo, other.Digest().String())
	harness.Absent(t, s.registry, s.repo, index.Digest().String())
}

// An invalid manifest stops a purge, and can be removed by name.
func TestRepoRmOfInvalidManifest(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	invalid := s.put(s.repo, "old", images.Spec{Platform: amd64})
	s.put(s.repo, "new", images.Spec{Platform: arm64})
	proxy := newProxy(t, s.registry)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, "/manifests/old") || strings.HasSuffix(r.URL.Path, invalid.Digest().String())) {
			header := map[string]string{"Docker-Content-Digest": invalid.Digest().String()}
			answer{status: 200, header: header, body: `{"schemaVersion":1,"fsLayers":[]}`}.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	repo := strings.TrimPrefix(server.URL, "http://") + "/" + s.repo
	s.refused([]string{"reading " + repo + ":old", "nothing was removed"}, "repo", "purge", "-f", "--filter", "new", repo)
	s.refused([]string{"reading " + repo + ":old", "nothing was removed"}, "repo", "rm", "-f", repo+":new")
	s.multiarch("repo", "rm", "-f", "-r", repo+":old")
	s.tagsAre("new")
	harness.Absent(t, s.registry, s.repo, invalid.Digest().String())
}

// A tag that the registry lists and answers 404 for may need anything: neither purge nor rm -r removes something.
func TestRepoPurgeOfListedTagThatAnswers404(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	index := s.putIndex("stable", time.Time{})
	for i, tag := range []string{"old-1", "old-2"} {
		harness.Put(t, s.registry, s.repo, tag, index.Children[i])
	}
	proxy := newProxy(t, s.registry)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete && strings.HasSuffix(r.URL.Path, "/manifests/stable") {
			answer{status: 404, body: refusal("MANIFEST_UNKNOWN", "manifest unknown")}.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	repo := strings.TrimPrefix(server.URL, "http://") + "/" + s.repo
	words := []string{"answers 404", repo + ":stable", "nothing was removed", "--assume-gone", "hint: docker multiarch repo untag " + repo + ":stable"}
	s.refused(words, "repo", "purge", "-r", "--force", "--filter", "old-*", repo)
	s.refused(words, "repo", "purge", "-r", "--filter", "old-*", repo)
	s.refused(words, "repo", "rm", "-r", "-f", repo+":old-1", repo+":old-2")
	s.tagsAre("stable", "old-1", "old-2")
	harness.Complete(t, s.registry, s.repo, "stable")
	r := s.multiarch("repo", "tags", repo) // a listing reports it and goes on
	says(t, r.Stdout, "stable", "(not in the registry)", "old-1")
	s.multiarch("repo", "purge", "-r", "--filter", "old-*", "--all", "--assume-gone", "stable", repo)
	s.multiarch("repo", "untag", repo+":stable") // as the hint says
	s.multiarch("repo", "purge", "-r", "--force", "--filter", "old-1", repo)
	s.tagsAre("old-2")
}

// Twenty concurrent purges do the same as one.
func TestRepoPurgeTwentyAtOnce(t *testing.T) {
	s := newScene(t, harness.V3)
	for i := range 10 {
		s.put(s.repo, fmt.Sprint("old-", i), images.Spec{Platform: amd64})
	}
	s.putIndex("keep", time.Time{})
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if r := harness.Run(t, s.Env, "docker", "multiarch", "repo", "purge", "-f", "-r", "--filter", "old-*", s.registry.Host+"/"+s.repo); r.Code != 0 {
				t.Errorf("got exit code %d, want 0\n%s%s", r.Code, r.Stdout, r.Stderr)
			}
		})
	}
	group.Wait()
	s.tagsAre("keep")
	harness.Complete(t, s.registry, s.repo, "keep")
}

// Shell completion offers the values of flags.
func TestRepoPurgeCompletion(t *testing.T) {
	s := newScene(t, harness.V3)
	s.offers([]string{"name", "time"}, "repo", "purge", "--orderby", "")
	s.offers([]string{"json", "table"}, "repo", "purge", "--format", "")
	s.offers([]string{"purge", "restore", "rm", "untag"}, "repo", "")
}
