package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// build builds an image from the workspace: with BuildKit, or with the classic builder if the daemon has no BuildKit,
// the docker command has no buildx, or the step sets DOCKER_BUILDKIT=0.
func (e *Executor) build(ctx context.Context, step task.Step, b task.Build, out Output) (int, error) {
	d, err := e.daemon(step.Context)
	if err != nil {
		return -1, err
	}
	buildKit, multiPlatform, err := d.Builds(ctx)
	if err != nil {
		return -1, err
	}
	dir, release, err := e.hostFolder(ctx, step, useOf(step, b))
	if err != nil {
		return -1, err
	}
	defer release()
	secrets, err := e.secrets(step, &b)
	if err != nil {
		return -1, err
	}
	defer os.RemoveAll(secrets)
	if !e.buildKit(buildKit, step) || !e.hasBuildx(ctx) {
		return e.command(ctx, step, dir, append([]string{"build"}, b.Words()...), []string{"DOCKER_BUILDKIT=0"}, nil, out)
	}
	if len(b.Platforms) == 0 {
		e.infer(ctx, step, dir, &b, out)
	}
	registryCache := multiPlatform || e.foreign(b)
	if splits(b, multiPlatform && !e.foreign(b)) {
		return e.buildParts(ctx, step, dir, b, registryCache, out)
	}
	b.Flags = append(b.Flags, cacheFlags(step, b, "", registryCache)...)
	return e.buildxBuild(ctx, step, dir, b, out)
}

// buildKit reports whether a step builds with BuildKit, given whether the daemon has it.
func (e *Executor) buildKit(available bool, step task.Step) bool {
	return (available || e.Builder != "") && !slices.Contains(step.Env, "DOCKER_BUILDKIT=0")
}

// splitsOn reports whether a build on a daemon gives each platform a separate name, see buildParts. The answer depends
// only on the file and the daemon, so that it is the same in a run that starts at the push.
func (e *Executor) splitsOn(ctx context.Context, d *usedDaemon, step task.Step, b task.Build) (bool, error) {
	if !splits(b, false) {
		return false, nil
	}
	buildKit, multiPlatform, err := d.Builds(ctx)
	return e.buildKit(buildKit, step) && splits(b, multiPlatform && !e.foreign(b)), err
}

// splits reports whether a build gives each platform a separate name, given whether the builder can load several
// platforms under one name: only the daemon's own can, if the daemon stores them.
func splits(b task.Build, loadsAll bool) bool {
	return len(b.Platforms) > 1 && !loadsAll && !b.HasOutput()
}

// foreign reports whether the builder is not the daemon's own.
func (e *Executor) foreign(b task.Build) bool {
	return e.Builder != "" || hasFlag(b.Flags, "--builder")
}

func (e *Executor) buildxBuild(ctx context.Context, step task.Step, dir string, b task.Build, out Output) (int, error) {
	if !b.HasOutput() {
		b.Flags = append(slices.Clone(b.Flags), "--load")
	}
	b.Flags = append(e.builder(step, b), b.Flags...)
	return e.command(ctx, step, dir, append([]string{"buildx", "build"}, b.Words()...), nil, nil, out)
}

// hasBuildx reports whether the docker command has buildx.
func (e *Executor) hasBuildx(ctx context.Context) bool {
	has, _ := e.buildx.Do(ctx, func() (bool, error) {
		cmd, err := e.Programs.Docker(ctx, "", nil, "buildx", "version")
		return err == nil && cmd.Run() == nil, cmp.Or(ctx.Err(), err)
	})
	return has
}

// builder returns the flag that selects the run's builder or the daemon's own, whatever 'docker buildx use' has
// selected.
func (e *Executor) builder(step task.Step, b task.Build) []string {
	if hasFlag(b.Flags, "--builder") {
		return nil
	}
	name := e.Builder
	if name == "" {
		name = e.Programs.Builder(step.Context)
	}
	return []string{"--builder=" + name}
}

// infer gives the image the platform of the Dockerfile's last stage. The classic builder, for which the format was
// made, does that; BuildKit labels the image with the daemon's own platform.
func (e *Executor) infer(ctx context.Context, step task.Step, dir string, b *task.Build, out Output) {
	dockerfile, err := ReadDockerfile(ctx, dir, step)
	if err != nil {
		return // BuildKit reports why
	}
	if platform := task.Platform(dockerfile, b.Target); platform != "" {
		_, _ = fmt.Fprintf(out.Stderr, "Building for %s, the platform in the Dockerfile's FROM\n", manifest.Escape(platform, ""))
		b.Platforms = []string{platform}
	}
}

