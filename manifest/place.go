package manifest

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// The schemes of places outside of registries: an OCI image layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md), and what 'docker save' writes. They stand
// where a reference has its registry, and the path of the file or folder where it has its repository.
const (
	LayoutScheme  = "oci-layout:"
	ArchiveScheme = "docker-archive:"
)

// OnlyImage is the tag of a reference to a place that names no image: it has to have only one.
const OnlyImage = "-"

// place is a reference without tag and digest.
type place struct{ scheme, path string }

// Name is what the user types, without tag and digest.
func (p place) Name() string   { return p.scheme + "/" + p.path }
func (p place) String() string { return p.Name() }

// Domain and Path are what package reference keeps when it adds a tag or digest.
func (p place) Domain() string { return p.scheme }
func (p place) Path() string   { return p.path }

// placedImage is an image of a place by a name that is no tag.
type placedImage struct {
	place
	name string
}

// Tag is the name of the image, or OnlyImage.
func (p placedImage) Tag() string { return p.name }

func (p placedImage) String() string {
	if p.name == OnlyImage {
		return p.Name()
	}
	return p.Name() + ":" + p.name
}

// IsPlace reports whether ref names an OCI image layout or docker archive.
func IsPlace(ref reference.Named) bool {
	scheme := reference.Domain(ref)
	return scheme == LayoutScheme || scheme == ArchiveScheme
}

// PlacePath returns the path of the file or folder that ref names, see [IsPlace].
func PlacePath(ref reference.Named) string { return strings.TrimPrefix(reference.Path(ref), "/") }

// ParseNameOrPlace is ParseName, or parses the name of an image in an OCI image layout or docker archive, see [IsPlace].
func ParseNameOrPlace(s string) (reference.Named, error) {
	if strings.HasPrefix(s, LayoutScheme+"//") || strings.HasPrefix(s, ArchiveScheme+"//") {
		return parsePlace(s)
	}
	if strings.HasPrefix(s, ContextScheme+"//") {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is an image of a docker context, which only create takes, as a SOURCE", s)
	}
	return ParseName(s)
}

var placeTag = regexp.MustCompile(`^` + reference.TagRegexp.String() + `$`)

// parsePlace parses oci-layout://PATH[:TAG][@DIGEST], as docker buildx does, or docker-archive://PATH[:NAME]. Without tag and
// digest, the reference is to the only image.
func parsePlace(s string) (reference.Named, error) {
	scheme, path, _ := strings.Cut(s, "//")
	var d digest.Digest
	if before, after, ok := cutLast(path, "@"); ok && scheme == LayoutScheme {
		if parsed, err := digest.Parse(after); err == nil {
			path, d = before, parsed
		}
	}
	tag := ""
	switch before, after, ok := cutLast(path, ":"); {
	case scheme == ArchiveScheme:
		if volume := volumeLength(path); strings.Contains(path[volume:], ":") {
			before, after, _ := strings.Cut(path[volume:], ":")
			path, tag = path[:volume]+before, after
		}
	case ok && len(before) >= volumeLength(path) && placeTag.MatchString(after):
		path, tag = before, after
	}
	if path == "" {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q has no path: expected oci-layout://PATH[:TAG][@DIGEST] or docker-archive://PATH[:NAME]", s)
	}
	if d != "" {
		tag = d.String()
	}
	return place{scheme, "/" + path}.image(tag), nil
}

// image returns the reference of an image by its digest, tag or name, or with "" of the only one.
func (p place) image(name string) reference.Named {
	if d, err := digest.Parse(name); err == nil {
		return AtDigest(p, d)
	}
	if placeTag.MatchString(name) {
		return AtTag(p, name)
	}
	return placedImage{p, cmp.Or(name, OnlyImage)}
}

// AtPlacePath returns ref, see [IsPlace], with another path.
func AtPlacePath(ref reference.Named, path string) reference.Named {
	p := place{reference.Domain(ref), "/" + path}
	switch r := ref.(type) {
	case reference.Digested:
		return p.image(r.Digest().String())
	case reference.Tagged:
		return p.image(r.Tag())
	}
	return reference.TrimNamed(p)
}

// volumeLength is the length of a drive letter with its colon and at least one more character of the path: C:\ or C:/.
func volumeLength(path string) int {
	if len(path) > 2 && path[1] == ':' && (path[2] == '\\' || path[2] == '/') {
		return 2
	}
	return 0
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
