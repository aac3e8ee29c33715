package e2e

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// What each value of --purge leaves: the local list, and the tags in the registry. Debian's registry cannot remove a
// tag.
func TestPurge(t *testing.T) {
	for _, test := range []struct {
		flag       string
		list, tags bool
	}{
		{"--purge=false", true, true},
		{"--purge", false, true},
		{"-p", false, true},
		{"--purge=true", false, true},
		{"--purge=tags", false, false},
	} {
		for _, kind := range registryKinds {
			t.Run(strings.Trim(test.flag, "-")+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, kind)
				a := s.put(s.repo, "amd64", images.Spec{Platform: amd64})
				b := s.put(s.repo, "arm64", images.Spec{Platform: arm64})
				s.multiarch("create", s.list, s.name("amd64"), s.name("arm64"))
				r := s.multiarch("push", test.flag, s.list)
				s.pushedLast(r.Stdout, "1")
				s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
				if left := len(s.store()) > 0; left != test.list {
					t.Errorf("got a local list: %t, want %t", left, test.list)
				}
				want := []string{"1", "amd64", "arm64"}
				if !test.tags && kind == harness.V3 {
					want = []string{"1"}
				}
				if tags := slices.Sorted(maps.Keys(harness.Tags(t, s.registry, s.repo))); !slices.Equal(tags, want) {
					t.Errorf("got tags %v, want %v", tags, want)
				}
				if warned := strings.Contains(r.Stderr, "WARNING: keeping the tags of the images"); warned != (!test.tags && kind == harness.V28) {
					t.Errorf("got a warning: %t, want %t\n%s", warned, !warned, r.Stderr)
				}
			})
		}
	}
}

// --purge=tags keeps the list's own tags, tags that moved, and everything in other repositories.
func TestPurgeTagsKeepsOtherTags(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	own := s.put(s.repo, "1", images.Spec{Platform: amd64})
	b := s.put(s.repo, "arm64", images.Spec{Platform: arm64})
	c := s.put(s.repo, "riscv64", images.Spec{Platform: riscv64})
	latest := s.put(s.repo, "latest", images.Spec{Platform: windows})
	s.put(s.repo, "other", images.Spec{Seed: s.repo + s.repo + "arm64", Platform: arm64})
	d := s.put(s.repo+"/near", "1", images.Spec{Platform: i386})
	s.multiarch("create", s.list, s.list, s.name("arm64"), s.name("riscv64"), s.name("latest"), s.registry.Host+"/"+s.repo+"/near:1")
	moved := s.put(s.repo, "riscv64", images.Spec{Seed: "moved" + s.repo, Platform: riscv64})
	r := s.multiarch("push", "--purge=tags", "-t", "latest", s.list)
	says(t, r.Stderr, "WARNING: "+s.name("riscv64"), moved.Digest().String(), "Untagged "+s.name("arm64"))
	index := s.holds("1", "linux/amd64", "linux/arm64/v8", "linux/riscv64", "windows/amd64", "linux/386")
	s.holdsImages(index, own, b, c, latest, d)
	want := map[string]string{
		"other": b.Digest().String(), "riscv64": moved.Digest().String(),
		"1": harness.Get(t, s.registry, s.repo, "1").Digest.String(), "latest": harness.Get(t, s.registry, s.repo, "1").Digest.String(),
	}
	if tags := harness.Tags(t, s.registry, s.repo); !maps.Equal(tags, want) {
		t.Errorf("got tags %v, want %v", tags, want)
	}
	harness.Complete(t, s.registry, s.repo+"/near", "1")
}

// --purge=tags removes the staging tags of pending images, and the tag of an index of one image; a list of several
// platforms is a release, whose tag is kept.
func TestPurgeTagsRemovesStagingTagsAndIndexTags(t *testing.T) {
	onEachStore(t, func(s *scene) {
		a := s.load(s.plain("amd64"), amd64)
		b := images.Attested(images.Image(images.Spec{Seed: s.repo, Platform: arm64, Format: images.OCI}))
		c := images.Image(images.Spec{Seed: s.repo, Platform: riscv64, Format: images.OCI})
		d := images.Image(images.Spec{Seed: s.repo, Platform: i386, Format: images.OCI})
		one := harness.Put(s.T, s.registry, s.repo, "one", b)
		release := images.Attested(c, d)
		several := harness.Put(s.T, s.registry, s.repo, "release", release)
		before := s.daemonTags()
		s.multiarch("create", s.list, s.plain("amd64"), one)
		s.multiarch("create", "--amend", "--platform", "linux/386", s.list, several)
		s.multiarch("push", "--purge=tags", s.list)
		s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8", "attestation", "linux/386", "attestation"),
			a, b.Children[0], b.Children[1], d, release.Children[3])
		if tags := slices.Sorted(maps.Keys(harness.Tags(s.T, s.registry, s.repo))); !slices.Equal(tags, []string{"1", "release"}) {
			s.Errorf("got tags %v, want 1 and release", tags)
		}
		harness.Complete(s.T, s.registry, s.repo, "release")
		s.sameDaemonTags(before)
		if files := s.store(); len(files) > 0 {
			s.Errorf("got local store %v, want none", files)
		}
	})
}

