package repository

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// randomRuns is how many random repositories are purged or untagged, with random faults.
const randomRuns = 500

// randomRun is one of them: a repository, the faults of its registry, and what others do to it meanwhile.
type randomRun struct {
	*testing.T
	seed   uint64
	random *rand.Rand
	repo   reference.Named
	copy   reference.Named // the target of imports
	m      *fakes.Registry
	notes  *fakes.Reporter
	client *registry.Client

	// first is the repository as it was, with the referrers of each manifest; raw has the manifests that were ever in it.
	first     map[string][]byte
	referrers map[digest.Digest][]digest.Digest
	raw       map[digest.Digest][]byte
	// truth is what tags point to, by what others have done last; log are the requests and, as "push TAG DIGEST" and
	// "remove TAG", what others have done.
	truth map[string]digest.Digest
	log   []string
	// confirmed are the manifests whose removal was confirmed, where that is known; mayLack says that nobody can see that a tag
	// is not complete.
	confirmed map[digest.Digest]bool
	mayLack   func(tag string) bool
	// unknown is how often a name still answers 404; loses says that answers to the methods of losing get lost, pages how
	// short pages are.
	unknown map[string]int
	events  []event
	loses   bool
	losing  []string
	pages   int

	mu   sync.Mutex
	seen map[string]int // how often a request came, for answers that get lost
}

// event is what others do once a number of requests has come since the removal began.
type event struct {
	at  int
	act func()
}

func newRandomRun(t *testing.T, seed uint64) *randomRun {
	r := newRandomRepo(t, seed)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	repo, err := manifest.ParseRepository(strings.TrimPrefix(server.URL, "http://") + "/app")
	if err != nil {
		t.Fatal(err)
	}
	r.copy, _ = reference.WithName(reference.Domain(repo) + "/copy")
	r.client = registry.New(registry.Options{Insecure: true})
	r.fill(repo)
	return r
}

func newRandomRepo(t *testing.T, seed uint64) *randomRun {
	return &randomRun{T: t, seed: seed, random: rand.New(rand.NewPCG(seed, 11)), m: fakes.NewRegistry(), notes: &fakes.Reporter{},
		losing: []string{http.MethodDelete, http.MethodPut}, referrers: map[digest.Digest][]digest.Digest{}, raw: map[digest.Digest][]byte{}, truth: map[string]digest.Digest{}, unknown: map[string]int{}, seen: map[string]int{}}
}

// fill chooses the faults of the registry, and fills the repository.
func (r *randomRun) fill(repo reference.Named) {
	r.repo = repo
	r.build()
	for _, set := range []struct {
		flag *bool
		odds int
	}{{&r.m.Dangling, 4}, {&r.m.Separate, 6}, {&r.m.Cascade, 2}, {&r.m.Greedy, 4}, {&r.m.NoReferrers, 4}, {&r.m.TagsFirst, 6}, {&r.loses, 3}} {
		*set.flag = r.random.IntN(set.odds) == 0
	}
	r.m.Separate = r.m.Separate && !r.m.Dangling
	r.m.Cascade = r.m.Cascade && !r.m.Greedy // what a registry deletes with a referrer of a tag cannot be known
	r.pages = r.random.IntN(4) * 3
	r.first = maps.Clone(r.m.Manifests)
	for ref, raw := range r.first {
		d := digest.FromBytes(raw)
		r.raw[d] = raw
		if tag, ok := strings.CutPrefix(ref, repo.Name()+":"); ok {
			r.truth[tag] = d
		} else if n, _ := manifest.ParseNode(manifest.NewContent(r.m.Types[d], raw)); n.Subject != nil {
			r.referrers[n.Subject.Digest] = append(r.referrers[n.Subject.Digest], d)
		}
	}
}

