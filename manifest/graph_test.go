package manifest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Each manifest is fetched once, however many indexes list it, and a missing one is known by its digest.
func TestGraph(t *testing.T) {
	m := fakes.NewRegistry()
	amd64 := m.Image(t, "h.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := m.Image(t, "h.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	attestation := m.Attestation(t, "h.example.com/app:att", amd64.Digest)
	inner := m.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, arm64)
	lost := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("lost"), Size: 4}
	outer := m.Index(t, "h.example.com/app:outer", ocispec.MediaTypeImageIndex, amd64, inner, attestation, lost)
	g := manifest.NewGraph(m)
	m.Log = nil
	roots, err := g.Read(t.Context(), fakes.Named(t, "h.example.com/app:outer"), fakes.Named(t, "h.example.com/app:none"), fakes.Named(t, "h.example.com/app:inner"))
	if err != nil || len(roots) != 3 || roots[0].Digest != outer.Digest || !errdefs.IsNotFound(roots[1].Err) || roots[2].Digest != inner.Digest {
		t.Fatalf("got roots %v (%v), want the outer index, none and the inner index", roots, err)
	}
	for _, d := range []digest.Digest{amd64.Digest, arm64.Digest, attestation.Digest, lost.Digest} {
		if n := strings.Count(fmt.Sprint(m.Log), "@"+d.String()); n != 1 {
			t.Errorf("got %d requests for %s, want 1", n, d)
		}
	}
	m.Log = nil
	roots, err = g.Read(t.Context(), manifest.AtDigest(fakes.Named(t, "h.example.com/app"), amd64.Digest), manifest.AtDigest(fakes.Named(t, "h.example.com/app"), lost.Digest))
	if err != nil || roots[0].Digest != amd64.Digest || roots[1].Digest != lost.Digest || len(m.Log) > 0 {
		t.Errorf("got roots %v (%v) and requests %q, want no request for known digests", roots, err, m.Log)
	}
	if n, err := g.Node(amd64.Digest); err != nil || n.Config == nil || n.Descriptor.Size != amd64.Size {
		t.Errorf("got node %v (%v), want amd64", n, err)
	}
	if _, err := g.Node(lost.Digest); !errdefs.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
	got := g.Below(inner.Digest, outer.Digest)
	if len(got) != 6 || got[0] != outer.Digest || slices.Index(got, inner.Digest) > slices.Index(got, arm64.Digest) {
		t.Errorf("got %v", got)
	}
	if got := g.Below(inner.Digest); !slices.Equal(got, []digest.Digest{inner.Digest, arm64.Digest}) {
		t.Errorf("got %v", got)
	}
}

// interruptible is a registry whose requests end with their context.
type interruptible struct{ *fakes.Registry }

func (i interruptible) Fetch(ctx context.Context, ref reference.Named) (manifest.Content, error) {
	if ctx.Err() != nil {
		return manifest.Content{}, ctx.Err()
	}
	return i.Registry.Fetch(ctx, ref)
}

// What was not read because a context had ended is read by the next call, below what is known, too.
func TestGraphReadsAgain(t *testing.T) {
	m := fakes.NewRegistry()
	image := m.Image(t, "h.example.com/app:1", ocispec.MediaTypeImageManifest, "linux/amd64")
	list := m.Index(t, "h.example.com/app:list", ocispec.MediaTypeImageIndex, image)
	ctx, cancel := context.WithCancel(t.Context())
	m.Asked = func(string) { cancel() }
	g := manifest.NewGraph(interruptible{m})
	if _, err := g.Read(ctx, fakes.Named(t, "h.example.com/app:list")); !errdefs.IsCanceled(err) {
		t.Errorf("got error %v, want a canceled one", err)
	}
	if _, err := g.Read(t.Context(), manifest.AtDigest(fakes.Named(t, "h.example.com/app"), list.Digest)); err != nil {
		t.Error(err)
	}
	if n, err := g.Node(image.Digest); err != nil || n.Descriptor.Digest != image.Digest {
		t.Errorf("got node %v (%v), want the image", n, err)
	}
}

