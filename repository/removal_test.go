package repository

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// drawn are contents as a test draws them: "i: a b" is an index i of a and b, "a > b" says that a is about b,
// "a!" is locked, "t = a" is a tag, and in the names of tags {a} stands for the digest tag of a.
func drawn(listed bool, lines ...string) Contents {
	c := Contents{Tags: map[string]digest.Digest{}, Manifests: map[digest.Digest]Held{}, Listed: listed}
	change := func(name string, f func(*Held)) {
		held := c.Manifests[digest.FromString(name)]
		f(&held)
		c.Manifests[digest.FromString(name)] = held
	}
	for _, line := range lines {
		words := strings.Fields(line)
		switch name := strings.TrimRight(words[0], ":!"); {
		case len(words) == 3 && words[1] == "=":
			c.Tags[drawnTag(name)] = digest.FromString(words[2])
		case len(words) == 3 && words[1] == ">":
			change(name, func(h *Held) { h.Subjects = append(h.Subjects, digest.FromString(words[2])) })
		default:
			change(name, func(h *Held) {
				h.Locked = strings.Contains(words[0], "!")
				for _, child := range words[1:] {
					h.Children = append(h.Children, digest.FromString(child))
				}
			})
		}
	}
	return c
}

func drawnTag(s string) string {
	before, name, ok := strings.Cut(s, "{")
	name, after, _ := strings.Cut(name, "}")
	if !ok {
		return s
	}
	return before + manifest.ReferrersTag(digest.FromString(name)) + after
}

// story is a plan in a line: "untag t", or "delete a[tags]", in order.
func (c Contents) story(p Plan) string {
	names := map[digest.Digest]string{}
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		names[digest.FromString(name)] = name
	}
	var out []string
	for _, step := range p.Steps {
		tags := strings.Join(step.Tags, " ")
		for d, name := range names {
			tags = strings.ReplaceAll(tags, manifest.ReferrersTag(d), "{"+name+"}")
		}
		if step.Lone {
			out = append(out, "untag "+tags)
			continue
		}
		out = append(out, strings.TrimSuffix("delete "+names[step.Digest]+" "+tags, " "))
	}
	return strings.Join(out, ", ")
}

func setOf[K comparable](keys ...K) map[K]bool {
	out := map[K]bool{}
	for _, k := range keys {
		out[k] = true
	}
	return out
}

