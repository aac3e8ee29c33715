package commands

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// showPlan prints what a dry run of create or push would have pushed: the list on stdout, or with quiet
// its digest alone; its digest and what would be sent on stderr.
func (t tools) showPlan(list manifest.List, tags []reference.NamedTagged, quiet bool) error {
	if err := list.CheckPush(); err != nil {
		return err
	}
	raw, err := list.Bytes()
	if err != nil {
		return err
	}
	if !quiet {
		_, _ = fmt.Fprintln(t.env.Out(), string(raw))
	}
	switch desc, _, err := list.Index(); {
	case err != nil:
		t.notes.Warn("the digest is not known before the daemon has pushed what is pending")
	case quiet:
		_, _ = fmt.Fprintln(t.env.Out(), desc.Digest)
	default:
		t.notes.Note("Digest: %s", desc.Digest)
	}
	for _, step := range list.Plan(tags) {
		t.notes.Note("Would %s", step)
	}
	return nil
}

// planPush is showPlan for what push would take name for: a local list, or else an image in the daemon.
func (t tools) planPush(ctx context.Context, access manifest.Access, name reference.NamedTagged, tags []reference.NamedTagged, quiet bool) error {
	list, err := access.Lists.Get(name)
	if errdefs.IsNotFound(err) {
		if _, imageErr := access.Images.Find(ctx, name); imageErr == nil {
			t.notes.Note("Would push the image %s from the daemon", manifest.Familiar(name))
			return nil
		}
	}
	if err != nil {
		return err
	}
	return t.showPlan(list, tags, quiet)
}
