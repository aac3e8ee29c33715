// Package verify checks that what is published is whole and what it claims to be: that a registry has a list with
// its manifests, configs and layers, and that each is for the platform that is stated. It writes nothing.
package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

// Content is what Verify reads.
type Content interface {
	manifest.Fetcher
	manifest.Blobs
}

// Soundness says how bad a finding is, or what the findings amount to.
type Soundness string

// The kinds of soundness, from good to bad. A note is no fault.
const (
	Sound   Soundness = "sound"
	Remark  Soundness = "note"
	Untold  Soundness = "untold"
	Unsound Soundness = "unsound"
)

var badness = []Soundness{Sound, Remark, Untold, Unsound}

// worse returns the worse of both; a note leaves what is sound.
func worse(a, b Soundness) Soundness {
	if b != Remark && slices.Index(badness, b) > slices.Index(badness, a) {
		return b
	}
	return a
}

// Verification is what was found out about a name.
type Verification struct {
	Name string `json:"name"`
	// Digest is that of what the name stands for; empty when that could not be told.
	Digest digest.Digest `json:"digest,omitempty"`
	// State is Sound, Unsound or Untold.
	State     Soundness         `json:"state"`
	Manifests []VerifiedContent `json:"manifests"`
	Findings  []Finding         `json:"findings"`
}

// VerifiedContent is a manifest or index that a name leads to.
type VerifiedContent struct {
	// Kind is that of a Record.
	Kind      string        `json:"kind"`
	Platform  string        `json:"platform,omitempty"`
	MediaType string        `json:"mediaType,omitempty"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size,omitempty"`
	State     Soundness     `json:"state"`
}

// Finding is something that is wrong, could not be told or is worth knowing.
type Finding struct {
	// Severity is Unsound, Untold or Remark.
	Severity Soundness `json:"severity"`
	// Digest is that of the object: a manifest, config or layer. Manifest is that of the manifest which has
	// it.
	Digest   digest.Digest `json:"digest,omitempty"`
	Manifest digest.Digest `json:"manifest,omitempty"`
	// Platform is that of the manifest, as its index says or else its config.
	Platform string `json:"platform,omitempty"`
	Message  string `json:"message"`
	// Err is the registry's error when that is why it could not be told.
	Err error `json:"-"`
}

// maxFinding bounds the text of a finding, which may have a stranger's words in it.
const maxFinding = 1000

func finding(severity Soundness, d digest.Digest, format string, args ...any) Finding {
	return Finding{Severity: severity, Digest: d, Message: manifest.OneLine(fmt.Sprintf(format, args...), maxFinding)}
}

// fault is the finding that an object, such as "layer sha256:...", could not be read.
func fault(d digest.Digest, object string, repo reference.Named, err error) Finding {
	switch {
	case errdefs.IsNotFound(err):
		return finding(Unsound, d, "%s is not in the repository %s", object, reference.FamiliarName(repo))
	case errdefs.IsDataLoss(err):
		return finding(Unsound, d, "%s is not what it should be: %v", object, err)
	}
	f := finding(Untold, d, "%s could not be read: %v", object, err)
	f.Err = err
	return f
}

const (
	// imagesAtOnce and layersAtOnce bound what is unpacked at a time, and so the memory that takes.
	imagesAtOnce = 2
	layersAtOnce = 3
	// maxFiles bounds the files of the layers that are known at a time, which take about 100 bytes each.
	maxFiles = 1 << 19
	// maxContent bounds the content of a layer: a few bytes can stand for as many as one likes.
	maxContent = 64 << 30
)

// verifier is one run of Verify. What several names lead to is looked at once.
type verifier struct {
	from   Content
	deep   bool
	graphs map[string]*manifest.Graph // by repository
	sizes  memo[blobKey, sized]
	layers layers
	images map[imageKey]*judged
}

// Verify finds out whether what names stand for is sound: an index with its manifests, their configs and
// layers are there, as large as they should be and with their digests, and platforms are what configs say.
// Layers are looked for and not read unless deep; then what images run is checked, too. There is a
// verification for each name; the error is that of ctx.
func Verify(ctx context.Context, from Content, names []reference.Named, deep bool) ([]Verification, error) {
	v := &verifier{from: from, deep: deep, graphs: map[string]*manifest.Graph{}, images: map[imageKey]*judged{}}
	v.layers = layers{
		left: map[layerKey]int{}, slots: make(chan struct{}, layersAtOnce), budget: program.NewBudget(maxFiles), most: maxContent,
	}
	roots := v.read(ctx, names)
	v.judge(ctx, names, roots)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]Verification, len(names))
	for i, name := range names {
		out[i] = v.report(name, roots[i])
	}
	return out, nil
}

// read reads the manifests of all names.
func (v *verifier) read(ctx context.Context, names []reference.Named) []manifest.Root {
	places := map[string][]int{}
	for i, name := range names {
		places[name.Name()] = append(places[name.Name()], i)
		v.graphs[name.Name()] = manifest.NewGraph(v.from)
	}
	roots := make([]manifest.Root, len(names))
	var group sync.WaitGroup
	for repo, at := range places {
		group.Go(func() {
			refs := make([]reference.Named, len(at))
			for i, place := range at {
				refs[i] = names[place]
			}
			found, _ := v.graphs[repo].Read(ctx, refs...) // Verify returns the error of ctx
			for i, place := range at {
				roots[place] = found[i]
			}
		})
	}
	group.Wait()
	return roots
}

