// Package fakes has registries, a daemon and a store of local lists in memory, for the tests of the packages that
// work on the interfaces of package manifest.
package fakes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// Registry is a registry for all hosts. It implements all interfaces of package manifest that a registry can have.
type Registry struct {
	Mu          sync.Mutex
	Manifests   map[string][]byte           // by "repository@digest" and "repository:tag"
	Types       map[digest.Digest]string    // media types
	Blobs       map[digest.Digest][]byte    // of all repositories
	Errs        map[string]error            // by reference, or "METHOD reference"
	Log         []string                    // of requests
	Prefetched  []string                    // the announced repositories, and the images prefetched
	Conditional bool                        // checks the conditions of writes
	NoUntag     bool                        // has no way to remove a tag
	Greedy      bool                        // deletes the manifest and all its tags with a tag
	Deaf        bool                        // answers every deletion with not found
	TagsFirst   bool                        // deletes no manifest that has a tag
	Dangling    bool                        // keeps tags of a deleted manifest that come while it is deleted
	Separate    bool                        // keeps all tags of a deleted manifest, with their content
	Cascade     bool                        // deletes the referrers of a manifest with it
	Deleted     func()                      // called at each deletion
	Listing     func()                      // called before each listing of a repository
	Asked       func(request string)        // called before each request, and as "deleting REFERENCE" during a deletion
	NoReferrers bool                        // has no referrers API
	Others      []string                    // names in the list of tags that are not valid tags
	HasListing  bool                        // lists all manifests of a repository
	Arrived     map[digest.Digest]time.Time // the times in that listing

	unlisted map[string][]manifest.Node // by repository
	parsed   map[string]manifest.Node   // by the bytes of the manifest
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{unlisted: map[string][]manifest.Node{}, parsed: map[string]manifest.Node{}, Manifests: map[string][]byte{}, Types: map[digest.Digest]string{}, Blobs: map[digest.Digest][]byte{}, Errs: map[string]error{}}
}

func key(ref reference.Named) string {
	if d, ok := ref.(reference.Canonical); ok {
		return ref.Name() + "@" + d.Digest().String()
	}
	return ref.String()
}

// record adds a line to the log.
func (m *Registry) record(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	m.Log = append(m.Log, line)
	m.asked(line)
}

func (m *Registry) asked(request string) {
	if m.Asked != nil {
		m.Asked(request)
	}
}

// Fetch implements [manifest.Fetcher].
func (m *Registry) Fetch(_ context.Context, ref reference.Named) (manifest.Content, error) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.record("fetch %s", manifest.Familiar(ref))
	if err := m.Errs[ref.String()]; err != nil {
		return manifest.Content{}, err
	}
	raw, ok := m.Manifests[key(ref)]
	d := digest.FromBytes(raw)
	if _, exists := m.Manifests[ref.Name()+"@"+d.String()]; !ok || m.Dangling && !exists {
		return manifest.Content{}, manifest.NoManifest(ref, manifest.Errorf(errdefs.ErrNotFound, "registry: %s unknown", ref))
	}
	return manifest.NewContent(m.Types[d], raw), nil
}

// Blob implements [manifest.Fetcher].
func (m *Registry) Blob(_ context.Context, _ reference.Named, d ocispec.Descriptor) ([]byte, error) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.record("blob")
	raw, ok := m.Blobs[d.Digest]
	if !ok {
		return nil, manifest.Errorf(errdefs.ErrNotFound, "blob %s unknown", d.Digest)
	}
	return raw, nil
}

// Digest implements [manifest.Fetcher].
func (m *Registry) Digest(ctx context.Context, ref reference.Named) (digest.Digest, error) {
	c, err := m.Fetch(ctx, ref)
	return c.Descriptor.Digest, err
}

// Settled returns what a tag points to.
func (m *Registry) Settled(ctx context.Context, tag reference.NamedTagged) (digest.Digest, error) {
	return m.Digest(ctx, tag)
}

// Source implements [manifest.Target].
func (m *Registry) Source() manifest.Reader { return m }

