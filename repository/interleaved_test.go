package repository

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the first random order of requests")
	seedsFlag = flag.Uint64("seeds", 200, "number of random orders of requests")
)

// interleaved is a random repository whose requests are carried out one at a time in a random order that only the seed
// decides, with what others do between them, and an end of the run at any of them.
type interleaved struct {
	*randomRun
	requests chan *pendingRequest
	pending  []*pendingRequest
	stopped  chan struct{}
	// started says that others act, n is how many requests have come since, acts are their later actions.
	started bool
	n       int
	acts    map[int][]func()
	// ends is the request before which the run is interrupted or, with broken, from which on nothing can be deleted.
	ends, losses int
	broken       bool
	cancel       context.CancelFunc
	// validates says that the registry refuses lists whose children it does not have, late how long it lists tags that were
	// removed, at the time in vanished.
	validates bool
	late      time.Duration
	present   map[string][]byte
	vanished  map[string]tombstone
	tags      map[string]digest.Digest // that the client has seen
	// plannedTags are the tags whose removal was confirmed, kind is how they are removed.
	plannedTags map[string]bool
	kind        string
}

type tombstone struct {
	raw []byte
	at  time.Time
}

// pendingRequest is a request that waits to be carried out.
type pendingRequest struct {
	name   string
	ctx    context.Context
	run    func() error
	answer chan answer
}

type answer struct {
	err  error
	lost bool
}

func newInterleaved(t *testing.T, seed uint64) *interleaved {
	r := &interleaved{
		randomRun: newRandomRepo(t, seed), requests: make(chan *pendingRequest), stopped: make(chan struct{}), acts: map[int][]func(){},
		vanished: map[string]tombstone{}, tags: map[string]digest.Digest{}, plannedTags: map[string]bool{},
	}
	r.confirmed = map[digest.Digest]bool{}
	r.fill(fakes.Named(t, app))
	r.m.HasListing, r.m.NoUntag = r.random.IntN(4) == 0, r.random.IntN(6) == 0 && !r.m.Separate
	r.m.Dangling = r.m.Dangling && !r.m.HasListing
	r.m.Greedy = r.m.Greedy && !r.m.Separate && !r.m.TagsFirst // removing the tags of a deleted manifest deletes it again
	r.validates = r.random.IntN(2) == 0
	if r.random.IntN(4) == 0 && !r.m.Greedy { // of which the list shows what it deletes with a tag
		r.late = time.Second
	}
	r.present = maps.Clone(r.m.Manifests)
	r.ends = -1
	if r.random.IntN(3) > 0 {
		r.ends = r.random.IntN(50)
	}
	r.broken = r.random.IntN(4) == 0
	for range r.random.IntN(8) {
		n := r.random.IntN(40)
		r.acts[n] = append(r.acts[n], r.actNow)
	}
	r.m.Asked = func(line string) {
		if strings.HasPrefix(line, "deleting ") {
			r.between()
		}
		r.log = append(r.log, line)
		if strings.HasPrefix(line, "list ") {
			r.log = append(r.log, "listing")
		}
	}
	return r
}

func (r *interleaved) String() string {
	return fmt.Sprintf("%s, %s, inventory %t, ends %d, broken %t, validates %t, late %s", r.kind, r.randomRun, r.m.HasListing, r.ends, r.broken, r.validates, r.late)
}

// between does what others do before the next request.
func (r *interleaved) between() {
	if !r.started {
		return
	}
	n := r.n
	r.n++
	if acts := r.acts[n]; len(acts) > 0 {
		acts[0]()
		r.acts[r.n] = append(acts[1:], r.acts[r.n]...)
	}
	if n == r.ends && !r.broken {
		r.log = append(r.log, "interrupt")
		r.cancel()
	}
}

