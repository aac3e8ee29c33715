package repository

import (
	"cmp"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Removal says what is to go from a repository. Whatever does not go stays whole: what it lists, what is
// about it, and the digest tags of that.
type Removal struct {
	// Tags go, and the manifests they name unless something that stays needs them. A digest tag goes only
	// with the manifest it is named after.
	Tags map[string]bool
	// Manifests go unless something that stays needs them.
	Manifests map[digest.Digest]bool
	// Outright says that Manifests were named one by one: they go even if they are about what stays.
	Outright bool
	// Recursive says that what is there only for what goes does go, too.
	Recursive bool
	// StayTags and Stay are what must not go, whatever is about to.
	StayTags map[string]bool
	Stay     map[digest.Digest]bool
}

// Plan is what goes from a repository.
type Plan struct {
	// Steps are in the order in which they are to be carried out.
	Steps []Step
	// kept are the manifests that what stays needs, itself included.
	kept map[digest.Digest]bool
}

// Step removes a tag alone, or a manifest with all its tags.
type Step struct {
	Digest digest.Digest
	Tags   []string
	// Lone says that the tag goes alone: the manifest stays.
	Lone bool
	// wave is 0 for tags that go alone, and for a manifest more than that of any that needs it.
	wave int
}

// Plan returns what goes from a repository with these contents.
func (c Contents) Plan(r Removal) Plan {
	p := newPlanner(c, r)
	stay := p.roots()
	for {
		kept := p.reach(stay)
		going, tags := p.going(kept)
		more := p.staying(kept, going, tags)
		if len(more) == 0 {
			return Plan{p.steps(going, tags), kept}
		}
		stay = append(stay, more...)
	}
}

// planner makes one plan.
type planner struct {
	Contents
	Removal
	digestTags map[string]digest.Digest
	// about has the manifests that are about each, and names the digest tags of each.
	about map[digest.Digest][]digest.Digest
	names map[digest.Digest][]string
}

func newPlanner(c Contents, r Removal) *planner {
	p := &planner{Contents: c, Removal: r, digestTags: c.digestTags(), about: map[digest.Digest][]digest.Digest{}, names: map[digest.Digest][]string{}}
	for d, held := range c.Manifests {
		for _, subject := range held.Subjects {
			p.about[subject] = append(p.about[subject], d)
		}
	}
	for tag, subject := range p.digestTags {
		if r.StayTags[tag] || r.Outright && r.Tags[tag] {
			delete(p.digestTags, tag)
			continue
		}
		p.about[subject] = append(p.about[subject], c.Tags[tag])
		p.names[subject] = append(p.names[subject], tag)
	}
	return p
}

// roots returns what stays in any case.
func (p *planner) roots() []digest.Digest {
	stay := slices.Collect(maps.Keys(p.Stay))
	for tag, d := range p.Contents.Tags {
		if _, follows := p.digestTags[tag]; p.StayTags[tag] || !follows && !p.Removal.Tags[tag] {
			stay = append(stay, p.withSubjects(d)...)
		}
	}
	for d, held := range p.Contents.Manifests {
		if held.Locked {
			stay = append(stay, p.withSubjects(d)...)
		}
	}
	return stay
}

// withSubjects returns d, what it is about, and what that is: some registries delete what is about a manifest
// with it.
func (p *planner) withSubjects(d digest.Digest) []digest.Digest {
	out := []digest.Digest{d}
	for i := 0; i < len(out); i++ {
		for _, subject := range p.Contents.Manifests[out[i]].Subjects {
			if _, there := p.Contents.Manifests[subject]; there && !slices.Contains(out, subject) {
				out = append(out, subject)
			}
		}
	}
	return out
}

// reach returns what manifests need in order to be whole, themselves included.
func (p *planner) reach(from []digest.Digest) map[digest.Digest]bool {
	reached := map[digest.Digest]bool{}
	for todo := slices.Clone(from); len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if reached[d] {
			continue
		}
		reached[d] = true
		todo = append(todo, p.Contents.Manifests[d].Children...)
		for _, a := range p.about[d] {
			if !p.Outright || !p.Removal.Manifests[a] {
				todo = append(todo, a)
			}
		}
	}
	return reached
}

