package repository

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/transfer"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Whatever the registries of an import answer and others do meanwhile, a tag that it has written is complete, and what
// others have pushed there is not moved without being reported.
func TestRandomFaultsOfImports(t *testing.T) {
	var group sync.WaitGroup
	const parts = 25
	for part := range uint64(parts) {
		group.Go(func() {
			for seed := part; seed < randomRuns; seed += parts {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					r := newRandomImport(t, seed)
					r.start()
					_, err := transfer.Import(t.Context(), r.client, r.notes, r.request)
					for _, problem := range r.problems(err) {
						t.Errorf("%s, %+v: %s\n%s", r, r.request, problem, strings.Join(r.log, "\n"))
					}
				})
			}
		})
	}
	group.Wait()
}

// randomImport is the import of a tag of a random repository to another repository of its registry.
type randomImport struct {
	*randomRun
	request transfer.Request
	target  reference.NamedTagged
	// sources are what the tag of the source has pointed to, before what the tag of the target pointed to first.
	sources []digest.Digest
	before  digest.Digest
}

func newRandomImport(t *testing.T, seed uint64) *randomImport {
	r := &randomImport{randomRun: newRandomRun(t, seed)}
	r.losing = []string{http.MethodPut, http.MethodPost, http.MethodHead}
	tags := slices.DeleteFunc(slices.Sorted(maps.Keys(r.truth)), func(tag string) bool { return strings.HasPrefix(tag, "sha256-") })
	digests := slices.Sorted(maps.Keys(r.raw))
	source := manifest.AtTag(r.repo, tags[r.random.IntN(len(tags))])
	target := manifest.AtTag(r.copy, source.Tag())
	r.target = target
	r.sources = []digest.Digest{r.truth[source.Tag()]}
	r.request = transfer.Request{Source: source, Target: target, Tags: []reference.NamedTagged{target}, Force: seed%3 == 0, Referrers: seed%2 == 0}
	if seed%5 == 0 {
		r.request.Platforms = []manifest.Platform{{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}}
	}
	if seed%7 == 0 { // which it has to find in the list of tags
		r.request.Source, r.request.Target, r.request.Tags = r.repo, r.copy, nil
		r.request.AllTags, r.request.Filters = true, fakes.Patterns(t, source.Tag())
	}
	switch r.random.IntN(4) {
	case 0: // it has another image
		r.before = digests[r.random.IntN(len(digests))]
		r.put(target, r.below(r.before))
	case 1: // it has the index without its children
		r.before = r.sources[0]
		r.put(target, []digest.Digest{r.before})
	}
	for range r.random.IntN(3) {
		needed := r.below(r.sources[0])
		name := manifest.AtDigest([]reference.Named{r.repo, r.copy}[r.random.IntN(2)], needed[r.random.IntN(len(needed))])
		r.unknown[manifest.Familiar(name)] = 1 + r.random.IntN(2)
	}
	for range r.random.IntN(3) {
		name, d := []reference.NamedTagged{source, target}[r.random.IntN(2)], digests[r.random.IntN(len(digests))]
		r.events = append(r.events, event{r.random.IntN(20), func() {
			r.put(name, r.below(d))
			r.log = append(r.log, "push "+manifest.Familiar(name)+" "+d.String())
			if name == source {
				r.sources = append(r.sources, d)
			}
		}})
	}
	return r
}

// put gives a repository manifests, and the first of them a tag.
func (r *randomImport) put(name reference.NamedTagged, manifests []digest.Digest) {
	for _, d := range manifests {
		r.m.Manifests[name.Name()+"@"+d.String()] = r.raw[d]
	}
	r.m.Manifests[name.String()] = r.raw[manifests[0]]
}

func (r *randomImport) problems(err error) (problems []string) {
	r.m.Mu.Lock()
	defer r.m.Mu.Unlock()
	r.m.Asked = nil
	now := digest.Digest("")
	raw, exists := r.m.Manifests[r.target.String()]
	if exists {
		now = digest.FromBytes(raw)
	}
	pushed, seen, moved, looked := r.pushes()
	if err == nil && !looked && !r.request.Force {
		problems = append(problems, "the tag was not looked at after it was written")
	}
	if moved != "" && !r.request.Force {
		problems = append(problems, fmt.Sprintf("the tag was moved from %s, which another client had pushed", moved))
	}
	isSource := slices.Contains(r.sources, now) || len(r.request.Platforms) > 0 && exists && now != r.before && now != pushed
	switch {
	case err != nil && now == r.before && pushed == "": // as it was
		return problems
	case isSource:
	case now == pushed && now != "" && (err != nil || !seen || r.request.Force):
	default:
		problems = append(problems, fmt.Sprintf("got error %v and the tag at %q, want what the source has (%q), or the error and %q or %q", err, now, r.sources, r.before, pushed))
	}
	for _, d := range r.wanted(now, raw, err == nil && isSource) {
		if _, exists := r.m.Manifests[r.copy.Name()+"@"+d.String()]; !exists {
			problems = append(problems, fmt.Sprintf("got error %v and the tag at %s without %s", err, now, d))
		}
	}
	return problems
}

// wanted returns what is below what the tag points to and, after an import with referrers, the referrers of that.
func (r *randomImport) wanted(d digest.Digest, raw []byte, imported bool) (out []digest.Digest) {
	n, err := manifest.ParseNode(manifest.NewContent(r.m.Types[d], raw))
	if err != nil {
		r.Fatal(err)
	}
	for _, child := range n.Children {
		out = append(out, r.below(child.Digest)...)
	}
	if !imported || !r.request.Referrers || len(r.notes.Warnings) > 0 || len(r.request.Platforms) > 0 {
		return out
	}
	return append(out, r.needed(d, !r.m.NoReferrers)...)
}

// pushes returns what another client has pushed to the tag of the target last, whether the import has looked at it since,
// and what it has moved the tag from although it could know that: it had seen it, or has written something else since.
// looked says that it has looked at the tag after writing it.
func (r *randomImport) pushes() (last digest.Digest, seen bool, moved digest.Digest, looked bool) {
	target := manifest.Familiar(r.target)
	looked = true
	known := false
	for _, line := range r.log {
		switch words := strings.Fields(line); {
		case words[0] == "push" && words[1] == target:
			last, seen, known = digest.Digest(words[2]), false, false
		case line == "fetch "+target:
			seen, known, looked = true, true, true
		case line == "put "+target:
			if known && last != "" && !slices.Contains(r.sources, last) {
				moved = last
			}
			looked = false
		case words[0] == "put":
			known = true
		}
	}
	return last, seen, moved, looked
}
