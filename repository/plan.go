package repository

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// request is what is asked to be removed from a repository. Whatever is kept stays complete: what it lists, its
// referrers, and the digest tags of that.
type request struct {
	// tags are removed, and the manifests they point to unless something that is kept needs them. A digest tag is
	// removed only with the manifest that it is named after.
	tags map[string]bool
	// manifests are removed unless something that is kept needs them.
	manifests map[digest.Digest]bool
	// named says that manifests were named one by one: they are removed even if they refer to what is kept.
	named bool
	// recursive removes as well what nothing else needs.
	recursive bool
	// keepTags and keep are what must be kept in any case.
	keepTags map[string]bool
	keep     map[digest.Digest]bool
}

func newRequest() request {
	return request{tags: map[string]bool{}, manifests: map[digest.Digest]bool{}, keepTags: map[string]bool{}, keep: map[digest.Digest]bool{}}
}

// Step removes only a tag, or a manifest with all its tags.
type Step struct {
	Repo   reference.Named
	Digest digest.Digest
	Tags   []string
	// Untag says that only the tag is removed: the manifest is kept.
	Untag bool
	// Kind is that of the manifest; Created and Updated are as in [Manifest], and the others as in [Record].
	Kind             string
	Created, Updated time.Time
	Platforms        []string
	Size, ImageSize  int64

	// wave is 0 for tags, and for a manifest greater than that of any that needs it. unit is at least as great as that of
	// those: once all steps up to a unit are carried out, the tags that are left lead to all that is left.
	wave, unit int
}

// Time is the later of Created and Updated, by which the age of a manifest is judged.
func (s Step) Time() time.Time { return Manifest{Created: s.Created, Updated: s.Updated}.Time() }

// plan returns the steps of a removal in the order in which they are to be carried out, and the manifests that are
// kept because something that is kept needs them, itself included.
func (s *Snapshot) plan(r request) (steps []Step, kept map[digest.Digest]bool) {
	p := newPlanner(s, r)
	roots := p.roots()
	loose := slices.Collect(maps.Keys(r.keep))
	for {
		kept := p.keep(roots, loose)
		removed, tags := p.removed(kept)
		more := p.left(kept, removed, tags)
		if len(more) == 0 {
			return p.steps(removed, tags), kept
		}
		loose = append(loose, more...)
	}
}

// keep returns what roots and loose need in order to be complete, themselves included. A loose referrer does not keep its
// subject.
func (p *planner) keep(roots, loose []digest.Digest) map[digest.Digest]bool {
	roots = slices.Clone(roots)
	var referrers []digest.Digest
	for _, d := range loose {
		if len(p.snapshot.Manifests[d].RefersTo) > 0 || p.isNamed[d] {
			referrers = append(referrers, d)
		} else {
			roots = append(roots, d)
		}
	}
	kept := p.reach(roots, true)
	maps.Copy(kept, p.reach(referrers, false))
	return kept
}

type planner struct {
	snapshot *Snapshot
	request  request
	// digestTags are those that are removed with the manifest that each is named after.
	digestTags map[string]digest.Digest
	// referrers and named are the referrers of each manifest, and the digest tags that are named after it.
	referrers map[digest.Digest][]digest.Digest
	named     map[digest.Digest][]string
	// isNamed are the manifests that digest tags point to.
	isNamed map[digest.Digest]bool
}

func newPlanner(s *Snapshot, r request) *planner {
	p := &planner{s, r, s.digestTags(), map[digest.Digest][]digest.Digest{}, map[digest.Digest][]string{}, map[digest.Digest]bool{}}
	for d, m := range s.Manifests {
		for _, subject := range m.RefersTo {
			p.referrers[subject] = append(p.referrers[subject], d)
		}
	}
	for tag, subject := range p.digestTags {
		if r.keepTags[tag] || r.named && r.tags[tag] {
			delete(p.digestTags, tag)
			continue
		}
		p.referrers[subject] = append(p.referrers[subject], s.Tags[tag])
		p.named[subject] = append(p.named[subject], tag)
		p.isNamed[s.Tags[tag]] = true
	}
	return p
}

// roots returns what is kept because it has a tag or another name, or is locked.
func (p *planner) roots() (roots []digest.Digest) {
	for tag, d := range p.snapshot.Tags {
		if _, follows := p.digestTags[tag]; p.request.keepTags[tag] || !follows && !p.request.tags[tag] {
			roots = append(roots, d)
		}
	}
	for d, m := range p.snapshot.Manifests {
		if m.Locked || p.snapshot.named[d] && !p.request.manifests[d] {
			roots = append(roots, d)
		}
	}
	return roots
}

// reach returns what manifests need in order to be complete, themselves included. With subjects, that includes the
// manifests that referrers among them refer to, since some registries delete a manifest's referrers with it.
func (p *planner) reach(from []digest.Digest, subjects bool) map[digest.Digest]bool {
	reached := map[digest.Digest]bool{}
	for todo := slices.Clone(from); len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if reached[d] {
			continue
		}
		reached[d] = true
		todo = append(todo, p.snapshot.Manifests[d].Children...)
		for _, referrer := range p.referrers[d] {
			if !p.request.named || !p.request.manifests[referrer] {
				todo = append(todo, referrer)
			}
		}
		if subjects {
			for _, subject := range p.snapshot.Manifests[d].RefersTo {
				if _, exists := p.snapshot.Manifests[subject]; exists {
					todo = append(todo, subject)
				}
			}
		}
	}
	return reached
}

