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

// drawn is a snapshot as a test draws it: "i: a b" is an index i of a and b, "a > b" says that a refers to b,
// "a!" is locked, "t = a" is a tag, and in the names of tags {a} stands for the digest tag of a.
func drawn(complete bool, lines ...string) *Snapshot {
	s := &Snapshot{Tags: map[string]digest.Digest{}, Manifests: map[digest.Digest]Manifest{}, Complete: complete}
	change := func(name string, f func(*Manifest)) {
		m := s.Manifests[digest.FromString(name)]
		f(&m)
		s.Manifests[digest.FromString(name)] = m
	}
	for _, line := range lines {
		words := strings.Fields(line)
		switch name := strings.TrimRight(words[0], ":!"); {
		case len(words) == 3 && words[1] == "=":
			s.Tags[drawnTag(name)] = digest.FromString(words[2])
		case len(words) == 3 && words[1] == ">":
			change(name, func(m *Manifest) { m.RefersTo = append(m.RefersTo, digest.FromString(words[2])) })
		default:
			change(name, func(m *Manifest) {
				m.Locked = strings.Contains(words[0], "!")
				for _, child := range words[1:] {
					m.Children = append(m.Children, digest.FromString(child))
				}
			})
		}
	}
	return s
}

func drawnTag(s string) string {
	before, name, ok := strings.Cut(s, "{")
	name, after, _ := strings.Cut(name, "}")
	if !ok {
		return s
	}
	return before + manifest.ReferrersTag(digest.FromString(name)) + after
}

