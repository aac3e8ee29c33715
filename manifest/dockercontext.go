package manifest

import (
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// ContextScheme stands for a docker context, in context://NAME/IMAGE: IMAGE of the daemon of the docker context NAME. It
// stands where a reference has its registry, and NAME/IMAGE where it has its repository.
const ContextScheme = "context:"

// IsOfContext reports whether ref names an image of the daemon of a docker context.
func IsOfContext(ref reference.Named) bool { return reference.Domain(ref) == ContextScheme }

// OfContext returns the docker context and the image that ref names in its daemon; "" and ref if it names no context.
func OfContext(ref reference.Named) (string, reference.Named) {
	if !IsOfContext(ref) {
		return "", ref
	}
	name, image, _ := strings.Cut(strings.TrimPrefix(Familiar(ref), ContextScheme+"//"), "/")
	parsed, err := ParseName(image)
	if err != nil {
		panic(err) // it was parsed before
	}
	return name, parsed
}

// contextName is that of https://github.com/docker/cli/blob/v28.5.2/cli/context/store/store.go.
var contextName = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$`)

// ParseSourceName is ParseNameOrLayout, and also parses context://NAME/IMAGE, see [OfContext].
func ParseSourceName(s string) (reference.Named, error) {
	rest, ok := strings.CutPrefix(s, ContextScheme+"//")
	name, typed, _ := strings.Cut(rest, "/")
	if !ok {
		typed = s
	}
	_, isID := digest.Parse(typed)
	switch {
	case isID == nil: // otherwise the repository "sha256" of Docker Hub
		err := Errorf(errdefs.ErrInvalidArgument, "%s is an image ID, not a reference", typed)
		return nil, WithHint(err, "tag the image and use that name: %s tag %s NAME:TAG", DockerCommand(name), typed)
	case !ok:
		return ParseNameOrLayout(s)
	case !contextName().MatchString(name) || typed == "":
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is not an image of a docker context: expected context://NAME/IMAGE", s)
	}
	image, err := ParseName(typed)
	if err != nil {
		return nil, err
	}
	return InContext(name, image), nil
}

// InContext returns the reference of an image, by tag or digest, of the daemon of a docker context.
func InContext(name string, image reference.Named) reference.Named {
	at := schemeName{ContextScheme, "/" + name + "/" + reference.FamiliarName(image)}
	if r, ok := image.(reference.Digested); ok {
		return AtDigest(at, r.Digest())
	}
	return AtTag(at, image.(reference.Tagged).Tag())
}

// DockerCommand returns the docker command for the daemon of a docker context, that of the current one for "".
func DockerCommand(dockerContext string) string {
	if dockerContext == "" {
		return "docker"
	}
	return "docker --context " + dockerContext
}