func TestGraphDescend(t *testing.T) {
	registry := fakes.NewRegistry()
	amd64 := registry.Image(t, "h.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := registry.Image(t, "h.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	index := registry.Index(t, "h.example.com/app:index", ocispec.MediaTypeImageIndex, amd64, arm64)
	repo := fakes.Named(t, "h.example.com/app")
	content, err := registry.Fetch(t.Context(), fakes.Named(t, "h.example.com/app:index"))
	if err != nil {
		t.Fatal(err)
	}
	registry.Log = nil
	g := manifest.NewGraph(registry)
	g.Descend = func(child ocispec.Descriptor) manifest.Fetcher {
		if child.Digest == arm64.Digest {
			return registry
		}
		return nil
	}
	if root := g.Add(t.Context(), repo, content); root.Digest != index.Digest || root.Err != nil {
		t.Errorf("got root %v, want %s", root, index.Digest)
	}
	if want := []string{"fetch h.example.com/app@" + arm64.Digest.String()}; !slices.Equal(registry.Log, want) {
		t.Errorf("got requests %q, want %q", registry.Log, want)
	}
	if g.Has(amd64.Digest) || !g.Has(index.Digest) || !g.Has(arm64.Digest) {
		t.Errorf("got %v, want only the index and arm64", g.Below(index.Digest))
	}
}

func TestGraphEntries(t *testing.T) {
	registry := fakes.NewRegistry()
	amd64 := registry.Image(t, "h.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := registry.Image(t, "h.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	inner := registry.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, arm64)
	outer := registry.Index(t, "h.example.com/app:outer", ocispec.MediaTypeImageIndex, inner, amd64, inner)
	g := manifest.NewGraph(registry)
	if _, err := g.Read(t.Context(), fakes.Named(t, "h.example.com/app:outer")); err != nil {
		t.Fatal(err)
	}
	want := [][2]digest.Digest{{outer.Digest, inner.Digest}, {inner.Digest, arm64.Digest}, {outer.Digest, amd64.Digest}, {outer.Digest, inner.Digest}}
	var got [][2]digest.Digest
	for index, entry := range g.Entries(outer.Digest) {
		got = append(got, [2]digest.Digest{index.Descriptor.Digest, entry.Digest})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestGraphIsBounded(t *testing.T) {
	m := fakes.NewRegistry()
	d := m.Image(t, "h.example.com/app:0", ocispec.MediaTypeImageManifest, "linux/amd64")
	for i := range manifest.MaxDepth + 1 {
		d = m.Index(t, fmt.Sprint("h.example.com/app:", i+1), ocispec.MediaTypeImageIndex, d)
	}
	g := manifest.NewGraph(m)
	roots, err := g.Read(t.Context(), fakes.Named(t, fmt.Sprint("h.example.com/app:", manifest.MaxDepth+1)))
	if err != nil {
		t.Fatal(err)
	}
	below := g.Below(roots[0].Digest)
	if _, err := g.Node(below[len(below)-1]); !errdefs.IsInvalidArgument(err) || len(below) != manifest.MaxDepth+1 {
		t.Errorf("got %d manifests (%v), want %d and a refused index", len(below), err, manifest.MaxDepth+1)
	}
	if roots, err = manifest.NewGraph(m).Read(t.Context(), fakes.Named(t, fmt.Sprint("h.example.com/app:", manifest.MaxDepth))); err != nil || roots[0].Err != nil {
		t.Errorf("got roots %v (%v), want no error", roots, err)
	}
}

func TestParseNode(t *testing.T) {
	d := digest.FromString("x")
	image := func(rest string) string {
		return fmt.Sprintf(`{"config":{"mediaType":"application/x","digest":%q,"size":1},"layers":[{"digest":%q,"size":2}]%s}`, d, d, rest)
	}
	for _, tt := range []struct {
		mediaType, raw, artifactType, problem string
	}{
		{ocispec.MediaTypeImageManifest, image(""), "application/x", ""},
		{ocispec.MediaTypeImageManifest, image(`,"artifactType":"a/b","annotations":{"k":"v"},"subject":{"digest":"` + d.String() + `","size":3}`), "a/b", ""},
		{ocispec.MediaTypeImageManifest, image(`,"subject":{"digest":"sha256:x"}`), "", `the subject "sha256:x"`},
		{ocispec.MediaTypeImageManifest, image(`,"annotations":[]`), "", "not valid JSON"},
		{ocispec.MediaTypeImageManifest, `{"manifests":[]}`, "", "not an image manifest"},
		{ocispec.MediaTypeImageIndex, `{"manifests":[{"digest":"` + d.String() + `"}],"artifactType":"i"}`, "i", ""},
		{ocispec.MediaTypeImageIndex, image(""), "", "not an index"},
	} {
		n, err := manifest.ParseNode(manifest.Content{Descriptor: ocispec.Descriptor{MediaType: tt.mediaType, Digest: d}, Raw: []byte(tt.raw)})
		if tt.problem != "" {
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s: got %v, want %q", tt.raw, err, tt.problem)
			}
			continue
		}
		if err != nil || n.ArtifactType != tt.artifactType || manifest.IsIndex(tt.mediaType) != (n.Config == nil) || len(n.Layers)+len(n.Children) != 1 {
			t.Errorf("%s: got %+v (%v), want artifact type %q", tt.raw, n, err, tt.artifactType)
		}
	}
}

func TestReferrers(t *testing.T) {
	subject := digest.FromString("subject")
	for _, without := range []bool{false, true} {
		m := fakes.NewRegistry()
		m.NoReferrers = without
		at := fakes.Named(t, "h.example.com/app@"+subject.String()).(reference.Canonical)
		raw := fmt.Appendf(nil, `{"mediaType":%q,"config":{"mediaType":"application/x","digest":%q},"layers":[],"subject":{"digest":%q}}`,
			ocispec.MediaTypeImageManifest, subject, subject)
		d := m.Store(fakes.Named(t, "h.example.com/app:signature"), ocispec.MediaTypeImageManifest, raw)
		if got, err := manifest.Referrers(t.Context(), m, at); err != nil || without != (len(got) == 0) {
			t.Errorf("without %v: %v, %v", without, got, err)
		}
		m.Index(t, "h.example.com/app:"+manifest.ReferrersTag(subject), ocispec.MediaTypeImageIndex, ocispec.Descriptor{Digest: d})
		if got, err := manifest.Referrers(t.Context(), m, at); err != nil || len(got) != 1 || got[0].Digest != d {
			t.Errorf("without %v: %v, %v", without, got, err)
		}
	}
	if tag := manifest.ReferrersTag(digest.SHA512.FromString("x")); len(tag) != len("sha512-")+64 {
		t.Errorf("got tag %s, want 64 characters of the digest", tag)
	}
}

// The bytes of many manifests are in a temporary file or, if there can be none, in memory.
func TestGraphSpills(t *testing.T) {
	const most = 4 << 20
	m := fakes.NewRegistry()
	for name, temp := range map[string]string{"file": t.TempDir(), "no file": filepath.Join(t.TempDir(), "absent")} {
		t.Setenv("TMPDIR", temp)
		t.Setenv("TMP", temp)
		g := manifest.NewGraph(m)
		g.Spill = true
		want, inMemory := map[digest.Digest]string{}, 0
		for i := range 20 {
			raw := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[],"unknown":"%d%s"}`, i, strings.Repeat("x", 1<<19))
			root := g.Add(t.Context(), fakes.Named(t, "h.example.com/app"), manifest.NewContent(ocispec.MediaTypeImageIndex, raw))
			want[root.Digest] = string(raw)
		}
		for d, raw := range want {
			n, nodeErr := g.Node(d)
			c, err := g.Content(d)
			if err != nil || nodeErr != nil || string(c.Raw) != raw || c.Descriptor.Digest != d {
				t.Errorf("%s: got %d bytes and errors %v and %v for %s, want its %d", name, len(c.Raw), err, nodeErr, d, len(raw))
			}
			inMemory += len(n.Raw)
		}
		if (inMemory > most) != (name == "no file") {
			t.Errorf("%s: got %d bytes in memory, want at most %d only in a file", name, inMemory, most)
		}
		g.Close()
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("%s: got %s left, want no file", name, left[0])
		}
	}
}