// text is a plan in a line: "untag t" or "delete a tags", in order.
func text(steps []Step) string {
	names := map[digest.Digest]string{}
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		names[digest.FromString(name)] = name
	}
	var out []string
	for _, step := range steps {
		tags := strings.Join(step.Tags, " ")
		for d, name := range names {
			tags = strings.ReplaceAll(tags, manifest.ReferrersTag(d), "{"+name+"}")
		}
		if step.Untag {
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
		snapshot *Snapshot
		request  request
		want     string
	}{
		"a tag and its manifest":  {drawn(false, "a", "b", "t = a", "u = b"), request{tags: setOf("t")}, "delete a t"},
		"a shared manifest":       {drawn(false, "a", "t = a", "u = a"), request{tags: setOf("t")}, "untag t"},
		"both of its tags":        {drawn(false, "a", "t = a", "u = a"), request{tags: setOf("t", "u")}, "delete a t u"},
		"only an index":           {drawn(false, "i: a", "a", "t = i"), request{tags: setOf("t")}, "delete i t"},
		"an index, recursive":     {drawn(false, "i: a", "a", "t = i"), request{tags: setOf("t"), recursive: true}, "delete i t, delete a"},
		"what another index has":  {drawn(false, "i: a b", "j: b", "a", "b", "t = i", "u = j"), request{tags: setOf("t"), recursive: true}, "delete i t, delete a"},
		"a child of a kept index": {drawn(false, "i: a", "a", "t = a", "u = i"), request{tags: setOf("t"), recursive: true}, "untag t"},
		"nested":                  {drawn(false, "i: j", "j: a", "a", "t = i", "u = a"), request{tags: setOf("t"), recursive: true}, "delete i t, delete j"},
		"parents first": {drawn(false, "i: j a", "j: a", "a", "t = i", "s = a", "u = j"),
			request{tags: setOf("t", "s", "u"), recursive: true}, "delete i t, delete j u, delete a s"},
		"grandparents first":    {drawn(false, "i: j", "j: a", "a", "t = i", "s = a"), request{tags: setOf("t", "s")}, "delete i t, delete a s"},
		"a tag first":           {drawn(false, "a", "b", "t = a", "u = a", "s = b"), request{tags: setOf("t", "s")}, "untag t, delete b s"},
		"a referrer":            {drawn(false, "a", "r > a", "t = a", "u = r"), request{tags: setOf("u"), recursive: true}, "untag u"},
		"with a referrer":       {drawn(false, "a", "r > a", "t = a"), request{tags: setOf("t"), recursive: true}, "delete a t, delete r"},
		"without its referrer":  {drawn(false, "a", "r > a", "t = a", "u = r"), request{tags: setOf("t"), recursive: true}, "untag t"},
		"about a referrer":      {drawn(true, "i: a", "a", "r > a", "q > r", "t = i", "u = q"), request{tags: setOf("t")}, "delete i t"},
		"a listed referrer":     {drawn(false, "i: a", "a", "r > a", "j: r", "t = i", "u = j"), request{tags: setOf("t"), recursive: true}, "delete i t"},
		"a deeply listed one":   {drawn(false, "a", "b", "r > a", "q > r", "j: q", "k: j", "t = a", "s = b", "u = k"), request{tags: setOf("t", "s"), recursive: true}, "untag t, delete b s"},
		"listed by its tag":     {drawn(false, "a", "k: r", "r > a", "t = a", "{a} = k"), request{tags: setOf("t")}, "delete a t"},
		"listed, without a tag": {drawn(true, "a", "r > a", "j: r", "t = a"), request{tags: setOf("t"), recursive: true}, "untag t"},
		"new without a tag":     {drawn(true, "a", "r > a", "t = a"), request{tags: setOf("t"), recursive: true, keep: setOf(digest.FromString("r"))}, "delete a t"},
		"about what is absent":  {drawn(false, "r > a", "q > a", "t = r", "u = q"), request{tags: setOf("t")}, "delete r t"},
		"an attestation of two": {drawn(false, "i: a x", "a", "x > a", "t = i", "u = a"), request{tags: setOf("t"), recursive: true}, "delete i t"},
		"a signature is kept": {drawn(false, "a", "s", "b", "t = a", "{a}.sig = s", "u = b"),
			request{tags: setOf("u", "{a}.sig"), recursive: true}, "delete b u"},
		"a signature is removed": {drawn(false, "a", "s", "t = a", "{a}.sig = s"), request{tags: setOf("t"), recursive: true}, "delete a t, delete s {a}.sig"},
		"only when asked to":     {drawn(false, "a", "s", "t = a", "{a}.sig = s"), request{tags: setOf("t")}, "delete a t"},
		"as it is asked to": {drawn(false, "a", "s", "t = a", "{a}.sig = s"),
			request{tags: setOf("t", drawnTag("{a}.sig"))}, "delete a t, delete s {a}.sig"},
		"an excluded signature": {drawn(false, "a", "s", "t = a", "{a}.sig = s"),
			request{tags: setOf("t"), recursive: true, keepTags: setOf(drawnTag("{a}.sig"))}, "delete a t"},
		"the signature of a signature": {drawn(false, "a", "s", "z", "t = a", "{a}.sig = s", "{s}.sig = z"),
			request{tags: setOf("t"), recursive: true}, "delete a t, delete s {a}.sig, delete z {s}.sig"},
		"a signature of nobody":  {drawn(false, "s", "{a}.sig = s"), request{tags: setOf(drawnTag("{a}.sig"))}, "delete s {a}.sig"},
		"no digest tag":          {drawn(false, "a", "s", "t = a", "{a}.old = s"), request{tags: setOf("t"), recursive: true}, "delete a t"},
		"referrers by the tag":   {drawn(false, "a", "k: r", "r > a", "t = a", "{a} = k"), request{tags: setOf("t"), recursive: true}, "delete a t, delete k {a}, delete r"},
		"of a child":             {drawn(false, "i: a", "a", "s", "t = i", "{a}.sig = s"), request{tags: setOf("t"), recursive: true}, "delete i t, delete a, delete s {a}.sig"},
		"a locked child":         {drawn(false, "i: a b", "a!", "b", "t = i"), request{tags: setOf("t"), recursive: true}, "delete i t, delete b"},
		"a locked referrer":      {drawn(false, "a", "r!", "r > a", "t = a", "u = r"), request{tags: setOf("t", "u"), recursive: true}, "untag t"},
		"a locked index":         {drawn(true, "i!: a", "a", "t = i"), request{tags: setOf("t"), manifests: setOf(digest.FromString("a")), recursive: true}, ""},
		"an untagged index":      {drawn(true, "i: a", "j: a", "a", "t = i"), request{tags: setOf("t"), recursive: true}, "delete i t"},
		"a child of nobody else": {drawn(true, "i: a", "a", "b", "t = i"), request{tags: setOf("t"), recursive: true}, "delete i t, delete a"},
		"untagged": {drawn(true, "i: a", "a", "b", "t = i"),
			request{manifests: setOf(digest.FromString("a"), digest.FromString("b")), recursive: true}, "delete b"},
		"a manifest to keep":        {drawn(true, "i: a", "a", "t = i"), request{tags: setOf("t"), recursive: true, keep: setOf(digest.FromString("a"))}, "delete i t"},
		"a tag to keep":             {drawn(false, "a", "t = a", "u = a"), request{tags: setOf("t", "u"), keepTags: setOf("u")}, "untag t"},
		"an absent child":           {drawn(false, "i: a", "t = i"), request{tags: setOf("t"), recursive: true}, "delete i t"},
		"a tag that does not exist": {drawn(false, "a", "t = a"), request{tags: setOf("u")}, ""},
		"named, in an index":        {drawn(false, "i: a", "a", "t = i"), request{manifests: setOf(digest.FromString("a")), named: true}, ""},
		"named, about another":      {drawn(false, "a", "r > a", "t = a"), request{manifests: setOf(digest.FromString("r")), named: true}, "delete r"},
		"a named signature": {drawn(false, "a", "s", "t = a", "{a}.sig = s"),
			request{tags: setOf(drawnTag("{a}.sig")), manifests: setOf(digest.FromString("s")), named: true}, "delete s {a}.sig"},
		"a circle": {drawn(false, "i: a", "a > i", "i > a", "t = i"), request{tags: setOf("t"), recursive: true}, "delete i t, delete a"},
	} {
		t.Run(name, func(t *testing.T) {
			steps, _ := tt.snapshot.plan(tt.request)
			if got := text(steps); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Whatever is kept has all it lists, whatever is requested: no plan removes what a tag, a locked manifest or, in a complete
// snapshot, any other that is kept needs.
func TestPlanKeepsWhatIsNeeded(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, request := randomSnapshot(r), newRequest()
		request.recursive, request.named = r.IntN(2) == 0, r.IntN(4) == 0
		for tag := range s.Tags {
			if r.IntN(2) == 0 {
				request.tags[tag] = true
			}
		}
		for d := range s.Manifests {
			if r.IntN(4) == 0 {
				request.manifests[d] = true
			}
		}
		steps, _ := s.plan(request)
		if err := complete(s, steps); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func randomSnapshot(r *rand.Rand) *Snapshot {
	s := drawn(r.IntN(2) == 0)
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
		s.Manifests[d] = Manifest{Children: some(4), RefersTo: some(8), Locked: r.IntN(12) == 0}
		all = append(all, d)
	}
	for i := range r.IntN(8) {
		tag := []string{fmt.Sprint("t", i), manifest.ReferrersTag(all[r.IntN(len(all))]), manifest.ReferrersTag(all[r.IntN(len(all))]) + ".sig"}[r.IntN(3)]
		s.Tags[tag] = all[r.IntN(len(all))]
	}
	return s
}

// complete returns what is wrong with a plan.
func complete(s *Snapshot, steps []Step) error {
	removed, tags, at := map[digest.Digest]bool{}, map[string]bool{}, map[digest.Digest]int{}
	for i, step := range steps {
		at[step.Digest] = i
		removed[step.Digest] = removed[step.Digest] || !step.Untag
		for _, tag := range step.Tags {
			if tags[tag] {
				return fmt.Errorf("%s is removed twice", tag)
			}
			tags[tag] = true
		}
	}
	for tag, d := range s.Tags {
		if _, follows := s.digestTags()[tag]; follows || tags[tag] {
			continue
		}
		for _, subject := range s.Manifests[d].RefersTo {
			if removed[subject] {
				return fmt.Errorf("%s is removed, and %s, which is kept, refers to it", subject, tag)
			}
		}
	}
	kept := func(d digest.Digest) bool {
		named := slices.ContainsFunc(slices.Collect(maps.Keys(s.Tags)), func(tag string) bool { return s.Tags[tag] == d && !tags[tag] })
		return named || s.Manifests[d].Locked || s.Complete && !removed[d]
	}
	for root := range s.Manifests {
		for _, child := range s.Manifests[root].Children {
			if removed[root] && removed[child] && at[root] > at[child] {
				return fmt.Errorf("%s is removed before %s, which lists it", child, root)
			}
		}
		for todo := []digest.Digest{root}; kept(root) && len(todo) > 0; todo = todo[1:] {
			if removed[todo[0]] {
				return fmt.Errorf("%s is kept and needs %s", root, todo[0])
			}
			todo = append(todo, s.Manifests[todo[0]].Children...)
		}
	}
	return nil
}