// Copy implements [manifest.Target].
func (m *Registry) Copy(_ context.Context, from reference.Named, c manifest.Content, to reference.Named) error {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.record("copy %s to %s", manifest.Familiar(from), manifest.Familiar(to))
	m.putSubject(to, c)
	m.Manifests[to.Name()+"@"+c.Descriptor.Digest.String()] = c.Raw
	return m.Errs["copy"]
}

// CopyBlobs implements [manifest.Target].
func (m *Registry) CopyBlobs(_ context.Context, from reference.Named, _ manifest.Content, to reference.Named) error {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.record("blobs of %s to %s", manifest.Familiar(from), manifest.Familiar(to))
	return m.Errs["copy"]
}

// Put implements [manifest.Target].
func (m *Registry) Put(_ context.Context, ref reference.Named, c manifest.Content, tags ...string) error {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	refs := []reference.Named{ref}
	for _, tag := range tags {
		name, err := reference.WithTag(reference.TrimNamed(ref), tag)
		if err != nil {
			return err
		}
		refs = append(refs, name)
	}
	for _, ref := range refs {
		m.record("put %s", manifest.Familiar(ref))
		if err := m.Errs["put "+ref.String()]; err != nil {
			return err
		}
		m.Store(ref, c.Descriptor.MediaType, c.Raw)
	}
	m.putSubject(ref, c)
	return nil
}

// PutIf implements [manifest.Target]. It checks the condition if the registry is Conditional.
func (m *Registry) PutIf(ctx context.Context, tag reference.NamedTagged, c manifest.Content, before digest.Digest) error {
	m.Mu.Lock()
	raw, exists := m.Manifests[key(tag)]
	current := digest.Digest("")
	if exists {
		current = digest.FromBytes(raw)
	}
	m.Mu.Unlock()
	if m.Conditional && current != before {
		return manifest.Errorf(errdefs.ErrFailedPrecondition, "registry: %s is %s", tag, current)
	}
	return m.Put(ctx, tag, c)
}

// putSubject records that a manifest with a subject was put, unless the registry acknowledges that.
func (m *Registry) putSubject(repo reference.Named, c manifest.Content) {
	n, err := manifest.ParseNode(c)
	if err == nil && n.Subject != nil && m.NoReferrers {
		m.unlisted[repo.Name()] = append(m.unlisted[repo.Name()], n)
	}
}

// Unlisted implements [manifest.Subjects].
func (m *Registry) Unlisted(repo reference.Named) []manifest.Node {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	nodes := m.unlisted[repo.Name()]
	delete(m.unlisted, repo.Name())
	return nodes
}

// Prefetch implements [manifest.Prefetcher].
func (m *Registry) Prefetch(_ context.Context, to reference.Named, from []reference.Named) manifest.Fetcher {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.Prefetched = append(m.Prefetched, manifest.Familiar(to))
	for _, ref := range from {
		m.Prefetched = append(m.Prefetched, manifest.Familiar(ref))
	}
	return prefetching{m}
}

// prefetching records the images that it fetches.
type prefetching struct{ *Registry }

func (p prefetching) Fetch(ctx context.Context, ref reference.Named) (manifest.Content, error) {
	c, err := p.Registry.Fetch(ctx, ref)
	if err == nil && manifest.IsImage(c.Descriptor.MediaType) {
		p.Mu.Lock()
		defer p.Mu.Unlock()
		p.Prefetched = append(p.Prefetched, "image "+manifest.Familiar(ref))
	}
	return c, err
}

// Store stores a manifest under a reference and its digest, and returns the digest.
func (m *Registry) Store(ref reference.Named, mediaType string, raw []byte) digest.Digest {
	d := digest.FromBytes(raw)
	m.Types[d] = mediaType
	m.Manifests[ref.Name()+"@"+d.String()] = raw
	m.Manifests[key(ref)] = raw
	return d
}

// Repositories implements [manifest.Lister].
func (m *Registry) Repositories(context.Context, string) ([]string, error) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	repos := map[string]bool{}
	for ref := range m.Manifests {
		_, path, _ := strings.Cut(ref, "/")
		repos[path[:strings.IndexAny(path, ":@")]] = true
	}
	return slices.Sorted(maps.Keys(repos)), nil
}

