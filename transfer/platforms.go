package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// choose returns the bytes of the index or image c less the children of platforms that are not asked for,
// and without their attestations. All else stays as it is, byte for byte. The error says what there is when
// nothing is of a platform that is asked for.
func choose(ctx context.Context, from manifest.Fetcher, ref reference.Named, c manifest.Content, platforms []manifest.Platform) ([]byte, error) {
	children, err := platformsOf(ctx, from, ref, c)
	if err != nil {
		return nil, err
	}
	kept := map[digest.Digest]bool{}
	lacking := slices.Clone(platforms)
	for _, c := range children {
		matches := func(p manifest.Platform) bool { return c.Platform != nil && p.Matches(*c.Platform) }
		if slices.ContainsFunc(platforms, matches) {
			kept[c.Digest] = true
			lacking = slices.DeleteFunc(lacking, matches)
		}
	}
	if len(lacking) > 0 {
		return nil, manifest.Errorf(errdefs.ErrNotFound, "%s has nothing for %s: there is %s", manifest.Familiar(ref), lacking[0], there(children))
	}
	if !manifest.IsIndex(c.Descriptor.MediaType) {
		return c.Raw, nil
	}
	return withoutChildren(c.Raw, func(n int) bool {
		return !kept[children[n].Digest] && !kept[manifest.AttestationSubject(children[n])]
	})
}

// maxPlatform bounds what is shown of a platform, in bytes.
const maxPlatform = 100

// there names the platforms of descriptors, each once.
func there(children []ocispec.Descriptor) string {
	var out []string
	for _, c := range children {
		if c.Platform != nil && manifest.AttestationSubject(c) == "" {
			if p := manifest.OneLine(manifest.FormatPlatform(*c.Platform), maxPlatform); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	if len(out) == 0 {
		return "no image with a platform"
	}
	return manifest.JoinSome(out)
}

// platformsOf returns the children of an index, or an image as if it were one, with their platforms. A
// platform that the index does not give is read from the image's config.
func platformsOf(ctx context.Context, from manifest.Fetcher, ref reference.Named, c manifest.Content) ([]ocispec.Descriptor, error) {
	if !manifest.IsIndex(c.Descriptor.MediaType) {
		e, err := manifest.ReadImage(ctx, from, ref, c)
		return []ocispec.Descriptor{e.Descriptor}, err
	}
	children, _, err := manifest.ParseIndex(c.Raw)
	if err != nil {
		return nil, fmt.Errorf("reading index %s: %w", manifest.Familiar(ref), err)
	}
	group, reading := errgroup.WithContext(ctx)
	for n, c := range children {
		if manifest.AttestationSubject(c) != "" || manifest.StatedPlatform(c) != nil || !manifest.IsIndex(c.MediaType) && !manifest.IsImage(c.MediaType) {
			continue
		}
		group.Go(func() (err error) {
			children[n].Platform, err = childPlatform(reading, from, ref, c)
			return err
		})
	}
	return children, group.Wait()
}

// childPlatform returns the platform of the image c by its config.
func childPlatform(ctx context.Context, from manifest.Fetcher, ref reference.Named, c ocispec.Descriptor) (*ocispec.Platform, error) {
	if manifest.IsIndex(c.MediaType) {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s lists another index, %s, and does not say its platform: "+
			"take all of it, without --platform, or name that index", manifest.Familiar(ref), c.Digest)
	}
	at := manifest.AtDigest(ref, c.Digest)
	got, err := from.Fetch(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("looking for the platform of a child of the index %s: %w", manifest.Familiar(ref), err)
	}
	e, err := manifest.ReadImage(ctx, from, at, got)
	return e.Descriptor.Platform, err
}

// withoutChildren returns the bytes of an index less the children that drop names by their number. The rest
// stays as it is, order of fields and white space included.
func withoutChildren(raw []byte, drop func(n int) bool) ([]byte, error) {
	children, err := spans(raw)
	if err != nil {
		return nil, err
	}
	var kept []span
	for n, c := range children {
		if !drop(n) {
			kept = append(kept, c)
		}
	}
	if len(kept) == len(children) {
		return raw, nil
	}
	separator := []byte(",")
	if len(children) > 1 {
		separator = raw[children[0].end:children[1].start]
	}
	var texts [][]byte
	for _, c := range kept {
		texts = append(texts, raw[c.start:c.end])
	}
	return slices.Concat(raw[:children[0].start], bytes.Join(texts, separator), raw[children[len(children)-1].end:]), nil
}

// span is a part of a text.
type span struct{ start, end int64 }

// spans returns where the children of an index stand in its bytes. The error is errdefs.ErrInvalidArgument
// when it does not have one list of them.
func spans(raw []byte) ([]span, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
	}
	var out []span
	lists := 0
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
		}
		if !strings.EqualFold(fmt.Sprint(name), "manifests") { // as encoding/json takes names
			continue
		}
		lists++
		start := d.InputOffset() - int64(len(value))
		list := json.NewDecoder(bytes.NewReader(value))
		_, _ = list.Token() // the bracket
		for list.More() {
			var child json.RawMessage
			if err := list.Decode(&child); err != nil {
				return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
			}
			end := start + list.InputOffset()
			out = append(out, span{end - int64(len(child)), end})
		}
	}
	if lists != 1 {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "index has %d lists of manifests, not one", lists)
	}
	return out, nil
}