// build fills the repository: images, indexes, also of indexes and of referrers, and referrers without a tag, by the API,
// by their tag, and as signatures.
func (r *randomRun) build() {
	var all []ocispec.Descriptor
	any := func() ocispec.Descriptor { return all[r.random.IntN(len(all))] }
	untagged := func(add func(name string) ocispec.Descriptor) ocispec.Descriptor {
		d := add(r.repo.Name() + ":building")
		delete(r.m.Manifests, r.repo.Name()+":building")
		all = append(all, d)
		return d
	}
	image := func(name string) ocispec.Descriptor {
		return r.m.Image(r.T, name, ocispec.MediaTypeImageManifest, "linux/amd64", fmt.Sprint(r.seed, len(all)))
	}
	refer := func(subject digest.Digest) ocispec.Descriptor {
		return untagged(func(name string) ocispec.Descriptor {
			d := r.m.Artifact(r.T, name, subject)
			return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: int64(len(r.m.Manifests[r.repo.Name()+"@"+d.String()]))}
		})
	}
	list := func(children ...ocispec.Descriptor) ocispec.Descriptor {
		return untagged(func(name string) ocispec.Descriptor {
			return r.m.Index(r.T, name, ocispec.MediaTypeImageIndex, children...)
		})
	}
	for range 3 + r.random.IntN(3) {
		untagged(image)
	}
	for range r.random.IntN(4) {
		switch subject := any().Digest; r.random.IntN(3) {
		case 0:
			refer(subject)
		case 1:
			r.tag(manifest.ReferrersTag(subject), list(refer(subject)).Digest)
		case 2:
			r.tag(manifest.ReferrersTag(subject)+".sig", untagged(image).Digest)
		}
	}
	for range 1 + r.random.IntN(4) {
		list(any(), any())
	}
	for i := range 12 + r.random.IntN(12) {
		r.tag(fmt.Sprintf("%s-%02d", []string{"old", "old", "keep"}[r.random.IntN(3)], i), any().Digest)
	}
	r.tag("keep-this", all[0].Digest)
}

func (r *randomRun) tag(tag string, d digest.Digest) {
	r.m.Manifests[r.repo.Name()+":"+tag] = r.m.Manifests[r.repo.Name()+"@"+d.String()]
}

// push pushes a manifest and all below it, as another client.
func (r *randomRun) push(tag string, d digest.Digest) {
	for _, d := range r.below(d) {
		r.m.Manifests[r.repo.Name()+"@"+d.String()] = r.raw[d]
	}
	r.tag(tag, d)
	r.truth[tag], r.log = d, append(r.log, "push "+tag+" "+d.String())
}

// below returns a manifest and all below it that ever existed.
func (r *randomRun) below(d digest.Digest) (out []digest.Digest) {
	if raw, exists := r.raw[d]; exists {
		out = append(out, d)
		n, _ := manifest.ParseNode(manifest.NewContent(r.m.Types[d], raw))
		for _, child := range n.Children {
			out = append(out, r.below(child.Digest)...)
		}
	}
	return out
}

func (r *randomRun) String() string {
	return fmt.Sprintf("dangling %t, separate %t, cascade %t, greedy %t, no referrers API %t, tags first %t, no untagging %t, answers get lost %t, pages of %d",
		r.m.Dangling, r.m.Separate, r.m.Cascade, r.m.Greedy, r.m.NoReferrers, r.m.TagsFirst, r.m.NoUntag, r.loses, r.pages)
}

// act plans what others do: tags that appear, move and go, of images and of new lists.
func (r *randomRun) act(old bool) {
	digests := slices.Sorted(maps.Keys(r.raw))
	for i := range r.random.IntN(4) {
		d := digests[r.random.IntN(len(digests))]
		if r.random.IntN(2) == 0 {
			children := []ocispec.Descriptor{{MediaType: r.m.Types[d], Digest: d, Size: int64(len(r.raw[d]))}}
			raw, err := manifest.MarshalIndex(ocispec.MediaTypeImageIndex, children, nil, map[string]string{"n": fmt.Sprint(r.seed, i)})
			if err != nil {
				r.Fatal(err)
			}
			d = digest.FromBytes(raw)
			r.raw[d], r.m.Types[d] = raw, ocispec.MediaTypeImageIndex
		}
		tags := slices.DeleteFunc(slices.Sorted(maps.Keys(r.truth)), func(tag string) bool {
			return strings.HasPrefix(tag, "sha256-") || !old && strings.HasPrefix(tag, "old-")
		})
		tag := tags[r.random.IntN(len(tags))]
		act := func() { r.push(tag, d) }
		switch r.random.IntN(3) {
		case 0:
			act = func() { r.push(fmt.Sprint("new-", i), d) }
		case 1:
			if !strings.HasPrefix(tag, "old-") && tag != "keep-this" {
				act = func() {
					delete(r.m.Manifests, r.repo.Name()+":"+tag)
					delete(r.truth, tag)
					r.log = append(r.log, "remove "+tag)
				}
			}
		}
		r.events = append(r.events, event{r.random.IntN(60), act})
	}
}

