package manifest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
)

// Node is a parsed manifest or index.
type Node struct {
	Content
	// Children are the entries of an index; Config and Layers are the blobs of an image, Layers also those of a
	// superseded artifact manifest. Config is nil for both others.
	Children []ocispec.Descriptor
	Config   *ocispec.Descriptor
	Layers   []ocispec.Descriptor
	// Subject is the subject field of the manifest, nil for none.
	Subject *ocispec.Descriptor
	// ArtifactType is the type of an artifact, "" for an image.
	ArtifactType string

	// annotations are keys and values in turn, which need less memory than a map.
	annotations []string
	// layers are those of a node of a lean graph, spilled is where its bytes are if they are not in memory.
	layers  []blobSize
	spilled int64
}

// ParseNode parses c. The error is errdefs.ErrInvalidArgument if it is neither an image or artifact manifest nor an
// index.
func ParseNode(c Content) (Node, error) {
	n, minor, err := parseNode(c)
	if err = cmp.Or(err, minor); err != nil {
		return Node{}, err
	}
	return n, nil
}

// parseNode is ParseNode, with an error of its own, minor, for fields that a copy does not need; they are then empty.
func parseNode(c Content) (n Node, minor, err error) {
	d, raw := c.Descriptor, c.Raw
	n = Node{Content: c}
	switch {
	case IsIndex(d.MediaType):
		n.Children, _, err = ParseIndex(raw)
	case IsArtifact(d.MediaType):
		n.Layers, err = parseArtifact(raw)
	default:
		var config ocispec.Descriptor
		config, n.Layers, err = ParseImage(raw)
		n.Config = &config
	}
	if err != nil {
		return Node{Content: c}, nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	var rest struct {
		ArtifactType string              `json:"artifactType"`
		Subject      *ocispec.Descriptor `json:"subject"`
		Annotations  map[string]string   `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &rest); err != nil {
		minor = Errorf(errdefs.ErrInvalidArgument, "manifest %s is not valid JSON (%w)", d.Digest, err)
	}
	if rest.Subject != nil && rest.Subject.Digest.Validate() != nil {
		minor = Errorf(errdefs.ErrInvalidArgument, "manifest %s has the subject %q", d.Digest, rest.Subject.Digest)
		rest.Subject = nil
	}
	n.Subject, n.ArtifactType = rest.Subject, rest.ArtifactType
	for key, value := range rest.Annotations {
		n.annotations = append(n.annotations, key, value)
	}
	if n.ArtifactType == "" && n.Config != nil && !IsImageConfig(n.Config.MediaType) {
		n.ArtifactType = n.Config.MediaType
	}
	if n.ArtifactType == "" && IsArtifact(d.MediaType) {
		n.ArtifactType = d.MediaType
	}
	return n, minor, nil
}

// Annotations returns the annotations of the manifest, nil for none.
func (n Node) Annotations() map[string]string {
	var out map[string]string
	for pair := range slices.Chunk(n.annotations, 2) {
		if out == nil {
			out = map[string]string{}
		}
		out[pair[0]] = pair[1]
	}
	return out
}

// Blobs returns the config, if there is one, and the layers.
func (n Node) Blobs() []ocispec.Descriptor {
	if n.Config == nil {
		return n.Layers
	}
	return append([]ocispec.Descriptor{*n.Config}, n.Layers...)
}

// IsImageConfig reports whether mediaType is that of the config of an image rather than of another artifact. Older
// images have none.
func IsImageConfig(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageConfig, MediaTypeDockerConfig, "":
		return true
	}
	return false
}

// The kinds of manifests.
const (
	KindImage       = "image"
	KindIndex       = "index"
	KindAttestation = "attestation"
	KindArtifact    = "artifact"
)

// Kind is KindIndex, KindImage or, for manifests with an artifact type or a subject, KindArtifact. Only the index
// that lists an attestation identifies it as KindAttestation.
func (n Node) Kind() string {
	switch {
	case n.ArtifactType != "" || n.Subject != nil:
		return KindArtifact
	case n.Config == nil:
		return KindIndex
	}
	return KindImage
}

// The bounds of everything below one root of a graph.
const (
	MaxDepth = 4         // levels of indexes
	maxBytes = 256 << 20 // of manifests in total
)

// Graph holds the manifests of a repository by digest. It is the only walker of indexes: it bounds their nesting and
// entries, and fetches each manifest once, however many indexes list it. Several goroutines may use it.
type Graph struct {
	// Descend, unless nil, returns what to fetch a child of an index from, or nil to leave the child out. Set it
	// before anything is read.
	Descend func(child ocispec.Descriptor) Fetcher
	// Lenient accepts manifests whose artifact type, annotations or subject are invalid, and leaves these empty. A node that
	// cannot be parsed then still has its Content.
	Lenient bool
	// Lean leaves the layers out of nodes, except for their number and sizes, and NoBytes the bytes: the nodes of a large
	// repository need most of the memory. Spill moves the bytes to a temporary file if they are many: only Content returns
	// them, until Close.
	Lean, NoBytes, Spill bool

	fetch   Fetcher
	configs memo.Memo[digest.Digest, imageConfig]

	spill spill

	mu    sync.Mutex
	found map[digest.Digest]*found
	// interrupted are those that were being read when a context ended.
	interrupted []reference.Canonical
}

// found is a node, or the error of reading it.
type found struct {
	node Node
	err  error
}

// NewGraph returns an empty graph that reads from f.
func NewGraph(f Fetcher) *Graph {
	g := &Graph{fetch: f, found: map[digest.Digest]*found{}}
	g.configs.KeepErrors = true
	return g
}

// Root is the manifest of a tag or digest when it was read.
type Root struct {
	Ref    reference.Named
	Digest digest.Digest
	// Err is the error of reading it; then Digest is empty. That of a digest that was read before is returned by Node only.
	Err error
}

// Read adds the manifests of refs, all of one repository, and everything below them, concurrently. It returns a root
// for each of refs, in order. Errors are in the roots or, below them, returned by Node; the returned error is that of
// ctx: what could not be read because of it is read by the next call.
func (g *Graph) Read(ctx context.Context, refs ...reference.Named) ([]Root, error) {
	again := g.takeInterrupted()
	Concurrently(len(again), func(i int) { g.root(ctx, again[i]) })
	roots := make([]Root, len(refs))
	Concurrently(len(refs), func(i int) { roots[i] = g.root(ctx, refs[i]) })
	return roots, ctx.Err()
}

// Workers is how many things are read at a time: more than a registry is sent requests by default.
const Workers = 128

// Concurrently calls f for each number below n, a bounded number at a time.
func Concurrently(n int, f func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, Workers) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	group.Wait()
}

func (g *Graph) root(ctx context.Context, ref reference.Named) Root {
	if at, ok := ref.(reference.Canonical); ok {
		if f, first := g.claim(at.Digest()); first {
			if err := g.read(ctx, f, g.fetch, at, 0, newAllowance()); err != nil {
				return Root{Ref: ref, Err: err}
			}
		}
		return Root{Ref: ref, Digest: at.Digest()}
	}
	c, err := g.fetch.Fetch(ctx, ref)
	if err != nil {
		return Root{Ref: ref, Err: err}
	}
	return g.Add(ctx, ref, c)
}

// Add is Read for c, which was fetched by ref.
func (g *Graph) Add(ctx context.Context, ref reference.Named, c Content) Root {
	if f, first := g.claim(c.Descriptor.Digest); first {
		g.fill(ctx, f, ref, c, 0, newAllowance())
	}
	return Root{Ref: ref, Digest: c.Descriptor.Digest}
}

// Forget makes the next Read fetch those of digests again that could not be read.
func (g *Graph) Forget(digests ...digest.Digest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range digests {
		if f, ok := g.found[d]; ok && f.err != nil {
			delete(g.found, d)
		}
	}
}

// takeInterrupted forgets what could not be read because a context had ended, and returns it.
func (g *Graph) takeInterrupted() []reference.Canonical {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := g.interrupted
	g.interrupted = nil
	for _, at := range taken {
		delete(g.found, at.Digest())
	}
	return taken
}

// allowance bounds what is still read below one root.
type allowance struct{ entries, bytes atomic.Int64 }

func newAllowance() *allowance {
	a := &allowance{}
	a.entries.Store(MaxEntries)
	a.bytes.Store(maxBytes)
	return a
}

// claim returns the entry of the node d, and whether the caller is the first to have it and fills it.
func (g *Graph) claim(d digest.Digest) (f *found, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, there := g.found[d]
	if !there {
		f = &found{}
		g.found[d] = f
	}
	return f, !there
}

// fill sets a node and reads its children, as far as left allows.
func (g *Graph) fill(ctx context.Context, f *found, repo reference.Named, c Content, depth int, left *allowance) {
	d := c.Descriptor.Digest
	n, minor, err := parseNode(c)
	if err = cmp.Or(err, minor); err != nil && !g.Lenient {
		n = Node{}
	} else if minor != nil {
		err = nil
	}
	if left.bytes.Add(-int64(len(c.Raw))) < 0 {
		n, err = Node{}, Errorf(errdefs.ErrInvalidArgument, "manifest %s is part of an index with more than %d MiB of manifests in total", d, maxBytes>>20)
	}
	if err == nil && len(n.Children) > 0 && (depth == MaxDepth || left.entries.Add(-int64(len(n.Children))) < 0) {
		n, err = Node{}, Errorf(errdefs.ErrInvalidArgument, "index %s is nested deeper than %d or part of one with more than %d entries in total",
			d, MaxDepth, MaxEntries)
	}
	if g.Lean {
		n = n.lean()
	}
	if g.Spill && err == nil {
		n.spilled = g.spill.add(n.Raw)
	}
	if g.NoBytes || n.spilled > 0 {
		n.Raw = nil
	}
	g.mu.Lock()
	f.node, f.err = n, err
	g.mu.Unlock()
	if err != nil {
		return
	}
	var group sync.WaitGroup
	for _, child := range n.Children {
		from := g.fetch
		if g.Descend != nil {
			from = g.Descend(child)
		}
		if from == nil {
			continue
		}
		if f, first := g.claim(child.Digest); first {
			group.Go(func() { _ = g.read(ctx, f, from, AtDigest(repo, child.Digest), depth+1, left) })
		}
	}
	group.Wait()
}

// read fetches a node and fills it. The error is that of fetching it.
func (g *Graph) read(ctx context.Context, f *found, from Fetcher, at reference.Canonical, depth int, left *allowance) error {
	c, err := from.Fetch(ctx, at)
	if err == nil {
		g.fill(ctx, f, at, c, depth, left)
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f.err = err
	if ctx.Err() != nil {
		g.interrupted = append(g.interrupted, at)
	}
	return err
}

// Node returns the manifest with the digest d, or the error of reading it: errdefs.ErrNotFound if the registry does not
// have it or no manifest that was read lists it.
func (g *Graph) Node(d digest.Digest) (Node, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, ok := g.found[d]
	if !ok {
		return Node{}, Errorf(errdefs.ErrNotFound, "manifest %s was not read", d)
	}
	return f.node, f.err
}

// Has reports whether the manifest d was read, successfully or not.
func (g *Graph) Has(d digest.Digest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, there := g.found[d]
	return there
}

// Entries returns the entries of the index d and of the indexes below it, each with the index that lists it:
// depth first, in the order of the indexes, each of which counts once.
func (g *Graph) Entries(d digest.Digest) iter.Seq2[Node, ocispec.Descriptor] {
	return func(yield func(Node, ocispec.Descriptor) bool) {
		seen := map[digest.Digest]bool{}
		var visit func(d digest.Digest) bool
		visit = func(d digest.Digest) bool {
			if seen[d] {
				return true
			}
			seen[d] = true
			index, _ := g.Node(d)
			for _, child := range index.Children {
				if !yield(index, child) || !visit(child.Digest) {
					return false
				}
			}
			return true
		}
		visit(d)
	}
}

// Below returns roots and all manifests below them, each once and none before an index that lists it, including those
// that could not be read.
func (g *Graph) Below(roots ...digest.Digest) []digest.Digest {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := map[digest.Digest]bool{}
	var out []digest.Digest // children first
	var visit func(d digest.Digest)
	visit = func(d digest.Digest) {
		if seen[d] {
			return
		}
		seen[d] = true
		if f, ok := g.found[d]; ok {
			for _, child := range slices.Backward(f.node.Children) {
				visit(child.Digest)
			}
		}
		out = append(out, d)
	}
	for _, d := range slices.Backward(roots) {
		visit(d)
	}
	slices.Reverse(out)
	return out
}