func TestPlan(t *testing.T) {
	for name, tt := range map[string]struct {
		contents Contents
		removal  Removal
		want     string
	}{
		"a tag and its manifest": {drawn(false, "a", "b", "t = a", "u = b"), Removal{Tags: setOf("t")}, "delete a t"},
		"a shared manifest":      {drawn(false, "a", "t = a", "u = a"), Removal{Tags: setOf("t")}, "untag t"},
		"both of its tags":       {drawn(false, "a", "t = a", "u = a"), Removal{Tags: setOf("t", "u")}, "delete a t u"},
		"an index alone":         {drawn(false, "i: a", "a", "t = i"), Removal{Tags: setOf("t")}, "delete i t"},
		"an index in depth":      {drawn(false, "i: a", "a", "t = i"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t, delete a"},
		"what another index has": {drawn(false, "i: a b", "j: b", "a", "b", "t = i", "u = j"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t, delete a"},
		"a child of what stays":  {drawn(false, "i: a", "a", "t = a", "u = i"), Removal{Tags: setOf("t"), Recursive: true}, "untag t"},
		"nested":                 {drawn(false, "i: j", "j: a", "a", "t = i", "u = a"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t, delete j"},
		"parents first": {drawn(false, "i: j a", "j: a", "a", "t = i", "s = a", "u = j"),
			Removal{Tags: setOf("t", "s", "u"), Recursive: true}, "delete i t, delete j u, delete a s"},
		"a lone tag first":      {drawn(false, "a", "b", "t = a", "u = a", "s = b"), Removal{Tags: setOf("t", "s")}, "untag t, delete b s"},
		"a referrer":            {drawn(false, "a", "r > a", "t = a", "u = r"), Removal{Tags: setOf("u"), Recursive: true}, "untag u"},
		"with a referrer":       {drawn(false, "a", "r > a", "t = a"), Removal{Tags: setOf("t"), Recursive: true}, "delete a t, delete r"},
		"without its referrer":  {drawn(false, "a", "r > a", "t = a", "u = r"), Removal{Tags: setOf("t"), Recursive: true}, "untag t"},
		"about a referrer":      {drawn(true, "i: a", "a", "r > a", "q > r", "t = i", "u = q"), Removal{Tags: setOf("t")}, "delete i t"},
		"about what is absent":  {drawn(false, "r > a", "q > a", "t = r", "u = q"), Removal{Tags: setOf("t")}, "delete r t"},
		"an attestation of two": {drawn(false, "i: a x", "a", "x > a", "t = i", "u = a"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t"},
		"a signature stays": {drawn(false, "a", "s", "b", "t = a", "{a}.sig = s", "u = b"),
			Removal{Tags: setOf("u", "{a}.sig"), Recursive: true}, "delete b u"},
		"a signature goes":   {drawn(false, "a", "s", "t = a", "{a}.sig = s"), Removal{Tags: setOf("t"), Recursive: true}, "delete a t, delete s {a}.sig"},
		"only when asked to": {drawn(false, "a", "s", "t = a", "{a}.sig = s"), Removal{Tags: setOf("t")}, "delete a t"},
		"as it is asked to": {drawn(false, "a", "s", "t = a", "{a}.sig = s"),
			Removal{Tags: setOf("t", drawnTag("{a}.sig"))}, "delete a t, delete s {a}.sig"},
		"an excluded signature": {drawn(false, "a", "s", "t = a", "{a}.sig = s"),
			Removal{Tags: setOf("t"), Recursive: true, StayTags: setOf(drawnTag("{a}.sig"))}, "delete a t"},
		"the signature of a signature": {drawn(false, "a", "s", "z", "t = a", "{a}.sig = s", "{s}.sig = z"),
			Removal{Tags: setOf("t"), Recursive: true}, "delete a t, delete s {a}.sig, delete z {s}.sig"},
		"a signature of nobody":  {drawn(false, "s", "{a}.sig = s"), Removal{Tags: setOf(drawnTag("{a}.sig"))}, "delete s {a}.sig"},
		"no digest tag":          {drawn(false, "a", "s", "t = a", "{a}.old = s"), Removal{Tags: setOf("t"), Recursive: true}, "delete a t"},
		"referrers by the tag":   {drawn(false, "a", "k: r", "r > a", "t = a", "{a} = k"), Removal{Tags: setOf("t"), Recursive: true}, "delete a t, delete k {a}, delete r"},
		"of a child":             {drawn(false, "i: a", "a", "s", "t = i", "{a}.sig = s"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t, delete a, delete s {a}.sig"},
		"a locked child":         {drawn(false, "i: a b", "a!", "b", "t = i"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t, delete b"},
		"a locked referrer":      {drawn(false, "a", "r!", "r > a", "t = a", "u = r"), Removal{Tags: setOf("t", "u"), Recursive: true}, "untag t"},
		"a locked index":         {drawn(true, "i!: a", "a", "t = i"), Removal{Tags: setOf("t"), Manifests: setOf(digest.FromString("a")), Recursive: true}, ""},
		"an untagged index":      {drawn(true, "i: a", "j: a", "a", "t = i"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t"},
		"a child of nobody else": {drawn(true, "i: a", "a", "b", "t = i"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t, delete a"},
		"untagged": {drawn(true, "i: a", "a", "b", "t = i"),
			Removal{Manifests: setOf(digest.FromString("a"), digest.FromString("b")), Recursive: true}, "delete b"},
		"what must stay":       {drawn(true, "i: a", "a", "t = i"), Removal{Tags: setOf("t"), Recursive: true, Stay: setOf(digest.FromString("a"))}, "delete i t"},
		"a tag that must stay": {drawn(false, "a", "t = a", "u = a"), Removal{Tags: setOf("t", "u"), StayTags: setOf("u")}, "untag t"},
		"an absent child":      {drawn(false, "i: a", "t = i"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t"},
		"a tag that is not":    {drawn(false, "a", "t = a"), Removal{Tags: setOf("u")}, ""},
		"named, in an index":   {drawn(false, "i: a", "a", "t = i"), Removal{Manifests: setOf(digest.FromString("a")), Outright: true}, ""},
		"named, about another": {drawn(false, "a", "r > a", "t = a"), Removal{Manifests: setOf(digest.FromString("r")), Outright: true}, "delete r"},
		"a named signature": {drawn(false, "a", "s", "t = a", "{a}.sig = s"),
			Removal{Tags: setOf(drawnTag("{a}.sig")), Manifests: setOf(digest.FromString("s")), Outright: true}, "delete s {a}.sig"},
		"a circle": {drawn(false, "i: a", "a > i", "i > a", "t = i"), Removal{Tags: setOf("t"), Recursive: true}, "delete i t, delete a"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.contents.story(tt.contents.Plan(tt.removal)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Whatever stays has all it lists, whatever is asked for: no plan takes from a tag, a locked manifest or a
// listed one what it reaches.
func TestPlanLeavesWhatStaysWhole(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		c, removal := randomContents(r), Removal{Tags: map[string]bool{}, Manifests: map[digest.Digest]bool{}}
		removal.Recursive, removal.Outright = r.IntN(2) == 0, r.IntN(4) == 0
		for tag := range c.Tags {
			if r.IntN(2) == 0 {
				removal.Tags[tag] = true
			}
		}
		for d := range c.Manifests {
			if r.IntN(4) == 0 {
				removal.Manifests[d] = true
			}
		}
		if err := whole(c, c.Plan(removal)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func randomContents(r *rand.Rand) Contents {
	c := Contents{Tags: map[string]digest.Digest{}, Manifests: map[digest.Digest]Held{}, Listed: r.IntN(2) == 0}
	var all []digest.Digest
	some := func(odds int) (out []digest.Digest) {
		for _, d := range all {
			if r.IntN(odds) == 0 {
				out = append(out, d)
			}
		}
		return out
	}
	for i := range 3 + r.IntN(8) {
		d := digest.FromString(fmt.Sprint(i))
		c.Manifests[d] = Held{Children: some(4), Subjects: some(8), Locked: r.IntN(12) == 0}
		all = append(all, d)
	}
	for i := range r.IntN(8) {
		tag := []string{fmt.Sprint("t", i), manifest.ReferrersTag(all[r.IntN(len(all))]), manifest.ReferrersTag(all[r.IntN(len(all))]) + ".sig"}[r.IntN(3)]
		c.Tags[tag] = all[r.IntN(len(all))]
	}
	return c
}

// whole returns what is wrong with a plan.
func whole(c Contents, p Plan) error {
	gone, tags, at := map[digest.Digest]bool{}, map[string]bool{}, map[digest.Digest]int{}
	for i, step := range p.Steps {
		at[step.Digest] = i
		gone[step.Digest] = gone[step.Digest] || !step.Lone
		for _, tag := range step.Tags {
			if tags[tag] {
				return fmt.Errorf("%s goes twice", tag)
			}
			tags[tag] = true
		}
	}
	for tag, d := range c.Tags {
		if _, follows := c.digestTags()[tag]; follows || tags[tag] {
			continue
		}
		for _, subject := range c.Manifests[d].Subjects {
			if gone[subject] {
				return fmt.Errorf("%s goes, and %s is about it", subject, tag)
			}
		}
	}
	stays := func(d digest.Digest) bool {
		named := slices.ContainsFunc(slices.Collect(maps.Keys(c.Tags)), func(tag string) bool { return c.Tags[tag] == d && !tags[tag] })
		return named || c.Manifests[d].Locked || c.Listed && !gone[d]
	}
	for root := range c.Manifests {
		for _, child := range c.Manifests[root].Children {
			if gone[root] && gone[child] && at[root] > at[child] {
				return fmt.Errorf("%s goes before %s, which lists it", child, root)
			}
		}
		for todo := []digest.Digest{root}; stays(root) && len(todo) > 0; todo = todo[1:] {
			if gone[todo[0]] {
				return fmt.Errorf("%s stays and needs %s", root, todo[0])
			}
			todo = append(todo, c.Manifests[todo[0]].Children...)
		}
	}
	return nil
}