// actNow does something as another client: preferably with what is going to be removed.
func (r *interleaved) actNow() {
	digests := slices.Sorted(maps.Keys(r.confirmed))
	if len(digests) == 0 || r.random.IntN(3) == 0 {
		digests = slices.Sorted(maps.Keys(r.raw))
	}
	d := digests[r.random.IntN(len(digests))]
	tags := slices.DeleteFunc(slices.Sorted(maps.Keys(r.truth)), func(tag string) bool { return strings.HasPrefix(tag, "sha256-") })
	tag := tags[r.random.IntN(len(tags))]
	kind := r.random.IntN(8)
	if kind%2 == 0 {
		tag = fmt.Sprint("new-", r.n)
	}
	switch kind {
	case 0, 1:
		r.push(tag, d)
	case 2, 3, 4, 5:
		other := digests[r.random.IntN(len(digests))]
		list := r.list(d, other)
		if kind < 4 {
			r.push(tag, list)
			return
		}
		for _, d := range r.below(list)[1:] {
			r.m.Manifests[app+"@"+d.String()] = r.raw[d]
		}
		r.log = append(r.log, "children of "+tag)
		later := r.n + r.random.IntN(8)
		r.acts[later] = append(r.acts[later], func() { r.pushList(tag, list) })
	default:
		if tag = tags[r.random.IntN(len(tags))]; !r.plannedTags[tag] {
			delete(r.m.Manifests, app+":"+tag)
			delete(r.truth, tag)
			r.log = append(r.log, "remove "+tag)
		}
	}
}

// list makes a new list.
func (r *interleaved) list(of ...digest.Digest) digest.Digest {
	var children []ocispec.Descriptor
	for _, d := range of {
		children = append(children, ocispec.Descriptor{MediaType: r.m.Types[d], Digest: d, Size: int64(len(r.raw[d]))})
	}
	raw, err := manifest.MarshalIndex(ocispec.MediaTypeImageIndex, children, nil, map[string]string{"n": fmt.Sprint(r.seed, r.n)})
	if err != nil {
		r.Fatal(err)
	}
	d := digest.FromBytes(raw)
	r.raw[d], r.m.Types[d] = raw, ocispec.MediaTypeImageIndex
	return d
}

// pushList pushes a list whose children were pushed before.
func (r *interleaved) pushList(tag string, d digest.Digest) {
	if r.validates {
		r.push(tag, d)
		return
	}
	r.m.Manifests[app+"@"+d.String()] = r.raw[d]
	r.tag(tag, d)
	r.truth[tag], r.log = d, append(r.log, "push "+tag+" "+d.String())
}

// serve carries out the requests until the run has ended.
func (r *interleaved) serve() {
	for {
		if len(r.pending) == 0 {
			select {
			case q := <-r.requests:
				r.pending = append(r.pending, q)
			case <-r.stopped:
				return
			}
		}
		synctest.Wait()
		for more := true; more; {
			select {
			case q := <-r.requests:
				r.pending = append(r.pending, q)
			default:
				more = false
			}
		}
		slices.SortStableFunc(r.pending, func(a, b *pendingRequest) int { return cmp.Compare(a.name, b.name) })
		i := r.random.IntN(len(r.pending))
		q := r.pending[i]
		r.between()
		if q.ctx.Err() != nil {
			r.cutOff()
			continue
		}
		r.pending = slices.Delete(r.pending, i, i+1)
		q.answer <- r.carryOut(q)
	}
}

// cutOff ends the requests that were interrupted: the registry carries some of them out.
func (r *interleaved) cutOff() {
	r.pending = slices.DeleteFunc(r.pending, func(q *pendingRequest) bool {
		if q.ctx.Err() == nil {
			return false
		}
		if r.random.IntN(2) == 0 {
			_ = q.run()
			r.bury()
		}
		q.answer <- answer{err: q.ctx.Err()}
		return true
	})
}

func (r *interleaved) carryOut(q *pendingRequest) answer {
	verb, _, _ := strings.Cut(q.name, " ")
	writes := verb == "put" || verb == "untag" || verb == "delete"
	if r.broken && r.ends >= 0 && r.n > r.ends && verb == "delete" {
		return answer{err: manifest.Errorf(errdefs.ErrUnavailable, "503")}
	}
	loses := writes && r.loses && r.started && r.losses < 6 && r.random.IntN(4) == 0
	if loses {
		r.losses++
		if r.random.IntN(2) == 0 {
			r.log = append(r.log, "lost before "+q.name)
			return answer{lost: true}
		}
	}
	err := q.run()
	r.bury()
	if loses {
		r.log = append(r.log, "lost "+q.name)
	}
	return answer{err, loses}
}

