package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Condition is what the tags that an operation writes have to point to before. The zero value is always met.
type Condition struct {
	// Digest is what all of them have to point to, "" for anything. Absent requires that none of them exists.
	Digest digest.Digest
	Absent bool
	// NoClobber requires that none of them points to something else than what is written.
	NoClobber bool
}

// ParseCondition returns the condition of --if-digest, a digest or "absent", and --no-clobber.
func ParseCondition(ifDigest string, noClobber bool) (Condition, error) {
	c := Condition{NoClobber: noClobber, Absent: ifDigest == "absent"}
	if c.Absent {
		return c, nil
	}
	d, err := digest.Parse(ifDigest)
	if err != nil {
		return c, Errorf(errdefs.ErrInvalidArgument, `expected a digest or "absent", found %q`, ifDigest)
	}
	c.Digest = d
	return c, nil
}

// IsSet reports whether there is a condition.
func (c Condition) IsSet() bool { return c != Condition{} }

// Check returns an error if a tag that points to current, "" if it does not exist, must not be changed to point to want, ""
// if that is not known yet.
func (c Condition) Check(tag reference.Named, current, want digest.Digest) error {
	switch {
	case c.Digest != "" && current == "":
		return Errorf(errdefs.ErrFailedPrecondition, "%s does not exist, but --if-digest requires that it points to %s", Familiar(tag), c.Digest)
	case c.Digest != "" && current != c.Digest:
		return Errorf(errdefs.ErrFailedPrecondition, "%s points to %s, but --if-digest requires %s", Familiar(tag), current, c.Digest)
	case c.Absent && current != "":
		return Errorf(errdefs.ErrFailedPrecondition, "%s exists and points to %s, but --if-digest requires that it is absent", Familiar(tag), current)
	case c.NoClobber && want != "" && current != "" && current != want:
		return Errorf(errdefs.ErrAlreadyExists, "%s already points to %s, not %s", Familiar(tag), current, want)
	}
	return nil
}

// TagCheck is a lookup of the tags that an operation is going to write, which runs while the operation reads other things.
type TagCheck struct {
	condition Condition
	registry  Fetcher
	tags      []reference.NamedTagged
	current   []digest.Digest
	errs      []error
	wait      func() // for the lookup
}

// CheckTags starts to look up tags.
func CheckTags(ctx context.Context, registry Fetcher, condition Condition, tags ...reference.NamedTagged) *TagCheck {
	current, errs := make([]digest.Digest, len(tags)), make([]error, len(tags))
	lookup := sync.OnceFunc(func() {
		Concurrently(len(tags), func(i int) {
			if current[i], errs[i] = registry.Digest(ctx, tags[i]); errdefs.IsNotFound(errs[i]) {
				current[i], errs[i] = "", nil
			}
		})
	})
	go lookup()
	return &TagCheck{condition, registry, tags, current, errs, lookup}
}

// Allow waits for the lookup and returns an error if the condition does not allow that the tags point to want, "" if that is
// not known yet. A tag that could not be looked up is an error if there is a condition.
func (c *TagCheck) Allow(want digest.Digest) error {
	c.wait()
	var errs []error
	for i, tag := range c.tags {
		err := c.errs[i]
		switch {
		case err != nil && c.condition.IsSet():
			errs = append(errs, fmt.Errorf("looking up the tag %s: %w", Familiar(tag), err))
		case err == nil:
			errs = append(errs, c.condition.Check(tag, c.current[i], want))
		}
	}
	return errors.Join(errs...)
}

// Known is Allow, and an error if one of some of the tags could not be looked up.
func (c *TagCheck) Known(want digest.Digest, some []reference.NamedTagged) error {
	err := c.Allow(want)
	for i, tag := range c.tags {
		if err == nil && c.errs[i] != nil && slices.ContainsFunc(some, func(t reference.NamedTagged) bool { return t.String() == tag.String() }) {
			err = fmt.Errorf("looking up the tag %s: %w", Familiar(tag), c.errs[i])
		}
	}
	return err
}

// AllowImage is Allow for an image of the daemon, whose first tag may point to it already.
func (c *TagCheck) AllowImage(local Local, copies []reference.NamedTagged) error {
	c.wait()
	if slices.Contains(local.RepoDigests, c.current[0]) {
		return c.Known(c.current[0], copies)
	}
	return c.Known(local.ID, copies)
}

// Again looks up the tags once more, if there is a condition, and returns what Allow does.
func (c *TagCheck) Again(ctx context.Context, want digest.Digest) error {
	if !c.condition.IsSet() {
		return nil
	}
	return CheckTags(ctx, c.registry, c.condition, c.tags...).Allow(want)
}

// ReportMoves reports the tags that pointed to something else before they were written.
func (c *TagCheck) ReportMoves(report Reporter, written digest.Digest) {
	c.wait()
	for i, tag := range c.tags {
		ReportMove(report, tag, c.current[i], written)
	}
}

// ReportMove reports a tag that was written and pointed to something else before; before is "" for a new one.
func ReportMove(report Reporter, tag reference.Named, before, written digest.Digest) {
	if before != "" && before != written {
		report.Note("moved %s from %s to %s", Familiar(tag), before, written)
	}
}