// Whichever of its images and attestations are in the list: the tag of an index of one image is removed, and that of
// an index of several is kept.
func TestPurgeTagsOfIndexes(t *testing.T) {
	for name, flags := range map[string][]string{
		"all": {}, "some": {"--platform", "linux/arm64,linux/386"}, "strip": {"--attestations", "strip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			oci := func(p ocispec.Platform) images.Manifest {
				return images.Image(images.Spec{Seed: s.repo, Platform: p, Format: images.OCI})
			}
			one, several := images.Attested(oci(i386)), images.Attested(oci(arm64), oci(riscv64))
			create := append([]string{"create"}, flags...)
			s.multiarch(append(create, s.list, harness.Put(t, s.registry, s.repo, "one", one), harness.Put(t, s.registry, s.repo, "several", several))...)
			r := s.multiarch("push", "--purge=tags", s.list)
			says(t, r.Stderr, "Untagged "+s.name("one"))
			saysNot(t, r.Stderr, "WARNING", "Untagged "+s.name("several"))
			if tags := harness.Tags(t, s.registry, s.repo); len(tags) != 2 || tags["several"] != several.Digest().String() {
				t.Errorf("got tags %v, want the list's and several", tags)
			}
			for _, there := range []string{"1", "several", one.Digest().String()} {
				harness.Complete(t, s.registry, s.repo, there)
			}
		})
	}
}

// If the registry cannot remove tags, or refuses that to this account, a warning is printed: the list is pushed, and
// the tags are kept.
func TestPurgeTagsThatTheRegistryRefuses(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden,
		http.StatusMethodNotAllowed, http.StatusConflict, http.StatusNotImplemented} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			proxy := newProxy(t, s.registry)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					challenge := map[string]string{"WWW-Authenticate": `Basic realm="r"`}
					answer{status: status, header: challenge, body: refusal("DENIED", "no deletes here")}.ServeHTTP(w, r)
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			at := strings.TrimPrefix(server.URL, "http://") + "/" + s.repo + ":"
			a := s.put(s.repo, "amd64", images.Spec{Platform: amd64})
			b := s.put(s.repo, "arm64", images.Spec{Platform: arm64})
			s.multiarch("create", at+"1", at+"amd64", at+"arm64")
			r := s.multiarch("push", "--purge=tags", at+"1")
			s.pushedLast(r.Stdout, "1")
			if n := strings.Count(r.Stderr, "WARNING"); n != 1 || !strings.Contains(r.Stderr, strconv.Itoa(status)) {
				t.Errorf("got %d warnings, want one that names status %d:\n%s", n, status, r.Stderr)
			}
			saysNot(t, r.Stderr, "Untagged")
			s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
			if tags := harness.Tags(t, s.registry, s.repo); len(tags) != 3 {
				t.Errorf("got tags %v, want 3", tags)
			}
			if files := s.store(); len(files) > 0 {
				t.Errorf("got local store %v, want none", files)
			}
		})
	}
}

// A list that changes during its push is not removed.
func TestPurgeKeepsListThatChangedMeanwhile(t *testing.T) {
	s, a, b := newListScene(t)
	g := newGate(t, s.registry, isListPut)
	list := g.Host + "/" + s.repo + ":1"
	s.multiarch("create", list, g.Host+"/"+s.repo+":amd64", g.Host+"/"+s.repo+":arm64")
	r := s.start("push", "--purge", list)
	s.await(g)
	s.multiarch("annotate", list, "--index-annotation", "changed=meanwhile")
	g.open()
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("got %v from the push, want success\n%s", err, &r.stderr)
	}
	says(t, r.stderr.String(), "WARNING", list, "keeping the local list")
	s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
	says(t, s.multiarch("inspect", list).Stdout, "meanwhile")
}