// going returns the manifests and the tags that go when these are kept.
func (p *planner) going(kept map[digest.Digest]bool) (going map[digest.Digest]bool, tags map[string]bool) {
	going, tags = map[digest.Digest]bool{}, map[string]bool{}
	todo := slices.Collect(maps.Keys(p.Removal.Manifests))
	for tag := range p.Removal.Tags {
		d, there := p.Contents.Tags[tag]
		if _, follows := p.digestTags[tag]; there && !follows && !p.StayTags[tag] && !p.Contents.Manifests[d].Locked {
			tags[tag] = true
			todo = append(todo, d)
		}
	}
	for len(todo) > 0 {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		held, there := p.Contents.Manifests[d]
		if kept[d] || going[d] || !there {
			continue
		}
		going[d] = true
		for _, tag := range p.names[d] {
			if p.Recursive || p.Removal.Tags[tag] {
				tags[tag] = true
				todo = append(todo, p.Contents.Tags[tag])
			}
		}
		if p.Recursive {
			todo = append(append(todo, held.Children...), p.about[d]...)
		}
	}
	return going, tags
}

// staying returns what stays, as it turns out, and is not kept whole yet: what a tag names that does not
// go, and, where all manifests are known, any that does not go.
func (p *planner) staying(kept, going map[digest.Digest]bool, tags map[string]bool) []digest.Digest {
	var more []digest.Digest
	for tag, d := range p.Contents.Tags {
		if !tags[tag] && !kept[d] {
			more = append(more, d)
		}
	}
	if p.Listed {
		for d := range p.Contents.Manifests {
			if !going[d] && !kept[d] {
				more = append(more, d)
			}
		}
	}
	return more
}

// steps returns the tags that go alone, and then the manifests, each after what needs it: a registry may
// refuse to delete what an index lists, and what is about a manifest must not go before it.
func (p *planner) steps(going map[digest.Digest]bool, tags map[string]bool) []Step {
	var steps []Step
	for tag := range tags {
		if d := p.Contents.Tags[tag]; !going[d] {
			steps = append(steps, Step{Digest: d, Tags: []string{tag}, Lone: true})
		}
	}
	named, waves := p.tagsByDigest(), p.waves(going)
	for d := range going {
		steps = append(steps, Step{Digest: d, Tags: named[d], wave: waves[d]})
	}
	slices.SortFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.wave, b.wave), slices.Compare(a.Tags, b.Tags), cmp.Compare(a.Digest, b.Digest))
	})
	return steps
}

// waves numbers the manifests that go, from 1 on, so that each has a higher number than those that need it;
// than those that list it alone, where annotations make a circle of the rest.
func (p *planner) waves(going map[digest.Digest]bool) map[digest.Digest]int {
	children := func(d digest.Digest) []digest.Digest { return p.Contents.Manifests[d].Children }
	waves := number(going, func(d digest.Digest) []digest.Digest { return slices.Concat(children(d), p.about[d]) })
	for d := range going {
		if slices.ContainsFunc(children(d), func(c digest.Digest) bool { return going[c] && waves[c] <= waves[d] }) {
			return number(going, children)
		}
	}
	return waves
}

// number gives each of going a higher number than those that it is below.
func number(going map[digest.Digest]bool, below func(digest.Digest) []digest.Digest) map[digest.Digest]int {
	var order []digest.Digest // what is below first
	place := map[digest.Digest]int{}
	var visit func(d digest.Digest)
	visit = func(d digest.Digest) {
		if _, seen := place[d]; seen || !going[d] {
			return
		}
		place[d] = len(going) // above all, while it is being visited
		for _, b := range below(d) {
			visit(b)
		}
		place[d] = len(order)
		order = append(order, d)
	}
	for _, d := range slices.Sorted(maps.Keys(going)) {
		visit(d)
	}
	waves := map[digest.Digest]int{}
	for _, d := range slices.Backward(order) {
		waves[d] = max(waves[d], 1)
		for _, b := range below(d) {
			if going[b] && place[b] < place[d] {
				waves[b] = max(waves[b], waves[d]+1)
			}
		}
	}
	return waves
}
