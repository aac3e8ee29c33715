package manifest

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
)

// memory is a registry of all hosts: manifests by "repository@digest" and "repository:tag".
type memory struct {
	mu          sync.Mutex
	manifests   map[string][]byte
	types       map[digest.Digest]string
	blobs       map[digest.Digest][]byte
	errs        map[string]error // by reference
	log         []string
	expected    []string // what was told ahead
	noUntag     bool
	greedy      bool                        // deletes the manifest, and all its tags, with a tag
	deaf        bool                        // answers to a deletion that there is nothing
	tagsFirst   bool                        // deletes no manifest that has a tag
	deleted     func()                      // called at each deletion
	noReferrers bool                        // has no referrers API
	lists       bool                        // has a listing of its own
	arrived     map[digest.Digest]time.Time // for that listing
}

func newMemory() *memory {
	return &memory{manifests: map[string][]byte{}, types: map[digest.Digest]string{}, blobs: map[digest.Digest][]byte{}, errs: map[string]error{}}
}

func key(ref reference.Named) string {
	if d, ok := ref.(reference.Canonical); ok {
		return ref.Name() + "@" + d.Digest().String()
	}
	return ref.String()
}

func (m *memory) say(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *memory) Fetch(_ context.Context, ref reference.Named) (ocispec.Descriptor, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say("fetch %s", Familiar(ref))
	if err := m.errs[ref.String()]; err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	raw, ok := m.manifests[key(ref)]
	if !ok {
		return ocispec.Descriptor{}, nil, Errorf(errdefs.ErrNotFound, "registry: %s unknown", ref)
	}
	d := digest.FromBytes(raw)
	return ocispec.Descriptor{MediaType: m.types[d], Digest: d, Size: int64(len(raw))}, raw, nil
}

func (m *memory) Blob(_ context.Context, _ reference.Named, d ocispec.Descriptor) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say("blob")
	raw, ok := m.blobs[d.Digest]
	if !ok {
		return nil, Errorf(errdefs.ErrNotFound, "blob %s unknown", d.Digest)
	}
	return raw, nil
}

func (m *memory) Digest(ctx context.Context, ref reference.Named) (digest.Digest, error) {
	d, _, err := m.Fetch(ctx, ref)
	return d.Digest, err
}

func (m *memory) Copy(_ context.Context, from reference.Named, d ocispec.Descriptor, raw []byte, to reference.Named) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say("copy %s to %s", Familiar(from), Familiar(to))
	m.manifests[to.Name()+"@"+d.Digest.String()] = raw
	return m.errs["copy"]
}

func (m *memory) CopyBlobs(_ context.Context, from reference.Named, _ ocispec.Descriptor, _ []byte, to reference.Named) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say("blobs of %s to %s", Familiar(from), Familiar(to))
	return m.errs["copy"]
}

func (m *memory) Put(_ context.Context, ref reference.Named, mediaType string, raw []byte, tags ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	refs := []reference.Named{ref}
	for _, tag := range tags {
		name, err := reference.WithTag(reference.TrimNamed(ref), tag)
		if err != nil {
			return err
		}
		refs = append(refs, name)
	}
	for _, ref := range refs {
		m.say("put %s", Familiar(ref))
		if err := m.errs["put "+ref.String()]; err != nil {
			return err
		}
		m.put(ref, mediaType, raw)
	}
	return nil
}

func (m *memory) Expect(_ context.Context, to reference.Named, from []reference.Named) func(reference.Named, ocispec.Descriptor, []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expected = append(m.expected, Familiar(to))
	for _, ref := range from {
		m.expected = append(m.expected, Familiar(ref))
	}
	return func(from reference.Named, _ ocispec.Descriptor, _ []byte) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.expected = append(m.expected, "image "+Familiar(from))
	}
}

func (m *memory) put(ref reference.Named, mediaType string, raw []byte) digest.Digest {
	d := digest.FromBytes(raw)
	m.types[d] = mediaType
	m.manifests[ref.Name()+"@"+d.String()] = raw
	m.manifests[key(ref)] = raw
	return d
}

func (m *memory) Repositories(context.Context, string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	repos := map[string]bool{}
	for ref := range m.manifests {
		_, path, _ := strings.Cut(ref, "/")
		repos[path[:strings.IndexAny(path, ":@")]] = true
	}
	return slices.Sorted(maps.Keys(repos)), nil
}

func (m *memory) Tags(_ context.Context, repo reference.Named) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.errs["tags "+repo.Name()]; err != nil {
		return nil, err
	}
	var tags []string
	for ref := range m.manifests {
		if tag, ok := strings.CutPrefix(ref, repo.Name()+":"); ok {
			tags = append(tags, tag)
		}
	}
	if tags == nil {
		return nil, Errorf(errdefs.ErrNotFound, "repository %s unknown", repo.Name())
	}
	slices.Sort(tags)
	return tags, nil
}

