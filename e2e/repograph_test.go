package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// repoGraph is a random repository: tags and manifests, each of which references only earlier ones. All images share
// their blobs.
type repoGraph struct {
	random    *rand.Rand
	base      images.Manifest
	manifests []graphManifest
	tags      map[string]int // index of the manifest that a tag references
}

// graphManifest is a manifest; it references others by their index in manifests.
type graphManifest struct {
	images.Manifest
	children, subjects []int
	attests            map[int]int // of an index: its attestations, and the images that they describe
	absent             bool        // deleted although an index lists it
}

// newRepoGraph returns a repository of a few images, attested indexes, nested indexes, referrers under their fallback
// tag, signatures under cosign's tags, and manifests without a tag.
func newRepoGraph(seed uint64, base images.Manifest) *repoGraph {
	g := &repoGraph{random: rand.New(rand.NewPCG(seed, 7)), base: base, tags: map[string]int{}}
	for range 2 + g.random.IntN(3) {
		g.image(nil)
	}
	for range 1 + g.random.IntN(3) {
		g.index()
	}
	for range g.random.IntN(3) {
		g.refer(g.random.IntN(len(g.manifests)))
	}
	for i := range 2 + g.random.IntN(5) {
		name := fmt.Sprintf("%s-%d", []string{"old", "old", "keep"}[g.random.IntN(3)], i)
		g.tags[name] = g.random.IntN(len(g.manifests))
	}
	if g.random.IntN(4) == 0 {
		g.lose()
	}
	return g
}

func (g *repoGraph) add(mediaType string, content any, children, subjects []int) int {
	raw, err := json.Marshal(content)
	if err != nil {
		panic(err) // a well-formed value
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	g.manifests = append(g.manifests, graphManifest{Manifest: images.Manifest{Descriptor: d, Raw: raw}, children: children, subjects: subjects})
	return len(g.manifests) - 1
}

// image adds an image, or a referrer of subject.
func (g *repoGraph) image(subject *ocispec.Descriptor, subjects ...int) int {
	return g.add(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: g.base.Blobs[0].Descriptor, Layers: []ocispec.Descriptor{g.base.Blobs[1].Descriptor},
		Subject: subject, Annotations: map[string]string{"n": fmt.Sprint(len(g.manifests))},
	}, nil, subjects)
}

// index adds an index of some existing manifests, sometimes with an attestation.
func (g *repoGraph) index() {
	var children []int
	var listed []ocispec.Descriptor
	attests := map[int]int{}
	for range 1 + g.random.IntN(2) {
		i := g.random.IntN(len(g.manifests))
		children, listed = append(children, i), append(listed, g.manifests[i].Descriptor)
	}
	if g.random.IntN(2) == 0 {
		i := g.image(nil)
		attests[i] = children[0]
		d := g.manifests[i].Descriptor
		d.Annotations = map[string]string{
			"vnd.docker.reference.type":   "attestation-manifest",
			"vnd.docker.reference.digest": g.manifests[children[0]].Digest().String(),
		}
		children, listed = append(children, i), append(listed, d)
	}
	g.manifests[g.list(listed, children)].attests = attests
}

func (g *repoGraph) list(listed []ocispec.Descriptor, children []int) int {
	return g.add(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: listed, Annotations: map[string]string{"n": fmt.Sprint(len(g.manifests))},
	}, children, nil)
}

// refer adds a referrer of a manifest, or its signature, or a referrer without a tag.
func (g *repoGraph) refer(subject int) {
	d := g.manifests[subject].Descriptor
	switch g.random.IntN(3) {
	case 0:
		i := g.image(&d, subject)
		g.tags[images.DigestTag(d.Digest, "")] = g.list([]ocispec.Descriptor{g.manifests[i].Descriptor}, []int{i})
	case 1:
		suffix := []string{".sig", ".att", ".sbom"}[g.random.IntN(3)]
		g.tags[images.DigestTag(d.Digest, suffix)] = g.image(nil)
	case 2:
		g.image(&d, subject)
	}
}

// lose makes one manifest absent that an index lists and no tag references. In a third of the cases that is an index, and
// what it needs is unknown.
func (g *repoGraph) lose() {
	if g.random.IntN(3) == 0 {
		g.index()
		lost := len(g.manifests) - 1
		g.manifests[lost].absent = true
		g.tags[[]string{"old-outer", "keep-outer"}[g.random.IntN(2)]] = g.list([]ocispec.Descriptor{g.manifests[lost].Descriptor}, []int{lost})
		return
	}
	for _, m := range g.manifests {
		for _, i := range m.children {
			if !slices.Contains(slices.Collect(maps.Values(g.tags)), i) {
				g.manifests[i].absent = true
				return
			}
		}
	}
}

