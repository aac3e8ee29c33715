package publish

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// buildResult is the metadata file of one build: of docker buildx build or imagetools create, or of this program
// (https://docs.docker.com/reference/cli/docker/buildx/build/#metadata-file); or a descriptor.
type buildResult struct {
	Digest     digest.Digest `json:"containerimage.digest"`
	Config     digest.Digest `json:"containerimage.config.digest"`
	Descriptor struct {
		Digest digest.Digest `json:"digest"`
	} `json:"containerimage.descriptor"`
	Names string          `json:"image.name"`
	Ref   json.RawMessage `json:"buildx.build.ref"`

	MediaType string        `json:"mediaType"`
	Itself    digest.Digest `json:"digest"`
}

// digest returns the digest of the image, "" if there is none.
func (b buildResult) digest() digest.Digest {
	if b.MediaType != "" && b.Itself != "" {
		return b.Itself
	}
	return cmp.Or(b.Digest, b.Descriptor.Digest)
}

// output is a file that a build wrote, for the list of a name.
type output struct {
	file string
	list reference.Named
	manifest.Diagnostics
}

// ParseOutput returns the sources that the file of a build with the content raw names for a list: an empty file with a digest
// as its name, a line with a digest or a reference, a descriptor, or the metadata of docker buildx build, bake or imagetools
// create, or of this program. A digest without a name lies in the repository of the list. Errors name the file.
func ParseOutput(file string, raw []byte, list reference.Named) ([]Source, manifest.Diagnostics, error) {
	o := &output{file: file, list: list}
	text := string(bytes.TrimSpace(raw))
	switch {
	case text == "":
		text = filepath.Base(file)
	case text[0] == '{':
		sources, err := o.metadata(raw)
		return sources, o.Diagnostics, err
	}
	if d, err := parseDigest(text); err == nil {
		return []Source{o.source(manifest.AtDigest(list, d))}, nil, nil
	}
	ref, err := manifest.ParseName(text)
	if err != nil || len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil, o.unknown()
	}
	err = o.checkRegistry(ref)
	return []Source{o.source(ref)}, o.Diagnostics, err
}

// parseDigest parses a digest, or the hexadecimal part of one of SHA-256.
func parseDigest(s string) (digest.Digest, error) {
	if d, err := digest.Parse(s); err == nil {
		return d, nil
	}
	return digest.Parse("sha256:" + s)
}

func (o *output) source(ref reference.Named) Source { return Source{Ref: ref, Output: o.file} }

func (o *output) errorf(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: %w", o.file, fmt.Errorf(format, args...))
}

func (o *output) unknown() error {
	err := o.errorf("not the result of a build")
	return manifest.WithHint(err, "it has to be an empty file with a digest as its name, a digest or reference, a descriptor, "+
		"or a metadata file of docker buildx build, bake or imagetools")
}

// metadata returns the sources of a JSON file.
func (o *output) metadata(raw []byte) ([]Source, error) {
	var build buildResult
	var targets map[string]json.RawMessage
	if json.Unmarshal(raw, &build) != nil || json.Unmarshal(raw, &targets) != nil {
		return nil, o.unknown()
	}
	if build.digest() != "" {
		at, err := o.repository(build.Names)
		if err != nil {
			return nil, err
		}
		s, err := o.build(build, at)
		return []Source{s}, err
	}
	var sources []Source
	var skipped []string
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		var build buildResult
		if json.Unmarshal(targets[target], &build) != nil || build.digest() == "" && build.Ref == nil {
			continue // such as buildx.build.warnings
		}
		if !slices.ContainsFunc(namesOf(build.Names), func(n reference.Named) bool { return manifest.SameRepository(n, o.list) }) {
			skipped = append(skipped, target)
			continue
		}
		s, err := o.build(build, reference.TrimNamed(o.list))
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	switch {
	case len(sources)+len(skipped) == 0 && build.Ref != nil:
		return nil, o.notPushed("")
	case len(sources)+len(skipped) == 0:
		return nil, o.unknown()
	case len(sources) == 0:
		return nil, o.errorf("no target has a name in %s: %s", o.list.Name(), manifest.JoinSome(skipped))
	case len(skipped) > 0:
		o.Note("%s: skipped targets without a name in %s: %s", o.file, o.list.Name(), manifest.JoinSome(skipped))
	}
	return sources, nil
}

// build returns the source for a build that was pushed to a repository.
func (o *output) build(b buildResult, repository reference.Named) (Source, error) {
	d := b.digest()
	if d == "" {
		return Source{}, o.notPushed("")
	}
	if err := d.Validate(); err != nil {
		return Source{}, o.errorf("invalid digest %q", d)
	}
	if d == b.Config {
		return Source{}, o.notPushed(": it has the image ID " + d.String() + ", no digest in a registry")
	}
	return o.source(manifest.AtDigest(repository, d)), nil
}

func (o *output) notPushed(why string) error {
	return manifest.WithHint(o.errorf("the build was not pushed%s", why),
		"push its result: docker buildx build --push; or pass the local image as a SOURCE")
}

// namesOf parses names that are separated by commas; invalid ones are skipped.
func namesOf(joined string) (names []reference.Named) {
	for name := range strings.SplitSeq(joined, ",") {
		if ref, err := reference.ParseNormalizedNamed(strings.TrimSpace(name)); err == nil {
			names = append(names, ref)
		}
	}
	return names
}

// repository returns the repository of a build with these names: the list's if one lies there or there is none.
func (o *output) repository(joined string) (reference.Named, error) {
	names := namesOf(joined)
	if len(names) == 0 {
		return reference.TrimNamed(o.list), nil
	}
	best := names[0]
	for _, n := range names {
		switch {
		case manifest.SameRepository(n, o.list):
			return reference.TrimNamed(o.list), nil
		case manifest.SameRegistry(n, o.list):
			best = n
		}
	}
	return reference.TrimNamed(best), o.checkRegistry(best)
}

// checkRegistry returns an error for another registry, to which a build of a stranger's branch could direct logins.
func (o *output) checkRegistry(ref reference.Named) error {
	if !manifest.SameRegistry(ref, o.list) {
		return manifest.WithHint(o.errorf("%s is in the registry %s, not in that of the list", manifest.Familiar(ref), reference.Domain(ref)),
			"pass it as a SOURCE: %s", manifest.Familiar(ref))
	}
	if !manifest.SameRepository(ref, o.list) {
		o.Note("%s: %s is in another repository: push will copy it", o.file, manifest.Familiar(ref))
	}
	return nil
}

// sortOutputs sorts entries so that neither the names of files nor the order of flags matter: by platform, then digest;
// attestations follow the images, in the order of these.
func sortOutputs(entries []manifest.Entry) {
	position := map[digest.Digest]int{}
	slices.SortStableFunc(entries, compareOutputs)
	for i, e := range entries {
		position[e.Descriptor.Digest] = i
	}
	slices.SortStableFunc(entries, func(a, b manifest.Entry) int {
		return cmp.Compare(position[a.Subject()], position[b.Subject()]) // 0 for images
	})
}

func compareOutputs(a, b manifest.Entry) int {
	rank := func(e manifest.Entry) int {
		switch {
		case manifest.IsAttestation(e.Descriptor):
			return 2
		case e.LacksPlatform():
			return 1
		}
		return 0
	}
	p, q := a.Platform(), b.Platform()
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(p.OS, q.OS), cmp.Compare(p.Architecture, q.Architecture),
		cmp.Compare(p.Variant, q.Variant), cmp.Compare(p.OSVersion, q.OSVersion), cmp.Compare(a.Descriptor.Digest, b.Descriptor.Digest))
}