func (m *memory) Referrers(_ context.Context, subject reference.Canonical) ([]ocispec.Descriptor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say("referrers of %s", Familiar(subject))
	if m.noReferrers {
		return nil, Errorf(errdefs.ErrNotImplemented, "no referrers API")
	}
	if err := m.errs["referrers"]; err != nil {
		return nil, err
	}
	var out []ocispec.Descriptor
	for ref, raw := range m.manifests {
		d := digest.FromBytes(raw)
		n, err := ParseNode(ocispec.Descriptor{MediaType: m.types[d], Digest: d, Size: int64(len(raw))}, raw)
		if err == nil && ref == subject.Name()+"@"+d.String() && n.Subject != nil && n.Subject.Digest == subject.Digest() {
			n.Descriptor.ArtifactType, n.Descriptor.Annotations = n.ArtifactType, n.Annotations
			out = append(out, n.Descriptor)
		}
	}
	return out, nil
}

func (m *memory) Inventory(_ context.Context, repo reference.Named) ([]Listed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.lists {
		return nil, Errorf(errdefs.ErrNotImplemented, "%s lists tags alone", reference.Domain(repo))
	}
	byDigest := map[digest.Digest]*Listed{}
	for _, ref := range slices.Sorted(maps.Keys(m.manifests)) {
		rest, ok := strings.CutPrefix(ref, repo.Name())
		if !ok || !strings.ContainsRune(":@", rune(rest[0])) {
			continue
		}
		d := digest.FromBytes(m.manifests[ref])
		if byDigest[d] == nil {
			byDigest[d] = &Listed{Digest: d, MediaType: m.types[d], Created: m.arrived[d]}
		}
		if tag, ok := strings.CutPrefix(rest, ":"); ok {
			byDigest[d].Tags = append(byDigest[d].Tags, tag)
		}
	}
	var out []Listed
	for _, d := range slices.Sorted(maps.Keys(byDigest)) {
		out = append(out, *byDigest[d])
	}
	return out, nil
}

func (m *memory) BlobSize(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (int64, error) {
	raw, err := m.Blob(ctx, repo, d)
	return int64(len(raw)), err
}

func (m *memory) OpenBlob(ctx context.Context, repo reference.Named, d ocispec.Descriptor) (io.ReadCloser, error) {
	raw, err := m.Blob(ctx, repo, d)
	if err == nil && digest.FromBytes(raw) != d.Digest {
		err = Errorf(errdefs.ErrDataLoss, "blob %s has another digest", d.Digest)
	}
	return io.NopCloser(bytes.NewReader(raw)), err
}

func (m *memory) Delete(_ context.Context, at reference.Canonical) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say("delete %s", Familiar(at))
	if err := m.errs["delete "+at.String()]; err != nil {
		return err
	}
	if _, ok := m.manifests[key(at)]; !ok || m.deaf {
		return Errorf(errdefs.ErrNotFound, "registry: %s unknown", at)
	}
	if m.tagsFirst && slices.ContainsFunc(slices.Collect(maps.Keys(m.manifests)), func(ref string) bool {
		return strings.HasPrefix(ref, at.Name()+":") && digest.FromBytes(m.manifests[ref]) == at.Digest()
	}) {
		return Errorf(errdefs.ErrInvalidArgument, "%s has a tag", at)
	}
	m.forget(at)
	if m.deleted != nil {
		m.deleted()
	}
	return nil
}

// forget removes a manifest and all its tags.
func (m *memory) forget(at reference.Canonical) {
	maps.DeleteFunc(m.manifests, func(ref string, raw []byte) bool {
		return digest.FromBytes(raw) == at.Digest() && strings.HasPrefix(ref, at.Name()) && strings.ContainsRune(":@", rune(ref[len(at.Name())]))
	})
}

func (m *memory) Deletes(_ context.Context, repo reference.Named) error {
	return m.errs["deletes "+repo.Name()]
}

func (m *memory) Untags(context.Context, reference.Named) error {
	if m.noUntag {
		return Errorf(errdefs.ErrNotImplemented, "unsupported")
	}
	return nil
}

func (m *memory) Untag(ctx context.Context, name reference.NamedTagged) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noUntag {
		return Errorf(errdefs.ErrNotImplemented, "unsupported")
	}
	m.say("untag %s", Familiar(name))
	if err := m.errs["untag "+name.String()]; err != nil {
		return err
	}
	if m.greedy {
		m.forget(atDigest(name, digest.FromBytes(m.manifests[key(name)])))
	}
	delete(m.manifests, key(name))
	if m.deleted != nil {
		m.deleted()
	}
	return ctx.Err() // interrupted, the answer is not waited for
}

// image puts an image with a config for this platform under a name and returns its descriptor.
func (m *memory) image(t *testing.T, name, mediaType, platform string, seed ...string) ocispec.Descriptor {
	t.Helper()
	p, err := ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := json.Marshal(struct {
		ocispec.Platform
		Seed []string
	}{p.Platform, seed})
	c := digest.FromBytes(config)
	m.blobs[c] = config
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		mediaType, ocispec.MediaTypeImageConfig, c, len(config))
	d := m.put(named(t, name), mediaType, raw)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw)), Platform: &p.Platform}
}