// Tags implements [manifest.Lister].
func (m *Registry) Tags(_ context.Context, repo reference.Named) (tags, others []string, err error) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.asked("list " + repo.Name())
	if m.Listing != nil {
		m.Listing()
	}
	if err := m.Errs["tags "+repo.Name()]; err != nil {
		return nil, nil, err
	}
	for ref := range m.Manifests {
		if tag, ok := strings.CutPrefix(ref, repo.Name()+":"); ok {
			tags = append(tags, tag)
		}
	}
	if tags == nil {
		return nil, nil, manifest.Errorf(errdefs.ErrNotFound, "repository %s unknown", repo.Name())
	}
	slices.Sort(tags)
	return tags, m.Others, nil
}

// Referrers implements [manifest.Lister].
func (m *Registry) Referrers(_ context.Context, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.record("referrers of %s", manifest.Familiar(subject))
	if m.NoReferrers {
		return nil, manifest.Errorf(errdefs.ErrNotImplemented, "no referrers API")
	}
	if err := m.Errs["referrers"]; err != nil {
		return nil, err
	}
	return m.referrers(subject), nil
}

func (m *Registry) referrers(subject reference.Canonical) (out []ocispec.Descriptor) {
	for ref, raw := range m.Manifests {
		d, isDigest := strings.CutPrefix(ref, subject.Name()+"@")
		if !isDigest {
			continue
		}
		n := m.parse(raw)
		if n.Descriptor.Digest.String() == d && n.Subject != nil && n.Subject.Digest == subject.Digest() {
			n.Descriptor.ArtifactType, n.Descriptor.Annotations = n.ArtifactType, n.Annotations()
			out = append(out, n.Descriptor)
		}
	}
	slices.SortFunc(out, func(a, b ocispec.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	return out
}

// parse returns a manifest, parsed once; one that is not valid has no subject.
func (m *Registry) parse(raw []byte) manifest.Node {
	n, known := m.parsed[string(raw)]
	if !known {
		c := manifest.NewContent(m.Types[digest.FromBytes(raw)], raw)
		if n, _ = manifest.ParseNode(c); n.Raw == nil {
			n = manifest.Node{Content: c}
		}
		m.parsed[string(raw)] = n
	}
	return n
}

// Inventory implements [manifest.Lister].
func (m *Registry) Inventory(_ context.Context, repo reference.Named) ([]manifest.Listed, error) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	if !m.HasListing {
		return nil, manifest.Errorf(errdefs.ErrNotImplemented, "%s lists tags alone", reference.Domain(repo))
	}
	m.asked("list " + repo.Name())
	if m.Listing != nil {
		m.Listing()
	}
	byDigest := map[digest.Digest]*manifest.Listed{}
	for _, ref := range slices.Sorted(maps.Keys(m.Manifests)) {
		rest, ok := strings.CutPrefix(ref, repo.Name())
		if !ok || !strings.ContainsRune(":@", rune(rest[0])) {
			continue
		}
		d := digest.FromBytes(m.Manifests[ref])
		if byDigest[d] == nil {
			byDigest[d] = &manifest.Listed{Digest: d, MediaType: m.Types[d], Created: m.Arrived[d]}
		}
		if tag, ok := strings.CutPrefix(rest, ":"); ok {
			byDigest[d].Tags = append(byDigest[d].Tags, tag)
		}
	}
	for _, name := range m.Others {
		if l := byDigest[digest.Digest(name)]; l != nil {
			l.Others = append(l.Others, name)
		}
	}
	var out []manifest.Listed
	for _, d := range slices.Sorted(maps.Keys(byDigest)) {
		out = append(out, *byDigest[d])
	}
	return out, nil
}

// BlobSize implements [manifest.Blobs].
func (m *Registry) BlobSize(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (int64, error) {
	raw, err := m.Blob(ctx, repo, d)
	return int64(len(raw)), err
}

// OpenBlob implements [manifest.Blobs].
func (m *Registry) OpenBlob(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (io.ReadCloser, error) {
	raw, err := m.Blob(ctx, repo, d)
	if err == nil && digest.FromBytes(raw) != d.Digest {
		err = manifest.Errorf(errdefs.ErrDataLoss, "blob %s has another digest", d.Digest)
	}
	return io.NopCloser(bytes.NewReader(raw)), err
}

// Delete implements [manifest.Deleter].
func (m *Registry) Delete(_ context.Context, at reference.Canonical) error {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.record("delete %s", manifest.Familiar(at))
	if err := m.Errs["delete "+at.String()]; err != nil {
		return err
	}
	if _, ok := m.Manifests[key(at)]; !ok || m.Deaf {
		return manifest.Errorf(errdefs.ErrNotFound, "registry: %s unknown", at)
	}
	if m.TagsFirst && slices.ContainsFunc(slices.Collect(maps.Keys(m.Manifests)), func(ref string) bool {
		return strings.HasPrefix(ref, at.Name()+":") && digest.FromBytes(m.Manifests[ref]) == at.Digest()
	}) {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s has a tag", at)
	}
	m.forget(at)
	if m.Deleted != nil {
		m.Deleted()
	}
	return nil
}

// forget removes a manifest and all its tags.
func (m *Registry) forget(at reference.Canonical) {
	var referrers []ocispec.Descriptor
	if m.Cascade {
		referrers = m.referrers(at)
	}
	tags := func() {
		maps.DeleteFunc(m.Manifests, func(ref string, raw []byte) bool {
			return strings.HasPrefix(ref, at.Name()+":") && digest.FromBytes(raw) == at.Digest()
		})
	}
	if !m.Separate {
		tags()
	}
	m.asked("deleting " + manifest.Familiar(at))
	if !m.Separate && !m.Dangling {
		tags()
	}
	delete(m.Manifests, key(at))
	for _, r := range referrers {
		m.forget(manifest.AtDigest(at, r.Digest))
	}
}

// Deletes implements [manifest.Deleter].
func (m *Registry) Deletes(_ context.Context, repo reference.Named) error {
	return m.Errs["deletes "+repo.Name()]
}

// Untags implements [manifest.Deleter].
func (m *Registry) Untags(context.Context, reference.Named) error {
	if m.NoUntag {
		return manifest.Errorf(errdefs.ErrNotImplemented, "unsupported")
	}
	return nil
}

// Untag implements [manifest.Deleter].
func (m *Registry) Untag(ctx context.Context, name reference.NamedTagged) error {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	if m.NoUntag {
		return manifest.Errorf(errdefs.ErrNotImplemented, "unsupported")
	}
	m.record("untag %s", manifest.Familiar(name))
	if err := m.Errs["untag "+name.String()]; err != nil {
		return err
	}
	if m.Greedy {
		m.forget(manifest.AtDigest(name, digest.FromBytes(m.Manifests[key(name)])))
	}
	delete(m.Manifests, key(name))
	if m.Deleted != nil {
		m.Deleted()
	}
	return ctx.Err() // interrupted, the answer is not waited for
}

// Image stores an image whose config has this platform, and returns its descriptor in an index. Images with
// another seed have another digest.
func (m *Registry) Image(t *testing.T, name, mediaType, platform string, seed ...string) ocispec.Descriptor {
	t.Helper()
	p, err := manifest.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := json.Marshal(struct {
		ocispec.Platform
		Seed []string
	}{p.Platform, seed})
	c := digest.FromBytes(config)
	m.Blobs[c] = config
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		mediaType, ocispec.MediaTypeImageConfig, c, len(config))
	d := m.Store(Named(t, name), mediaType, raw)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw)), Platform: &p.Platform}
}

