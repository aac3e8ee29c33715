package publish

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// stagingAttempts bounds how often an image gets a staging name: each of that many concurrent pushes of one image, by
// other commands, may remove the name of the others.
const stagingAttempts = 10

// pushStaged pushes a local image under a staging name, again if another push had the same name and removed it.
func (s *sender) pushStaged(ctx context.Context, local manifest.Local, entries []manifest.Entry, platform *ocispec.Platform) (name reference.NamedTagged, d digest.Digest, err error) {
	for range stagingAttempts {
		if name, err = s.stagingName(ctx, local, entries); err != nil {
			return name, "", err
		}
		if d, err = s.pushAs(ctx, local, name, platform); !errdefs.IsNotFound(err) || ctx.Err() != nil {
			return name, d, err
		}
	}
	return name, "", err
}

// pushAs pushes a local image under a name that the daemon has only during the push.
func (s *sender) pushAs(ctx context.Context, local manifest.Local, name reference.NamedTagged, platform *ocispec.Platform) (digest.Digest, error) {
	s.Reporter.Note("Pushing %s as %s", manifest.Familiar(local.Name), manifest.Familiar(name))
	defer s.untag(ctx, local, name) // also if the daemon has tagged the image, but its answer was lost
	if err := s.Images.Tag(ctx, local.ID, name); err != nil {
		return "", fmt.Errorf("tagging it as %s: %w", manifest.Familiar(name), err)
	}
	return s.Images.Push(ctx, name, platform)
}

// untag removes a staging name from the daemon, whatever happened to the push.
func (s *sender) untag(ctx context.Context, local manifest.Local, name reference.NamedTagged) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), daemonNeeded)
	defer cancel()
	if err := s.Images.Untag(ctx, name); err != nil && !errdefs.IsNotFound(err) {
		s.Reporter.Warn("%s could not be removed from %s: %v; remove it with '%s rmi %[1]s'", manifest.Familiar(name), daemonOf(local.Name), err, dockerFor(local.Name))
	}
}

// stagingName returns a name in the target repository that the daemon does not have, and the registry not for another
// image. No other image of this push has it, as the image ID is part of it.
func (s *sender) stagingName(ctx context.Context, local manifest.Local, entries []manifest.Entry) (reference.NamedTagged, error) {
	tag := s.List.Name.(reference.Tagged).Tag()
	kind := "multi"
	if len(entries) == 1 {
		kind = manifest.PlatformName(entries[0].Platform(), "-")
	}
	for n := 1; n < 100; n++ {
		suffix := "-" + kind + "-" + short(local.ID)
		if n > 1 {
			suffix += fmt.Sprintf("-%d", n)
		}
		name := manifest.AtTag(s.List.Name, tag[:min(len(tag), manifest.MaxTag-len(suffix))]+suffix)
		free, err := s.isFree(ctx, name, local)
		if err != nil || free {
			return name, err
		}
	}
	return nil, manifest.Errorf(errdefs.ErrAlreadyExists, "no free staging tag in %s", s.List.Name.Name())
}

// isFree reports whether a name can be used for a local image: the daemon does not have it, and the registry has it for
// this very image or not at all. If the registry refuses to answer, the push finds out.
func (s *sender) isFree(ctx context.Context, name reference.NamedTagged, local manifest.Local) (bool, error) {
	if _, err := s.Images.Find(ctx, name); !errdefs.IsNotFound(err) {
		return false, err
	}
	c, err := s.Registry.Fetch(ctx, name)
	if errdefs.IsNotFound(err) || errdefs.IsPermissionDenied(err) {
		return true, nil
	}
	return err == nil && isSame(local, c), err
}

// short returns the first 12 characters of a digest's hex part, as docker shows image IDs.
func short(d digest.Digest) string {
	_, hex, _ := strings.Cut(d.String(), ":")
	return hex[:min(12, len(hex))]
}