// attestation puts an attestation manifest of an image and returns its descriptor in an index.
func (m *memory) attestation(t *testing.T, name string, of digest.Digest) ocispec.Descriptor {
	t.Helper()
	d := m.image(t, name, ocispec.MediaTypeImageManifest, "linux/386", "attestation", of.String())
	d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{annotationReferenceType: referenceTypeAttestation, annotationReferenceDigest: of.String()}
	return d
}

// index puts an index under a name and returns its digest.
func (m *memory) index(t *testing.T, name, mediaType string, children ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	raw, err := MarshalIndex(mediaType, children, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: m.put(named(t, name), mediaType, raw), Size: int64(len(raw))}
}

// engine is a daemon whose pushes go to a memory.
type engine struct {
	mu     sync.Mutex
	images map[string]Local
	bytes  map[digest.Digest]ocispec.Descriptor // what an image is pushed as, by ID
	raw    map[digest.Digest][]byte
	to     *memory
	pushed func() // called at each push
	tagged func() // called at each tag
	err    error
	log    []string
}

func newEngine(to *memory) *engine {
	return &engine{images: map[string]Local{}, bytes: map[digest.Digest]ocispec.Descriptor{}, raw: map[digest.Digest][]byte{}, to: to}
}

// holds puts an image, as src has it under name, into the daemon under the name as.
func (e *engine) holds(t *testing.T, src *memory, name, as string) Local {
	t.Helper()
	d, raw, err := src.Fetch(t.Context(), named(t, name))
	if err != nil {
		t.Fatal(err)
	}
	config, _, err := ParseImage(raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseConfig(src.blobs[config.Digest])
	if err != nil {
		t.Fatal(err)
	}
	local := Local{Name: named(t, as), ID: config.Digest, Platform: p}
	e.images[local.Name.String()] = local
	e.bytes[local.ID], e.raw[local.ID] = d, raw
	return local
}

func (e *engine) Find(ctx context.Context, ref reference.Named) (Local, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return Local{}, e.err
	}
	local, ok := e.images[ref.String()]
	if !ok {
		return Local{}, Errorf(errdefs.ErrNotFound, "no such image: %s", Familiar(ref))
	}
	local.Name = ref
	return local, ctx.Err()
}

func (e *engine) Tag(_ context.Context, id digest.Digest, as reference.NamedTagged) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = append(e.log, "tag "+Familiar(as))
	if e.tagged != nil {
		e.tagged()
	}
	for _, l := range e.images {
		if l.ID == id {
			e.images[as.String()] = l
			return nil
		}
	}
	return Errorf(errdefs.ErrNotFound, "no such image %s", id)
}

func (e *engine) Untag(_ context.Context, name reference.NamedTagged) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = append(e.log, "untag "+Familiar(name))
	delete(e.images, name.String())
	return nil
}

func (e *engine) Push(_ context.Context, name reference.NamedTagged, p *ocispec.Platform) (digest.Digest, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	local, ok := e.images[name.String()]
	if !ok {
		return "", Errorf(errdefs.ErrNotFound, "no such image %s", name)
	}
	if e.pushed != nil {
		e.pushed()
	}
	if err := e.to.errs["push"]; err != nil {
		return "", err
	}
	id := local.ID
	for _, m := range local.Manifests {
		if p != nil && m.Available && m.Descriptor.Platform != nil && platformKey(*m.Descriptor.Platform) == platformKey(*p) {
			id = m.Descriptor.Digest
		}
	}
	e.log = append(e.log, "push "+Familiar(name))
	e.to.mu.Lock()
	defer e.to.mu.Unlock()
	return e.to.put(name, e.bytes[id].MediaType, e.raw[id]), nil
}

// said collects notes and warnings.
type said struct {
	mu              sync.Mutex
	notes, warnings []string
}

func (s *said) Note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *said) Warn(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// shelf is a store of lists.
type shelf map[string]List

func (s shelf) Get(name reference.Named) (List, error) {
	l, ok := s[name.String()]
	if !ok {
		return l, Errorf(errdefs.ErrNotFound, "No such manifest: %s", name)
	}
	return l, nil
}

func (s shelf) Update(_ context.Context, name reference.Named, change func(List) (List, error)) error {
	old, ok := s[name.String()]
	if !ok {
		old = List{Name: name}
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

func (s shelf) Replace(_ context.Context, list List) error {
	s[list.Name.String()] = list
	return nil
}

func named(t *testing.T, s string) reference.Named {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func listName(t *testing.T, s string) reference.NamedTagged {
	t.Helper()
	n, err := ParseListName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// creation returns a Creation of a list with sources typed like this.
func creation(t *testing.T, list string, sources ...string) Creation {
	t.Helper()
	c := Creation{Name: listName(t, list)}
	for _, typed := range sources {
		s, err := ParseSource(typed, list)
		if err != nil {
			t.Fatal(err)
		}
		c.Sources = append(c.Sources, s)
	}
	return c
}

// summary is a list in a line: each entry's source, platform and P for pending.
func summary(l List) string {
	var out []string
	for _, e := range l.Entries {
		s := Familiar(e.Source) + " " + FormatPlatform(e.Platform())
		if e.IsPending() {
			s += " pending"
		}
		if e.Subject() != "" {
			s += " attestation"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}