// removed returns the manifests and the tags that are removed if these are kept.
func (p *planner) removed(kept map[digest.Digest]bool) (manifests map[digest.Digest]bool, tags map[string]bool) {
	manifests, tags = map[digest.Digest]bool{}, map[string]bool{}
	todo := slices.Collect(maps.Keys(p.request.manifests))
	for tag := range p.request.tags {
		d, exists := p.snapshot.Tags[tag]
		if _, follows := p.digestTags[tag]; exists && !follows && !p.request.keepTags[tag] && !p.snapshot.Manifests[d].Locked {
			tags[tag] = true
			todo = append(todo, d)
		}
	}
	for len(todo) > 0 {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		m, exists := p.snapshot.Manifests[d]
		if kept[d] || manifests[d] || !exists {
			continue
		}
		manifests[d] = true
		for _, tag := range p.named[d] {
			if p.request.recursive || p.request.tags[tag] {
				tags[tag] = true
				todo = append(todo, p.snapshot.Tags[tag])
			}
		}
		if p.request.recursive {
			todo = append(append(todo, m.Children...), p.referrers[d]...)
		}
	}
	return manifests, tags
}

// left returns what is not removed, as it turns out, and is not kept complete yet: what a tag points to that is not
// removed and, if all manifests are known, any that is not.
func (p *planner) left(kept, removed map[digest.Digest]bool, tags map[string]bool) []digest.Digest {
	var more []digest.Digest
	for tag, d := range p.snapshot.Tags {
		if !tags[tag] && !kept[d] {
			more = append(more, d)
		}
	}
	if p.snapshot.Complete {
		for d := range p.snapshot.Manifests {
			if !removed[d] && !kept[d] {
				more = append(more, d)
			}
		}
	}
	return more
}

// steps returns the tags, and then the manifests, each after what needs it: a registry may refuse to delete what an index
// lists, and a referrer must not be removed before what it refers to.
func (p *planner) steps(removed map[digest.Digest]bool, tags map[string]bool) []Step {
	var steps []Step
	add := func(d digest.Digest, tags []string, untag bool, wave int) {
		m := p.snapshot.Manifests[d]
		if m.Kind == "" { // it cannot be read
			m.Kind = manifest.KindImage
			if manifest.IsIndex(m.MediaType) {
				m.Kind = manifest.KindIndex
			}
		}
		steps = append(steps, Step{Repo: p.snapshot.repo, Digest: d, Tags: tags, Untag: untag, Kind: m.Kind, Created: m.Created, Updated: m.Updated, wave: wave})
	}
	for tag := range tags {
		if d := p.snapshot.Tags[tag]; !removed[d] {
			add(d, []string{tag}, true, 0)
		}
	}
	byDigest := p.snapshot.tagsByDigest()
	waves, below := p.waves(removed)
	for d := range removed {
		add(d, byDigest[d], false, waves[d])
	}
	slices.SortFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.wave, b.wave), slices.Compare(a.Tags, b.Tags), cmp.Compare(a.Digest, b.Digest))
	})
	units := map[digest.Digest]int{}
	for i, step := range steps {
		if step.Untag {
			steps[i].unit = i + 1
			continue
		}
		steps[i].unit = cmp.Or(units[step.Digest], i+1)
		for _, b := range below(step.Digest) {
			units[b] = max(units[b], steps[i].unit)
		}
	}
	return steps
}

// waves gives the manifests that are removed numbers above 0, so that each has a higher number than those that need it, and
// returns what each needs. If digest tags make a circle, only indexes count as needing something.
func (p *planner) waves(removed map[digest.Digest]bool) (map[digest.Digest]int, func(digest.Digest) []digest.Digest) {
	children := func(d digest.Digest) []digest.Digest { return p.snapshot.Manifests[d].Children }
	all := func(d digest.Digest) []digest.Digest { return slices.Concat(children(d), p.referrers[d]) }
	between := p.reach(slices.Collect(maps.Keys(removed)), false) // some of which may be left without a tag
	if waves, ok := number(between, all); ok {
		return waves, all
	}
	waves, _ := number(between, children)
	return waves, children
}

// number gives each of manifests a higher number than those that it is below, and reports whether that is possible.
func number(manifests map[digest.Digest]bool, below func(digest.Digest) []digest.Digest) (waves map[digest.Digest]int, ok bool) {
	waves = map[digest.Digest]int{}
	for todo := slices.Collect(maps.Keys(manifests)); len(todo) > 0; {
		var next []digest.Digest
		for _, d := range todo {
			if waves[d] = max(waves[d], 1); waves[d] > len(manifests) {
				return nil, false
			}
			for _, b := range below(d) {
				if manifests[b] && waves[b] <= waves[d] {
					waves[b] = waves[d] + 1
					next = append(next, b)
				}
			}
		}
		todo = next
	}
	return waves, true
}