// lostIndex returns the digest of the absent manifest if it is an index and a tag leads to it.
func (g *repoGraph) lostIndex() string {
	seen := g.seen()
	for i, m := range g.manifests {
		if m.absent && seen[i] && len(m.children) > 0 {
			return m.Digest().String()
		}
	}
	return ""
}

// purged is what a purge should remove.
type purged struct {
	tags      map[string]bool
	manifests map[int]bool
}

// model returns what a purge of the asked tags, digest tags among them, has to remove. It starts with everything that
// may be removed, and takes out what may not until nothing changes.
func (g *repoGraph) model(asked map[string]bool, deep bool) purged {
	seen, follows := g.seen(), g.follows()
	out := purged{map[string]bool{}, map[int]bool{}}
	for i := range g.manifests {
		out.manifests[i] = seen[i] && !g.manifests[i].absent
	}
	for tag := range g.tags {
		_, follow := follows[tag]
		out.tags[tag] = asked[tag] || follow && deep
	}
	for changed := true; changed; {
		changed = false
		needed := g.needed(out.tags)
		for i := range g.manifests {
			if out.manifests[i] && (needed[i] || !g.justified(i, out, deep)) {
				out.manifests[i], changed = false, true
			}
		}
		for tag, subject := range follows {
			if out.tags[tag] && !out.manifests[subject] {
				out.tags[tag], changed = false, true
			}
		}
	}
	return out
}

// seen returns what the tags lead to: all that a registry without a listing of manifests shows.
func (g *repoGraph) seen() map[int]bool {
	out := map[int]bool{}
	var walk func(i int)
	walk = func(i int) {
		if out[i] {
			return
		}
		out[i] = true
		if !g.manifests[i].absent {
			for _, next := range slices.Concat(g.manifests[i].children, g.manifests[i].subjects, slices.Collect(maps.Values(g.manifests[i].attests))) {
				walk(next)
			}
		}
	}
	for _, i := range g.tags {
		walk(i)
	}
	return out
}

// follows returns the digest tags of seen manifests, and the manifests that they are named after.
func (g *repoGraph) follows() map[string]int {
	out := map[string]int{}
	seen := g.seen()
	for tag := range g.tags {
		form, _, _ := strings.Cut(tag, ".")
		for i, m := range g.manifests {
			if seen[i] && !m.absent && form == images.DigestTag(m.Digest(), "") {
				out[tag] = i
			}
		}
	}
	return out
}

// parents returns the manifests that need i: those that list it, and its subjects.
func (g *repoGraph) parents(i int) []int {
	var out []int
	seen := g.seen()
	for j, m := range g.manifests {
		if seen[j] && !m.absent && slices.Contains(m.children, i) {
			out = append(out, j)
			if subject, ok := m.attests[i]; ok {
				out = append(out, subject)
			}
		}
	}
	if seen[i] {
		out = append(out, g.manifests[i].subjects...)
	}
	for tag, subject := range g.follows() {
		if g.tags[tag] == i {
			out = append(out, subject)
		}
	}
	return out
}

// subjects returns the seen subjects of i.
func (g *repoGraph) subjects(i int) []int {
	seen := g.seen()
	direct := slices.Clone(g.manifests[i].subjects)
	for j, m := range g.manifests {
		if subject, ok := m.attests[i]; ok && seen[j] && !m.absent {
			direct = append(direct, subject)
		}
	}
	return slices.DeleteFunc(direct, func(i int) bool { return !seen[i] || g.manifests[i].absent })
}

// needed returns the manifests that the kept tags need. Those that are not digest tags also need the subjects of these:
// some registries would delete a referrer with its subject.
func (g *repoGraph) needed(removed map[string]bool) map[int]bool {
	follows, out, strong := g.follows(), map[int]bool{}, map[int]bool{}
	for tag, i := range g.tags {
		if !removed[tag] {
			_, follow := follows[tag]
			out[i], strong[i] = true, strong[i] || !follow
		}
	}
	for changed := true; changed; {
		changed = false
		mark := func(in map[int]bool, i int) {
			if !in[i] {
				in[i], changed = true, true
			}
		}
		for i := range g.manifests {
			for _, j := range g.parents(i) {
				if out[j] {
					mark(out, i)
				}
				if strong[j] {
					mark(strong, i)
				}
			}
			if strong[i] {
				mark(out, i)
				for _, j := range g.subjects(i) {
					mark(strong, j)
				}
			}
		}
	}
	return out
}

// justified reports whether i may be removed: because its tag is or, with deep, because something that needs it is.
func (g *repoGraph) justified(i int, out purged, deep bool) bool {
	for tag, d := range g.tags {
		if out.tags[tag] && d == i {
			return true
		}
	}
	return deep && slices.ContainsFunc(g.parents(i), func(j int) bool { return out.manifests[j] })
}