// bury notes which names have vanished.
func (r *interleaved) bury() {
	for ref, raw := range r.present {
		if _, exists := r.m.Manifests[ref]; !exists {
			r.vanished[ref] = tombstone{raw, time.Now()}
		}
	}
	for ref := range r.m.Manifests {
		delete(r.vanished, ref)
	}
	r.present = maps.Clone(r.m.Manifests)
}

// interleavedClient is a client of the registry that treats lost answers as that of package registry.
type interleavedClient struct {
	*fakes.Registry
	r *interleaved
}

func (c interleavedClient) do(ctx context.Context, name string, run func() error) (lost bool, err error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	q := &pendingRequest{name, ctx, run, make(chan answer)}
	c.r.requests <- q
	a := <-q.answer
	return a.lost, a.err
}

func (c interleavedClient) Fetch(ctx context.Context, ref reference.Named) (out manifest.Content, err error) {
	_, err = c.do(ctx, "fetch "+manifest.Familiar(ref), func() (err error) {
		out, err = c.Registry.Fetch(ctx, ref)
		if tag, ok := ref.(reference.NamedTagged); ok && (err == nil || errdefs.IsNotFound(err)) {
			c.r.tags[tag.Tag()] = out.Descriptor.Digest
		}
		return err
	})
	return out, err
}

func (c interleavedClient) Digest(ctx context.Context, ref reference.Named) (digest.Digest, error) {
	out, err := c.Fetch(ctx, ref)
	return out.Descriptor.Digest, err
}

func (c interleavedClient) Blob(ctx context.Context, ref reference.Named, d ocispec.Descriptor) (out []byte, err error) {
	_, err = c.do(ctx, "blob "+d.Digest.String(), func() (err error) { out, err = c.Registry.Blob(ctx, ref, d); return err })
	return out, err
}

func (c interleavedClient) Tags(ctx context.Context, repo reference.Named) (tags, others []string, err error) {
	_, err = c.do(ctx, "list", func() (err error) {
		defer c.r.lateListing()()
		tags, others, err = c.Registry.Tags(ctx, repo)
		return err
	})
	return tags, others, err
}

func (c interleavedClient) Inventory(ctx context.Context, repo reference.Named) (out []manifest.Listed, err error) {
	if !c.HasListing {
		return c.Registry.Inventory(ctx, repo)
	}
	_, err = c.do(ctx, "list", func() (err error) { out, err = c.Registry.Inventory(ctx, repo); return err })
	return out, err
}

// lateListing adds names that have vanished a moment ago, until the function that it returns is called.
func (r *interleaved) lateListing() func() {
	r.bury()
	now := r.m.Manifests
	r.m.Manifests = maps.Clone(now)
	for ref, t := range r.vanished {
		if time.Since(t.at) < r.late {
			r.m.Manifests[ref] = t.raw
		}
	}
	return func() { r.m.Manifests = now }
}

func (c interleavedClient) Referrers(ctx context.Context, subject reference.Canonical) (out []ocispec.Descriptor, err error) {
	_, err = c.do(ctx, "referrers "+subject.String(), func() (err error) { out, err = c.Registry.Referrers(ctx, subject); return err })
	return out, err
}

func (c interleavedClient) Put(ctx context.Context, ref reference.Named, content manifest.Content, tags ...string) error {
	if tagged, ok := ref.(reference.NamedTagged); ok {
		return c.put(ctx, tagged, content)
	}
	var errs []error
	if len(tags) != 1 { // otherwise one request stores both
		errs = append(errs, c.put(ctx, ref, content))
	}
	for _, tag := range slices.Sorted(slices.Values(tags)) {
		errs = append(errs, c.put(ctx, manifest.AtTag(ref, tag), content))
	}
	return errors.Join(errs...)
}

