package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// The push of an image is attempted pushAttempts times; the delay between two attempts starts at pushDelay and doubles.
const (
	pushAttempts = 3
	pushDelay    = 250 * time.Millisecond
)

// push pushes the images of a step concurrently.
func (e *Executor) push(ctx context.Context, step task.Step, action task.Push, out Output) error {
	errs := make([]error, len(action.Images))
	var wg sync.WaitGroup
	for i, image := range action.Images {
		own := out
		if len(action.Images) > 1 {
			var flush func()
			own, flush = prefixLines(out, manifest.Familiar(image)+": ")
			defer flush()
		}
		wg.Go(func() { errs[i] = e.pushImage(ctx, step, image, own) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (e *Executor) pushImage(ctx context.Context, step task.Step, name reference.NamedTagged, out Output) error {
	build := e.builtBy(step, name)
	step.Context = cmp.Or(step.Context, build.Context)
	d, err := e.daemon(step.Context)
	if err != nil {
		return err
	}
	if b, ok := build.Action.(task.Build); ok {
		split, err := e.splitsOn(ctx, d, build, b)
		if err != nil {
			return err
		}
		if split {
			return e.pushParts(ctx, step.Context, name, b.Platforms, out)
		}
	}
	err = pushTo(ctx, d, name, out)
	if errdefs.IsNotFound(err) && build.ID != "" {
		return fmt.Errorf("%w; it is built by step %s", err, build.ID)
	}
	return err
}

// pushTo pushes an image of a daemon and prints its digest.
func pushTo(ctx context.Context, d *usedDaemon, name reference.NamedTagged, out Output) error {
	for delay, attempt := pushDelay, 1; ; attempt++ {
		pushed, err := d.Push(ctx, name, out.Stderr)
		if err == nil {
			_, _ = fmt.Fprintln(out.Stdout, pushed)
			return nil
		}
		if attempt == pushAttempts || permanent(err) {
			return err
		}
		_, _ = fmt.Fprintf(out.Stderr, "%s; retrying\n", manifest.Escape(err.Error(), ""))
		if err := pause.For(ctx, delay); err != nil {
			return err
		}
		delay *= 2
	}
}

// pushParts pushes an image whose platforms were built under separate names, as a manifest list.
func (e *Executor) pushParts(ctx context.Context, dockerContext string, name reference.NamedTagged, platforms []string, out Output) error {
	args := []string{"create", "--push", "--from", "daemon", name.String()}
	for _, platform := range platforms {
		part, err := partName(name, platform)
		if err != nil {
			return err
		}
		args = append(args, part.String())
	}
	if err := exited(e.Programs.Plugin(ctx, dockerContext, nil, "", args, out)); err != nil {
		return fmt.Errorf("pushing %s as a manifest list of its platforms: %w", manifest.Familiar(name), err)
	}
	return nil
}

// builtBy returns the last build step above a push that builds an image with this name, the zero step for none.
func (e *Executor) builtBy(push task.Step, name reference.NamedTagged) (build task.Step) {
	for _, s := range e.File.Steps {
		if s.ID == push.ID {
			break
		}
		b, ok := s.Action.(task.Build)
		if ok && slices.ContainsFunc(b.Tags, func(t reference.NamedTagged) bool { return t.String() == name.String() }) {
			build = s
		}
	}
	return build
}