// Attestation stores an attestation manifest of an image and returns its descriptor in an index.
func (m *Registry) Attestation(t *testing.T, name string, of digest.Digest) ocispec.Descriptor {
	t.Helper()
	d := m.Image(t, name, ocispec.MediaTypeImageManifest, "linux/386", "attestation", of.String())
	d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest: of.String()}
	return d
}

// Index stores an index and returns its descriptor.
func (m *Registry) Index(t *testing.T, name, mediaType string, children ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	raw, err := manifest.MarshalIndex(mediaType, children, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: m.Store(Named(t, name), mediaType, raw), Size: int64(len(raw))}
}

// Daemon is a daemon that pushes to a Registry.
type Daemon struct {
	Mu      sync.Mutex
	Images  map[string]manifest.Local
	Content map[digest.Digest]manifest.Content // what an image is pushed as, by ID
	to      *Registry
	Pushed  func() // called at each push
	Tagged  func() // called at each tag
	Err     error
	Log     []string
}

// NewDaemon returns a daemon without images that pushes to a registry.
func NewDaemon(to *Registry) *Daemon {
	return &Daemon{Images: map[string]manifest.Local{}, Content: map[digest.Digest]manifest.Content{}, to: to}
}

// Holds adds an image of src under the name as.
func (e *Daemon) Holds(t *testing.T, src *Registry, name, as string) manifest.Local {
	t.Helper()
	c, err := src.Fetch(t.Context(), Named(t, name))
	if err != nil {
		t.Fatal(err)
	}
	config, _, err := manifest.ParseImage(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := manifest.ParseConfig(src.Blobs[config.Digest])
	if err != nil {
		t.Fatal(err)
	}
	local := manifest.Local{Name: Named(t, as), ID: config.Digest, Platform: p}
	e.Images[local.Name.String()] = local
	e.Content[local.ID] = c
	return local
}

// Find implements [manifest.Images].
func (e *Daemon) Find(ctx context.Context, ref reference.Named) (manifest.Local, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if e.Err != nil {
		return manifest.Local{}, e.Err
	}
	local, ok := e.Images[ref.String()]
	if !ok {
		return manifest.Local{}, manifest.Errorf(errdefs.ErrNotFound, "no such image: %s", manifest.Familiar(ref))
	}
	local.Name = ref
	return local, ctx.Err()
}

// List returns the familiar names of the images.
func (e *Daemon) List(context.Context) ([]string, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	var names []string
	for _, l := range e.Images {
		names = append(names, manifest.Familiar(l.Name))
	}
	return names, e.Err
}

// Tag implements [manifest.Images].
func (e *Daemon) Tag(_ context.Context, id digest.Digest, as reference.NamedTagged) error {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Log = append(e.Log, "tag "+manifest.Familiar(as))
	if e.Tagged != nil {
		e.Tagged()
	}
	for _, l := range e.Images {
		if l.ID == id {
			e.Images[as.String()] = l
			return nil
		}
	}
	return manifest.Errorf(errdefs.ErrNotFound, "no such image %s", id)
}

// Untag implements [manifest.Images].
func (e *Daemon) Untag(_ context.Context, name reference.NamedTagged) error {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Log = append(e.Log, "untag "+manifest.Familiar(name))
	delete(e.Images, name.String())
	return nil
}

// Push implements [manifest.Images].
func (e *Daemon) Push(_ context.Context, name reference.NamedTagged, p *ocispec.Platform) (digest.Digest, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	local, ok := e.Images[name.String()]
	if !ok {
		return "", manifest.Errorf(errdefs.ErrNotFound, "no such image %s", name)
	}
	if e.Pushed != nil {
		e.Pushed()
	}
	if err := e.to.Errs["push"]; err != nil {
		return "", err
	}
	e.Log = append(e.Log, "push "+manifest.Familiar(name))
	return e.store(name, local, p), nil
}

// store stores an image, or one platform of it, in the registry.
func (e *Daemon) store(name reference.Named, local manifest.Local, p *ocispec.Platform) digest.Digest {
	id := local.ID
	for _, m := range local.Manifests {
		if p != nil && m.Available && m.Descriptor.Platform != nil && manifest.PlatformKey(*m.Descriptor.Platform) == manifest.PlatformKey(*p) {
			id = m.Descriptor.Digest
		}
	}
	e.to.Mu.Lock()
	defer e.to.Mu.Unlock()
	return e.to.Store(name, e.Content[id].Descriptor.MediaType, e.Content[id].Raw)
}

// Save implements [manifest.Images]: the registry has the archive.
func (e *Daemon) Save(_ context.Context, image manifest.Local, p *ocispec.Platform) (reference.NamedTagged, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Log = append(e.Log, "save "+manifest.Familiar(image.Name))
	at := manifest.OnlyImageOf(manifest.ArchiveScheme, fmt.Sprintf("saved-%d", len(e.Log)))
	e.store(at, image, p)
	return at, nil
}

// Reporter collects notes and warnings.
type Reporter struct {
	mu              sync.Mutex
	Notes, Warnings []string
}

// Note implements [manifest.Reporter].
func (s *Reporter) Note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// Warn implements [manifest.Reporter].
func (s *Reporter) Warn(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// Lists is a store of local lists, by name.
type Lists map[string]manifest.List

// Get implements [manifest.Lists].
func (s Lists) Get(name reference.Named) (manifest.List, error) {
	l, ok := s[name.String()]
	if !ok {
		return l, manifest.NoList(name)
	}
	return l, nil
}

// Update implements [manifest.Lists].
func (s Lists) Update(_ context.Context, name reference.Named, change func(manifest.List) (manifest.List, error)) error {
	old, ok := s[name.String()]
	if !ok {
		old = manifest.List{Name: name}
	}
	l, err := change(old)
	if err != nil {
		return err
	}
	if len(l.Entries) == 0 {
		delete(s, name.String())
		return nil
	}
	s[name.String()] = l
	return nil
}

// Replace implements [manifest.Lists].
func (s Lists) Replace(_ context.Context, list manifest.List) error {
	s[list.Name.String()] = list
	return nil
}

// Named returns the reference that s names.
func Named(t *testing.T, s string) reference.Named {
	t.Helper()
	n, err := manifest.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ListName returns the list name that s names.
func ListName(t *testing.T, s string) reference.NamedTagged {
	t.Helper()
	n, err := manifest.ParseListName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Fixture is everything that operations on lists need.
type Fixture struct {
	Registry *Registry
	Daemon   *Daemon
	Notes    *Reporter
	Lists    Lists
}

// NewFixture returns a fixture whose daemon pushes to its registry.
func NewFixture() Fixture {
	m := NewRegistry()
	return Fixture{m, NewDaemon(m), &Reporter{}, Lists{}}
}

// Clients returns the clients of the fixture.
func (w Fixture) Clients() publish.Clients {
	return publish.Clients{Registry: w.Registry, Images: w.Daemon, Names: w.Daemon.List, Reporter: w.Notes}
}

// Artifact stores an artifact with this subject, or with none, and returns its digest.
func (m *Registry) Artifact(t *testing.T, name string, subject digest.Digest) digest.Digest {
	t.Helper()
	config := []byte("{}")
	c := digest.FromBytes(config)
	m.Blobs[c] = config
	rest := ""
	if subject != "" {
		rest = fmt.Sprintf(`,"subject":{"digest":%q,"size":1}`, subject)
	}
	raw := fmt.Appendf(nil, `{"mediaType":%q,"artifactType":"application/x-signature","config":{"mediaType":%q,"digest":%q,"size":2},"layers":[]%s}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeEmptyJSON, c, rest)
	return m.Store(Named(t, name), ocispec.MediaTypeImageManifest, raw)
}

// Dated stores an image whose config has this creation time.
func (m *Registry) Dated(t *testing.T, name, created string) ocispec.Descriptor {
	t.Helper()
	config := []byte(`{"os":"linux","architecture":"amd64","created":` + created + `}`)
	c := digest.FromBytes(config)
	m.Blobs[c] = config
	raw := fmt.Appendf(nil, `{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, c, len(config))
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: m.Store(Named(t, name), ocispec.MediaTypeImageManifest, raw), Size: int64(len(raw))}
}

// Patterns parses tag patterns.
func Patterns(t *testing.T, typed ...string) (out []manifest.Pattern) {
	t.Helper()
	for _, s := range typed {
		p, err := manifest.ParsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// Creation returns a Creation of a list from these sources.
func Creation(t *testing.T, list string, sources ...string) publish.Creation {
	t.Helper()
	c := publish.Creation{Name: ListName(t, list)}
	for _, typed := range sources {
		s, err := publish.ParseSource(typed, list)
		if err != nil {
			t.Fatal(err)
		}
		c.Sources = append(c.Sources, s)
	}
	return c
}

// Pattern parses a tag pattern; "" matches all tags.
func Pattern(t *testing.T, typed string) manifest.Pattern {
	t.Helper()
	if typed == "" {
		return manifest.Pattern{}
	}
	return Patterns(t, typed)[0]
}