// judge looks at the images that were read.
func (v *verifier) judge(ctx context.Context, names []reference.Named, roots []manifest.Root) {
	var group errgroup.Group
	if v.deep {
		group.SetLimit(imagesAtOnce)
	}
	var jobs []func() error
	for i, name := range names {
		for _, d := range v.graphs[name.Name()].Below(roots[i].Digest) {
			n, err := v.graphs[name.Name()].Node(d)
			key := imageKey{name.Name(), d}
			if err != nil || n.Config == nil || v.images[key] != nil {
				continue
			}
			result := &judged{}
			v.images[key] = result
			for _, layer := range n.Layers {
				v.layers.left[keyOfLayer(name, n, layer)]++
			}
			jobs = append(jobs, func() error {
				*result = v.image(ctx, name, n)
				return nil
			})
		}
	}
	for _, job := range jobs {
		group.Go(job)
	}
	_ = group.Wait() // the findings have the errors
}

// report puts together what was found out below a root.
func (v *verifier) report(name reference.Named, root manifest.Root) Verification {
	r := report{Verification: Verification{
		Name: manifest.Familiar(name), Digest: root.Digest, State: Sound, Manifests: []VerifiedContent{}, Findings: []Finding{},
	}, known: map[Finding]bool{}, states: map[digest.Digest]Soundness{}}
	if root.Err != nil {
		r.add(v.absentRoot(name, root.Err))
		return r.Verification
	}
	g := v.graphs[name.Name()]
	below := g.Below(root.Digest)
	listed := indexEntries(g, below)
	for _, d := range below {
		row := v.row(name, d, listed)
		n, err := g.Node(d)
		for _, f := range v.findings(name, n, err, listed[d]) {
			f.Manifest, f.Platform = d, row.Platform
			r.add(f)
		}
		r.Manifests = append(r.Manifests, row)
	}
	for _, f := range v.inIndexes(name, g, below, listed) {
		r.add(f)
	}
	for i, row := range r.Manifests {
		r.Manifests[i].State = worse(row.State, r.states[row.Digest])
	}
	return r.Verification
}

// report is a verification that is being put together.
type report struct {
	Verification
	known  map[Finding]bool
	states map[digest.Digest]Soundness // of manifests
}

// add keeps a finding once.
func (r *report) add(f Finding) {
	key := f
	key.Err = nil // it may not be comparable
	if r.known[key] {
		return
	}
	r.known[key] = true
	r.Findings = append(r.Findings, f)
	r.State = worse(r.State, f.Severity)
	r.states[f.Manifest] = worse(r.states[f.Manifest], f.Severity)
}

func (v *verifier) absentRoot(name reference.Named, err error) Finding {
	if errdefs.IsNotFound(err) {
		return finding(Unsound, "", "%v", notThere(err, name))
	}
	return fault("", manifest.Familiar(name), name, err)
}

// findings are those on the manifest n alone, or on why it could not be had; listed is where it was met.
func (v *verifier) findings(name reference.Named, n manifest.Node, err error, listed indexEntry) []Finding {
	d := listed.descriptor
	var refusal interface{ Registry() string } // what is invalid then is the request
	switch {
	case err == nil && n.Config != nil:
		return v.images[imageKey{name.Name(), n.Descriptor.Digest}].findings
	case err == nil:
		return nil
	case errors.As(err, &refusal):
	case errdefs.IsInvalidArgument(err) && d.MediaType != "" && !manifest.IsIndex(d.MediaType) && !manifest.IsImage(d.MediaType):
		return []Finding{finding(Remark, d.Digest, "%s, listed by index %s, is no image: %v", d.Digest, listed.by, err)}
	case errdefs.IsInvalidArgument(err):
		return []Finding{finding(Unsound, d.Digest, "%v", err)}
	}
	return []Finding{fault(d.Digest, fmt.Sprintf("manifest %s, listed by index %s,", d.Digest, listed.by), name, err)}
}

// row is how a manifest is shown.
func (v *verifier) row(name reference.Named, d digest.Digest, listed map[digest.Digest]indexEntry) VerifiedContent {
	desc := listed[d].descriptor
	row := VerifiedContent{Kind: manifest.KindImage, Digest: d, MediaType: desc.MediaType, Size: desc.Size, State: Sound}
	if manifest.IsIndex(desc.MediaType) {
		row.Kind = manifest.KindIndex
	}
	if n, err := v.graphs[name.Name()].Node(d); err == nil {
		row.Kind, row.MediaType, row.Size = n.Kind(), n.Descriptor.MediaType, n.Descriptor.Size
	}
	switch {
	case manifest.IsIndex(row.MediaType):
		return row
	case isAttestation(desc):
		row.Kind = manifest.KindAttestation
		return row
	}
	platform := givenPlatform(desc)
	if image := v.images[imageKey{name.Name(), d}]; platform == nil && image != nil {
		platform = image.platform
	}
	if platform != nil {
		row.Platform = manifest.OneLine(manifest.FormatPlatform(*platform), maxFinding)
	}
	return row
}

// memo keeps what was made for a key, by one caller while the others wait.
type memo[K comparable, V any] struct {
	mu   sync.Mutex
	made map[K]func() V
}

func (m *memo[K, V]) get(key K, produce func() V) V {
	m.mu.Lock()
	if m.made == nil {
		m.made = map[K]func() V{}
	}
	made, ok := m.made[key]
	if !ok {
		made = sync.OnceValue(produce)
		m.made[key] = made
	}
	m.mu.Unlock()
	return made()
}

// drop forgets a key, and returns what was made for it.
func (m *memo[K, V]) drop(key K) (v V, ok bool) {
	m.mu.Lock()
	made, ok := m.made[key]
	delete(m.made, key)
	m.mu.Unlock()
	if ok {
		v = made()
	}
	return v, ok
}

// blobKey is a blob of a repository as a manifest describes it.
type blobKey struct {
	repo   string
	digest digest.Digest
	size   int64
}