func (c interleavedClient) put(ctx context.Context, ref reference.Named, content manifest.Content) error {
	tag := ""
	if tagged, ok := ref.(reference.NamedTagged); ok {
		tag = tagged.Tag()
	}
	before, known := c.r.tags[tag]
	for {
		lost, err := c.do(ctx, "put "+manifest.Familiar(ref), func() error { return c.Registry.Put(ctx, ref, content) })
		if !lost {
			if err == nil {
				c.r.tags[tag] = content.Descriptor.Digest
			}
			return err
		}
		now, err := c.Digest(ctx, ref)
		switch {
		case now == content.Descriptor.Digest:
			return nil
		case err != nil && !errdefs.IsNotFound(err):
			return err
		case err == nil && known && now != before:
			return manifest.Errorf(errdefs.ErrAborted, "another client has moved %s", manifest.Familiar(ref))
		}
	}
}

func (c interleavedClient) Untag(ctx context.Context, name reference.NamedTagged) error {
	before, known := c.r.tags[name.Tag()]
	for {
		lost, err := c.do(ctx, "untag "+manifest.Familiar(name), func() error { return c.Registry.Untag(ctx, name) })
		if !lost {
			return err
		}
		now, err := c.Digest(ctx, name)
		switch {
		case errdefs.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case known && now != before:
			return manifest.Errorf(errdefs.ErrAborted, "another client has moved %s", manifest.Familiar(name))
		}
	}
}

func (c interleavedClient) Delete(ctx context.Context, at reference.Canonical) error {
	lost, err := c.do(ctx, "delete "+manifest.Familiar(at), func() error { return c.Registry.Delete(ctx, at) })
	if !lost {
		return err
	}
	_, err = c.Digest(ctx, at)
	switch {
	case errdefs.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return manifest.Errorf(manifest.ErrAnswerLost, "connection reset")
}

// run purges, removes or untags.
func (r *interleaved) run(ctx context.Context) error {
	c := interleavedClient{r.m, r}
	o := Removal{Removed: func(reference.Named) {}, Confirm: func(steps []Step) (bool, error) {
		r.started = true
		for _, step := range steps {
			r.log = append(r.log, fmt.Sprintf("step %v %s, untag %t", step.Tags, step.Digest, step.Untag))
			for _, tag := range step.Tags {
				r.plannedTags[tag] = true
			}
			if !step.Untag {
				r.confirmed[step.Digest] = true
			}
		}
		return true, nil
	}}
	tags := slices.DeleteFunc(slices.Sorted(maps.Keys(r.truth)), func(tag string) bool { return strings.HasPrefix(tag, "sha256-") })
	switch kind := r.random.IntN(8); kind {
	case 0, 1:
		var names []reference.NamedTagged
		for range 1 + r.random.IntN(3) {
			tag := tags[r.random.IntN(len(tags))]
			names, r.plannedTags[tag] = append(names, manifest.AtTag(r.repo, tag)), true
		}
		r.started, r.kind = true, "untag"
		return Untag(ctx, c, r.notes, names, true, o)
	case 2, 3:
		var names []reference.Named
		for range 1 + r.random.IntN(4) {
			tag := tags[r.random.IntN(len(tags))]
			names = append(names, manifest.AtTag(r.repo, tag))
			if r.random.IntN(3) == 0 {
				names = append(names, manifest.AtDigest(r.repo, r.truth[tag]))
			}
		}
		r.kind = "rm"
		return Remove(ctx, c, r.notes, names, kind == 2, o)
	}
	s := Selection{Filters: fakes.Patterns(r.T, "old-*"), Recursive: r.random.IntN(2) == 0, KeepManifests: r.random.IntN(6) == 0}
	s.Untagged = r.m.HasListing && r.random.IntN(3) == 0
	if r.random.IntN(5) == 0 {
		o.MaxDeletes = 1 + r.random.IntN(10)
	}
	r.kind = fmt.Sprintf("purge %+v", s)
	return Purge(ctx, c, r.notes, r.repo, s, o)
}

// seenAgain reports whether a tag was looked at, or had to be, after it was pushed last.
func (r *interleaved) seenAgain(tag string) bool {
	pushed := 0
	for i, line := range r.log {
		if strings.HasPrefix(line, "push "+tag+" ") {
			pushed = i
		}
	}
	look := r.look(tag)
	if r.plannedTags[tag] { // which counts as new once it was removed
		look = "listing"
	}
	return slices.ContainsFunc(r.log[pushed:], func(line string) bool { return line == look || strings.HasPrefix(line, "deleting ") })
}

// isMistaken reports whether somebody has pushed something between the removal of a tag and the look whether its manifest was
// deleted with it: the registry may seem to keep such manifests then.
func (r *interleaved) isMistaken() bool {
	for i, line := range r.log {
		at, deletes := strings.CutPrefix(line, "deleting ")
		pushes := func(s string) bool { return strings.HasPrefix(s, "push ") || strings.HasPrefix(s, "children ") }
		if after := r.log[i:]; r.m.Greedy && deletes && slices.ContainsFunc(after[:max(slices.Index(after, "fetch "+at), 0)], pushes) {
			return true
		}
	}
	return false
}

// reports reports whether a warning has these words.
func (r *interleaved) reports(words ...string) bool {
	return slices.ContainsFunc(r.notes.Warnings, func(s string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(s, word) })
	})
}

