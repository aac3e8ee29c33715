package manifest

import (
	"cmp"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// The schemes of references to images outside of registries: in an OCI image layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md), and in an archive of 'docker save', which is
// meant, too, where this code says layout. A scheme stands where a reference has its registry, and the path of the file or
// folder where it has its repository.
const (
	LayoutScheme  = "oci-layout:"
	ArchiveScheme = "docker-archive:"
)

// OnlyImage is the tag of a reference to a layout that names no image: the layout has to have only one.
const OnlyImage = "-"

// schemeName is a reference that has a scheme in place of its registry, without tag and digest.
type schemeName struct{ scheme, path string }

// Name is what the user types, without tag and digest.
func (n schemeName) Name() string   { return n.scheme + "/" + n.path }
func (n schemeName) String() string { return n.Name() }

// Domain and Path are what package reference keeps of a name to which it adds a tag or digest.
func (n schemeName) Domain() string { return n.scheme }
func (n schemeName) Path() string   { return n.path }

// schemeImage is an image of a layout by a name that is no tag.
type schemeImage struct {
	schemeName
	name string
}

// Tag is the name of the image, or OnlyImage.
func (p schemeImage) Tag() string { return p.name }

func (p schemeImage) String() string {
	if p.name == OnlyImage {
		return p.Name()
	}
	return p.Name() + ":" + p.name
}

// IsLayout reports whether ref names an OCI image layout or docker archive.
func IsLayout(ref reference.Named) bool {
	scheme := reference.Domain(ref)
	return scheme == LayoutScheme || scheme == ArchiveScheme
}

// LayoutPath returns the path of the file or folder that ref names, see [IsLayout].
func LayoutPath(ref reference.Named) string { return strings.TrimPrefix(reference.Path(ref), "/") }

// ParseNameOrLayout is ParseName, or parses the name of an image in an OCI image layout or docker archive, see [IsLayout].
func ParseNameOrLayout(s string) (reference.Named, error) {
	if strings.HasPrefix(s, LayoutScheme+"//") || strings.HasPrefix(s, ArchiveScheme+"//") {
		return parseLayout(s)
	}
	if strings.HasPrefix(s, ContextScheme+"//") {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is an image of a docker context, which only create takes, as a SOURCE", s)
	}
	return ParseName(s)
}

var wholeTag = lazyregexp.New(`^` + reference.TagRegexp.String() + `$`)

// parseLayout parses oci-layout://PATH[:TAG][@DIGEST], as docker buildx does, or docker-archive://PATH[:NAME][@DIGEST], which
// local lists have. Without tag, name and digest, the reference is to the only image.
func parseLayout(s string) (reference.Named, error) {
	scheme, path, _ := strings.Cut(s, "//")
	var d digest.Digest
	if before, after, ok := cutLast(path, "@"); ok {
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
	case ok && len(before) >= volumeLength(path) && wholeTag().MatchString(after):
		path, tag = before, after
	}
	if path == "" {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q has no path: expected oci-layout://PATH[:TAG][@DIGEST] or docker-archive://PATH[:NAME][@DIGEST]", s)
	}
	if d != "" {
		tag = d.String()
	}
	return schemeName{scheme, "/" + path}.image(tag), nil
}

// image returns the reference of an image by its digest, tag or name, or with "" of the only one.
func (n schemeName) image(name string) reference.Named {
	if d, err := digest.Parse(name); err == nil {
		return AtDigest(n, d)
	}
	if wholeTag().MatchString(name) {
		return AtTag(n, name)
	}
	return schemeImage{n, cmp.Or(name, OnlyImage)}
}

// OnlyImageOf returns the reference to the only image of the layout or archive with this path.
func OnlyImageOf(scheme, path string) reference.NamedTagged {
	return schemeImage{schemeName{scheme, "/" + path}, OnlyImage}
}

// AtLayoutPath returns ref, see [IsLayout], with another path.
func AtLayoutPath(ref reference.Named, path string) reference.Named {
	p := schemeName{reference.Domain(ref), "/" + path}
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