// ReadDockerfile returns the Dockerfile of a build step whose workspace is in dir. The error is os.ErrNotExist if the
// step's context is not a folder; a file outside of the workspace is not read.
func ReadDockerfile(ctx context.Context, dir string, step task.Step) ([]byte, error) {
	b, ok := step.Action.(task.Build)
	if !ok || b.Context == "-" || strings.Contains(b.Context, "://") || strings.HasPrefix(b.Context, "git@") || b.File == "-" {
		return nil, os.ErrNotExist
	}
	name := b.File
	if name == "" {
		name = filepath.Join(b.Context, "Dockerfile")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(hostDir(dir, step), name)
	}
	name, err := filepath.Rel(dir, name)
	if err != nil {
		return nil, err
	}
	return Source{Dir: dir}.ReadInside(ctx, name)
}

// cacheFlags returns the flags for 'cache: enabled': a cache next to the image in its registry or, if the builder cannot
// export that, inside the image. The cache of one platform of several has the platform in its name.
func cacheFlags(step task.Step, b task.Build, platform string, registry bool) []string {
	if !step.Cache || len(b.Tags) == 0 {
		return nil
	}
	if !registry {
		return []string{"--cache-to=type=inline", "--cache-from=type=registry,ref=" + b.Tags[0].String()}
	}
	ref := b.Tags[0].Name() + ":cache_" + cacheTask + "_" + step.ID
	if platform != "" {
		ref += "-" + strings.ReplaceAll(platform, "/", "-")
	}
	return []string{"--cache-to=type=registry,mode=max,ref=" + ref, "--cache-from=type=registry,ref=" + ref}
}

// cacheTask is Azure's name of a task without a name.
const cacheTask = "quickrun"

// buildParts builds each platform of an image under a separate name, concurrently, for a daemon that cannot store them
// under one name. A push step joins them.
func (e *Executor) buildParts(ctx context.Context, step task.Step, dir string, b task.Build, registryCache bool, out Output) (int, error) {
	parts, err := partsOf(b)
	if err != nil {
		return -1, err
	}
	codes, errs := make([]int, len(parts)), make([]error, len(parts))
	var wg sync.WaitGroup
	for i, one := range parts {
		platform := one.Platforms[0]
		one.Flags = append(one.Flags, cacheFlags(step, b, platform, registryCache)...)
		own, flush := prefixLines(out, manifest.Escape(platform, "")+": ")
		defer flush()
		wg.Go(func() {
			if codes[i], errs[i] = e.buildxBuild(ctx, step, dir, one, own); errs[i] != nil {
				errs[i] = fmt.Errorf("for %s: %w", platform, errs[i])
				return
			}
			for _, name := range one.Tags {
				_, _ = fmt.Fprintf(own.Stderr, "Built %s; a push step joins it with the other platforms\n", manifest.Familiar(name))
			}
		})
	}
	wg.Wait()
	return cmp.Or(codes...), errors.Join(errs...)
}

// partsOf returns the builds of the platforms, under separate names.
func partsOf(b task.Build) ([]task.Build, error) {
	var parts []task.Build
	for _, platform := range b.Platforms {
		one := b
		one.Platforms, one.Tags, one.Flags = []string{platform}, nil, slices.Clone(b.Flags)
		for _, tag := range b.Tags {
			name, err := partName(tag, platform)
			if err != nil {
				return nil, err
			}
			one.Tags = append(one.Tags, name)
		}
		parts = append(parts, one)
	}
	return parts, nil
}

// partName returns the name of one platform of an image.
func partName(tag reference.NamedTagged, platform string) (reference.NamedTagged, error) {
	return reference.WithTag(reference.TrimNamed(tag), tag.Tag()+"-"+strings.ReplaceAll(platform, "/", "-"))
}

// hostDir returns the working directory of a step, which is always below the workspace in dir.
func hostDir(dir string, step task.Step) string {
	if step.NoDir {
		return dir
	}
	return filepath.Join(dir, filepath.FromSlash(path.Clean("/"+step.Dir)))
}