// problems returns what has been lost.
func (r *interleaved) problems(err error) []string {
	r.mayLack = func(tag string) bool {
		if r.isUntouched(tag) { // the run has ended between what was to be removed with the tag
			return r.plannedTags[tag] && (r.m.Cascade || r.m.Separate)
		}
		return !r.seenAgain(tag)
	}
	problems := r.check(err, func(tag string) bool {
		name := app + ":" + tag
		return r.plannedTags[tag] && (r.isUntouched(tag) || r.reports(":"+tag+" no longer exists") || r.unseen(tag, "untag "+name, "put "+name) || r.pushedFirst(tag))
	})
	if r.isUnknowable() || r.isMistaken() {
		return nil
	}
	for _, w := range r.notes.Warnings {
		if strings.Contains(w, "could not be checked") || strings.Contains(w, errLost.Error()) {
			problems = append(problems, "warning: "+w)
		}
	}
	ended := r.ends >= 0 || errdefs.IsFailedPrecondition(err) || r.m.TagsFirst && errdefs.IsInvalidArgument(err) || r.m.NoUntag && errdefs.IsNotImplemented(err)
	if err != nil && !ended {
		problems = append(problems, fmt.Sprintf("got error %v, want none", err))
	}
	for ref, raw := range r.first {
		tag, isTag := strings.CutPrefix(ref, app+":")
		now, exists := r.m.Manifests[ref]
		restored := r.m.Greedy || r.reports(":"+tag, "restored") || r.reports(digest.FromBytes(now).String(), "restored") // as the registry may have deleted it
		if _, wanted := r.truth[tag]; isTag && exists && !wanted && !restored {
			problems = append(problems, tag+" was removed by others and is back")
		}
		d := digest.FromBytes(raw)
		if strings.Contains(ref, "@") && !exists && !r.confirmed[d] && !r.m.Cascade {
			problems = append(problems, ref+" is gone, and was not confirmed")
		}
	}
	return problems
}

// Whatever order requests are carried out in, and wherever the run ends, nothing is lost that a tag needs.
func TestInterleavedRemovals(t *testing.T) {
	for seed := *seedFlag; seed < *seedFlag+*seedsFlag; seed++ {
		var r *interleaved
		var err error
		var problems []string
		synctest.Test(t, func(t *testing.T) {
			r = newInterleaved(t, seed)
			var ctx context.Context
			ctx, r.cancel = context.WithCancel(t.Context())
			defer r.cancel()
			go r.serve()
			err = r.run(ctx)
			close(r.stopped)
			synctest.Wait()
			problems = r.problems(err)
		})
		if len(problems) > 0 {
			t.Errorf("seed %d, %s: error %v\n%s\nwarnings %q\n%s", seed, r, err, strings.Join(problems, "\n"), r.notes.Warnings, strings.Join(r.log, "\n"))
		}
	}
}