// start begins to count requests, and to make faults.
func (r *randomRun) start() {
	r.m.Mu.Lock()
	defer r.m.Mu.Unlock()
	n := 0
	r.m.Asked = func(request string) {
		for _, e := range r.events {
			if e.at == n {
				e.act()
			}
		}
		n++
		r.log = append(r.log, request)
		name, isFetch := strings.CutPrefix(request, "fetch ")
		if left, ok := r.unknown[name]; ok && isFetch {
			r.m.Errs[name] = errUnknown
			if r.unknown[name] = left - 1; left == 0 {
				delete(r.unknown, name)
				delete(r.m.Errs, name)
			}
		}
	}
}

// ServeHTTP serves the repository as a registry, with short pages and answers that get lost.
func (r *randomRun) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	path := strings.TrimPrefix(q.URL.Path, "/v2/")
	kind, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, "app/"), "copy/"), "/")
	repo := r.repo
	if strings.HasPrefix(path, "copy/") {
		repo = r.copy
	}
	loses, before := r.lost(q.Method, path)
	if loses && before {
		panic(http.ErrAbortHandler)
	}
	switch {
	case path == "":
	case kind == "tags":
		r.serveTags(w, q)
	case kind == "referrers":
		r.serveReferrers(w, repo, digest.Digest(name))
	case kind == "manifests":
		r.serveManifest(w, q, repo, name, loses)
	case kind == "blobs":
		r.serveBlob(w, q, name, loses)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// lost reports whether the answer to a request gets lost, and whether that is before it is carried out.
func (r *randomRun) lost(method, path string) (loses, before bool) {
	if !r.loses || !slices.Contains(r.losing, method) || strings.Contains(path, "absent-") {
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[method+path]++
	h := fnv.New64()
	fmt.Fprint(h, r.seed, method, strings.TrimPrefix(path, r.repo.Name()), r.seen[method+path])
	return r.seen[method+path] <= 2 && h.Sum64()%5 == 0, h.Sum64()%2 == 0
}

func (r *randomRun) serveTags(w http.ResponseWriter, q *http.Request) {
	tags, _, err := r.m.Tags(q.Context(), r.repo)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if q.URL.Query().Get("last") == "" {
		r.m.Mu.Lock()
		r.log = append(r.log, "listing")
		r.m.Mu.Unlock()
	}
	asked, _ := strconv.Atoi(q.URL.Query().Get("n"))
	if r.pages == 9 && asked > 9 { // as where the number of entries is limited
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return tag <= q.URL.Query().Get("last") })
	if r.pages > 0 && len(tags) > r.pages {
		tags = tags[:r.pages]
		w.Header().Set("Link", fmt.Sprintf(`</v2/app/tags/list?n=%d&last=%s>; rel="next"`, r.pages, tags[r.pages-1]))
	}
	raw, _ := json.Marshal(map[string]any{"name": "app", "tags": tags})
	if r.pages == 6 && len(tags) > 3 && r.cut() {
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		_, _ = w.Write(raw[:len(raw)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(raw)
}

// cut reports whether the answer to a listing is cut off: twice, of the second page of the first and of a later listing.
func (r *randomRun) cut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen["list"]++
	return r.seen["list"] == 2 || r.seen["list"] == 9
}

func (r *randomRun) serveReferrers(w http.ResponseWriter, repo reference.Named, subject digest.Digest) {
	found, err := r.m.Referrers(r.Context(), manifest.AtDigest(repo, subject))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	_ = json.NewEncoder(w).Encode(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: append([]ocispec.Descriptor{}, found...)})
}

// serveBlob serves the blobs of all repositories, which are mounted without being asked for.
func (r *randomRun) serveBlob(w http.ResponseWriter, q *http.Request, name string, loses bool) {
	r.m.Mu.Lock()
	raw, exists := r.m.Blobs[digest.Digest(name)]
	r.m.Mu.Unlock()
	switch {
	case loses:
		panic(http.ErrAbortHandler)
	case q.Method == http.MethodPost:
		w.Header().Set("Docker-Content-Digest", q.URL.Query().Get("mount"))
		w.WriteHeader(http.StatusCreated)
	case !exists:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		_, _ = w.Write(raw)
	}
}

func (r *randomRun) serveManifest(w http.ResponseWriter, q *http.Request, repo reference.Named, name string, loses bool) {
	ctx, status := q.Context(), http.StatusAccepted
	var ref reference.Named
	var err error
	if digest.Digest(name).Validate() == nil {
		ref = manifest.AtDigest(repo, digest.Digest(name))
	} else {
		ref = manifest.AtTag(repo, name)
	}
	var c manifest.Content
	switch at, isDigest := ref.(reference.Canonical); {
	case q.Method == http.MethodPut:
		raw, _ := io.ReadAll(q.Body)
		status = http.StatusCreated
		err = r.m.Put(ctx, ref, manifest.NewContent(q.Header.Get("Content-Type"), raw))
	case q.Method == http.MethodDelete && isDigest:
		err = r.m.Delete(ctx, at)
	case q.Method == http.MethodDelete:
		err = r.m.Untag(ctx, ref.(reference.NamedTagged))
	default:
		c, err = r.m.Fetch(ctx, ref)
	}
	switch {
	case loses:
		panic(http.ErrAbortHandler)
	case err != nil:
		w.WriteHeader(statusOf(err))
	case c.Raw == nil:
		w.WriteHeader(status)
	default:
		w.Header().Set("Content-Type", c.Descriptor.MediaType)
		w.Header().Set("Docker-Content-Digest", c.Descriptor.Digest.String())
		w.Header().Set("Content-Length", fmt.Sprint(len(c.Raw)))
		_, _ = w.Write(c.Raw)
	}
}

func statusOf(err error) int {
	switch {
	case errdefs.IsNotFound(err):
		return http.StatusNotFound
	case errdefs.IsInvalidArgument(err):
		return http.StatusBadRequest
	}
	return http.StatusMethodNotAllowed
}

// purge purges the tags old-*; confirmed runs once that is planned.
func (r *randomRun) purge(confirmed func()) error {
	o := Removal{Confirm: func([]Step) (bool, error) { confirmed(); return true, nil }, Removed: func(reference.Named) {}}
	s := Selection{Filters: fakes.Patterns(r.T, "old-*"), Recursive: r.seed%2 == 0}
	return Purge(r.Context(), r.client, r.notes, r.repo, s, o)
}

// state is what a repository has, without its name.
func (r *randomRun) state(manifests map[string][]byte) []string {
	r.m.Mu.Lock()
	defer r.m.Mu.Unlock()
	var out []string
	for ref, raw := range manifests {
		out = append(out, strings.TrimPrefix(ref, r.repo.Name())+" "+digest.FromBytes(raw).String())
	}
	slices.Sort(out)
	return out
}

// unseen reports whether a tag was pushed after the last look at it before its manifest was deleted with all its tags, or
// before one of these requests: that cannot be known.
func (r *randomRun) unseen(tag string, requests ...string) bool {
	name := r.repo.Name() + ":" + tag
	look := r.look(tag)
	pushed, d := -1, digest.FromBytes(r.first[name]).String()
	seen, before := d, ""
	for i, line := range r.log {
		if words := strings.Fields(line); words[0] == "push" && words[1] == tag {
			pushed, d, before = i, words[2], seen
		} else if line == look {
			seen = d
		}
	}
	if pushed < 0 {
		return false
	}
	if d == before || pushed > 0 && r.log[pushed-1] == "untag "+name { // the latter while the registry removes it
		return true // nobody can see that
	}
	requests = append(requests, "deleting "+r.repo.Name()+"@"+d)
	for _, line := range r.log[pushed:] {
		if line == look {
			return false
		}
		if slices.Contains(requests, line) {
			return true
		}
	}
	return false
}

// look is the request that shows what a tag points to. For a tag that is new it is the first page of the list of tags, since
// the others may begin after it.
func (r *randomRun) look(tag string) string {
	_, known := r.first[r.repo.Name()+":"+tag]
	pushes := 0
	for _, line := range r.log {
		if strings.HasPrefix(line, "push "+tag+" ") {
			pushes++
		}
	}
	if r.m.HasListing || !known && pushes < 2 {
		return "listing"
	}
	return "fetch " + r.repo.Name() + ":" + tag
}

// pushedFirst reports whether a tag was pushed before the first look at it.
func (r *randomRun) pushedFirst(tag string) bool {
	pushed := slices.IndexFunc(r.log, func(s string) bool { return strings.HasPrefix(s, "push "+tag+" ") })
	looked := slices.Index(r.log, "fetch "+r.repo.Name()+":"+tag)
	return pushed >= 0 && pushed < looked
}

// isUnknowable reports whether the registry has deleted a manifest that no client can know: a removed tag was pushed after
// the last look at it.
func (r *randomRun) isUnknowable() bool {
	return r.m.Greedy && slices.ContainsFunc(slices.Collect(maps.Keys(r.truth)), func(tag string) bool {
		untag := "untag " + r.repo.Name() + ":" + tag
		return slices.Contains(r.log, untag) && r.unseen(tag, untag)
	})
}

// check checks that tags point to the right manifests, and these are complete. Tags that are gone are not looked at if
// mayBeGone.
func (r *randomRun) check(err error, mayBeGone func(tag string) bool) (problems []string) {
	r.m.Mu.Lock()
	defer r.m.Mu.Unlock()
	r.m.Asked = nil
	if r.isUnknowable() {
		return nil
	}
	for _, tag := range slices.Sorted(maps.Keys(r.truth)) {
		d, raw := r.truth[tag], r.m.Manifests[r.repo.Name()+":"+tag]
		_, known := r.first[r.repo.Name()+":"+tag]
		warned := slices.ContainsFunc(r.notes.Warnings, func(s string) bool { return strings.Contains(s, ":"+tag+" no longer exists") })
		reported := slices.ContainsFunc(r.notes.Warnings, func(s string) bool {
			_, gone, _ := strings.Cut(s, "the registry may have deleted them together with a tag of ")
			return slices.Contains(strings.FieldsFunc(gone, func(c rune) bool { return c == ' ' || c == ',' }), tag)
		})
		switch {
		case raw == nil && (mayBeGone(tag) || reported):
		case raw == nil && r.unseen(tag) && (!known || warned || err != nil || strings.HasPrefix(tag, "old-")): // which it was asked to remove
		case raw == nil:
			problems = append(problems, fmt.Sprintf("the tag %s of %s is gone", tag, d))
		case digest.FromBytes(raw) != d && r.unseen(tag, "put "+r.repo.Name()+":"+tag, "untag "+r.repo.Name()+":"+tag): // while it was put back
		case digest.FromBytes(raw) != d:
			problems = append(problems, fmt.Sprintf("the tag %s points to %s, want %s", tag, digest.FromBytes(raw), d))
		case r.mayLack != nil && r.mayLack(tag):
		case !strings.HasPrefix(tag, "sha256-"): // which may be left of a subject that is removed
			for _, needed := range r.needed(d, r.isUntouched(tag)) {
				if r.m.Manifests[r.repo.Name()+"@"+needed.String()] == nil && !r.mayBeDeleted(d, needed) {
					problems = append(problems, fmt.Sprintf("%s, which the tag %s of %s needs, is gone", needed, tag, d))
				}
			}
		}
	}
	return problems
}

func (r *randomRun) isUntouched(tag string) bool {
	return !slices.ContainsFunc(r.log, func(s string) bool { return strings.HasPrefix(s, "push "+tag+" ") })
}

// mayBeDeleted reports, where it is known what was confirmed, whether something that d needs was deleted as it was asked to
// be, as a referrer, or by the registry with what it refers to.
func (r *randomRun) mayBeDeleted(d, needed digest.Digest) bool {
	if r.confirmed[needed] {
		return !slices.Contains(r.below(d), needed)
	}
	return r.m.Cascade && r.confirmed != nil
}

// needed returns all below d and, with referrers, the referrers of any of that.
func (r *randomRun) needed(d digest.Digest, referrers bool) []digest.Digest {
	out := r.below(d)
	for i := 0; referrers && i < len(out); i++ {
		for _, d := range r.referrers[out[i]] {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}

// settleAtOnce makes a test not wait before it reads again what answers 404.
func settleAtOnce(t *testing.T) {
	delays := settleDelays
	settleDelays = []time.Duration{0, 1, 1, 1}
	t.Cleanup(func() { settleDelays = delays })
}

// Whatever a registry answers and others do meanwhile, nothing is lost that a tag needs: it is kept, or put back.
func TestRandomFaults(t *testing.T) {
	settleAtOnce(t)
	kinds := []func(t *testing.T, seed uint64) (*randomRun, []string){
		purgeBadRegistry, purgeWhileOthersPush, purgeBadRegistry, purgeWhileOthersPush, untagWhileOthersPush,
	}
	var group sync.WaitGroup
	const parts = 25 // most of the time is spent waiting for another attempt
	for part := range uint64(parts) {
		group.Go(func() {
			for seed := part; seed < randomRuns; seed += parts {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					r, problems := kinds[seed%uint64(len(kinds))](t, seed)
					for _, problem := range problems {
						t.Errorf("%s: %s", r, problem)
					}
				})
			}
		})
	}
	group.Wait()
}

// purgeBadRegistry checks that a purge of a registry with faults that pass does the same as one without faults, and that
// it removes nothing if a listed tag answers 404 for ever.
func purgeBadRegistry(t *testing.T, seed uint64) (_ *randomRun, problems []string) {
	good, bad := newRandomRun(t, seed), newRandomRun(t, seed)
	good.loses, good.pages = false, 0
	tags := slices.Sorted(maps.Keys(bad.truth))
	hidden := ""
	for range bad.random.IntN(3) {
		if hidden != "" {
			break
		}
		tag, times := tags[bad.random.IntN(len(tags))], 1+bad.random.IntN(3)
		if times == 3 {
			times, hidden = 1<<30, tag
		}
		bad.unknown[manifest.Familiar(manifest.AtTag(bad.repo, tag))] = times
	}
	want, got := good.purge(func() {}), error(nil)
	bad.start()
	got = bad.purge(func() {})
	if hidden != "" {
		if got == nil || !strings.Contains(got.Error(), hidden) || !slices.Equal(bad.state(bad.m.Manifests), bad.state(bad.first)) {
			problems = append(problems, fmt.Sprintf("got error %v, want nothing removed and an error with %s", got, hidden))
		}
		return bad, problems
	}
	if want != nil || got != nil {
		problems = append(problems, fmt.Sprintf("got errors %v with faults and %v without, want none", got, want))
	}
	if g, w := bad.state(bad.m.Manifests), good.state(good.m.Manifests); !slices.Equal(g, w) {
		problems = append(problems, fmt.Sprintf("got %q, want as without faults %q", g, w))
	}
	return bad, problems
}

func purgeWhileOthersPush(t *testing.T, seed uint64) (*randomRun, []string) {
	r := newRandomRun(t, seed)
	planned := r.random.IntN(2) == 0
	r.act(planned)
	if !planned {
		r.start()
	}
	err := r.purge(func() {
		if planned {
			r.start()
		}
	})
	problems := r.check(err, func(tag string) bool {
		return strings.HasPrefix(tag, "sha256-") || strings.HasPrefix(tag, "old-") && (r.isUntouched(tag) || r.unseen(tag, "untag "+r.repo.Name()+":"+tag))
	})
	if err != nil && (!r.m.TagsFirst || !errdefs.IsInvalidArgument(err)) { // one that refuses to delete a manifest to which others have added a tag
		problems = append(problems, fmt.Sprintf("got error %v, want none", err))
	}
	return r, problems
}

func untagWhileOthersPush(t *testing.T, seed uint64) (*randomRun, []string) {
	r := newRandomRun(t, seed)
	r.m.NoUntag = r.random.IntN(3) == 0
	r.act(true)
	var names []reference.NamedTagged
	tags := slices.DeleteFunc(slices.Sorted(maps.Keys(r.truth)), func(tag string) bool { return strings.HasPrefix(tag, "sha256-") })
	for range 1 + r.random.IntN(3) {
		names = append(names, manifest.AtTag(r.repo, tags[r.random.IntN(len(tags))]))
	}
	r.start()
	err := Untag(r.Context(), r.client, r.notes, names, true, Removal{Removed: func(reference.Named) {}})
	problems := r.check(err, func(tag string) bool {
		name := r.repo.Name() + ":" + tag
		return slices.ContainsFunc(names, func(n reference.NamedTagged) bool { return n.Tag() == tag }) &&
			(r.isUntouched(tag) || r.unseen(tag, "untag "+name, "put "+name) || r.pushedFirst(tag))
	})
	for ref := range r.first {
		if _, exists := r.m.Manifests[ref]; strings.Contains(ref, "@") && !exists && !r.isUnknowable() {
			problems = append(problems, ref+" is gone")
		}
	}
	return r, problems
}
