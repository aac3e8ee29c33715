package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run/workspace"
)

// docker runs a docker command in the workspace.
func (e *Executor) docker(ctx context.Context, step task.Step, action task.Docker, in io.Reader, out Output) (int, error) {
	use := useOf(step, action)
	step.NoDir = step.NoDir || use == noUse // its folder may be in a container only
	dir, release, err := e.hostFolder(ctx, step, use)
	if err != nil {
		return -1, err
	}
	defer release()
	args, release, err := e.withSharedVolume(ctx, step, action.Args)
	if err != nil {
		return -1, err
	}
	defer release()
	return e.command(ctx, step, dir, args, nil, in, out)
}

// hostFolder returns the workspace on this machine, and makes the step's working directory in it, as docker run does. The
// error is also that a link leads out of the workspace. Release must be called when the step does not need it any more.
func (e *Executor) hostFolder(ctx context.Context, step task.Step, use workspace.Use) (dir string, release func(), err error) {
	if use == noUse {
		return e.Context.Dir, func() {}, nil
	}
	dir, release, err = e.workspace.Host(ctx, use)
	if err != nil {
		return "", nil, err
	}
	made, err := makeFolder(dir, step, use == workspace.Writes)
	if err == nil && made {
		return dir, release, nil
	}
	release()
	if err != nil {
		return "", nil, fmt.Errorf("workingDirectory %s: %w", step.Dir, err)
	}
	return e.hostFolder(ctx, step, workspace.Writes)
}

// makeFolder reports whether the working directory of a step is in dir; it makes it if it may write.
func makeFolder(dir string, step task.Step, writes bool) (bool, error) {
	name := filepath.FromSlash(strings.TrimPrefix(path.Clean("/"+step.Dir), "/"))
	if name == "" || step.NoDir {
		return true, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	if _, err = root.Stat(name); errors.Is(err, fs.ErrNotExist) && !writes {
		return false, nil
	} else if errors.Is(err, fs.ErrNotExist) {
		err = root.MkdirAll(name, 0o755)
	}
	return err == nil, err
}

// withSharedVolume fills the volume of the workspace for a docker command that names it, and returns its arguments with
// the volume's name. Release must be called when the command has ended.
func (e *Executor) withSharedVolume(ctx context.Context, step task.Step, args []string) (_ []string, release func(), err error) {
	shared := e.name(SharedVolume)
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, shared) }) {
		return args, func() {}, nil
	}
	d, err := e.daemon(step.Context)
	if err != nil {
		return nil, nil, err
	}
	volume, release, err := e.workspace.Volume(ctx, d.context, d)
	if err == nil && e.workspace.Replace(ctx, d.context, volume) {
		release()
		volume, release, err = e.workspace.Volume(ctx, d.context, d)
	}
	if err != nil {
		return nil, nil, e.conflict(err)
	}
	out := slices.Clone(args)
	for i, arg := range out {
		out[i] = strings.ReplaceAll(arg, shared, volume)
	}
	return out, release, nil
}

// command runs a docker command in the step's folder below dir.
func (e *Executor) command(ctx context.Context, step task.Step, dir string, args, env []string, in io.Reader, out Output) (int, error) {
	args, err := e.confine(ctx, step, args)
	if err != nil {
		return -1, err
	}
	cmd, err := e.Programs.Docker(ctx, step.Context, e.registries(ctx, step, dir, args), args...)
	if err != nil {
		return -1, err
	}
	cmd.Dir = hostDir(dir, step)
	cmd.Env = append(append(cmd.Env, slices.DeleteFunc(slices.Clone(step.Env), isWithheld)...), env...)
	if !e.mayRunGit(dir) {
		cmd.Env = append(cmd.Env, "BUILDX_GIT_INFO=false")
	}
	if e.Pushed != nil && isPush(args) {
		seen := &pushes{args: args}
		lines, flush := prefixLines(Output{seen, seen}, "")
		out = Output{io.MultiWriter(out.Stdout, lines.Stdout), io.MultiWriter(out.Stderr, lines.Stderr)}
		defer func() {
			flush()
			seen.report(e.Pushed, err == nil)
		}()
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out.Stdout, out.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		e.killed.Store(true)
		return -1, context.Cause(ctx)
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // a process that it left behind may hold its output open
		return 0, nil
	case errors.Is(err, exec.ErrNotFound):
		return -1, manifest.Errorf(errdefs.ErrNotFound, "no docker command found (%w): install the docker CLI, which builds and 'cmd: docker' steps need", err)
	case !errors.As(err, &exit):
		return -1, fmt.Errorf("cannot start the docker command: %w", err)
	case isBrokenPipe(exit):
		return brokenPipe, exited(brokenPipe)
	case exit.ExitCode() < 0:
		return -1, fmt.Errorf("the docker command ended with %w", err)
	}
	return exit.ExitCode(), exited(exit.ExitCode())
}

// mayRunGit reports whether buildx may run git in a folder, to put the commit into the provenance. A .git from a tar file or
// a step can name programs that git runs.
func (e *Executor) mayRunGit(dir string) bool {
	isWritten := func(s task.Step) bool { return usesVolume(s.Action) || useOf(s, s.Action) == workspace.Writes }
	return dir == e.Context.Dir && (e.Context.temporary == "" || e.Context.Commit != "" && !slices.ContainsFunc(e.File.Steps, isWritten))
}

// brokenPipe is the exit code in a shell of a program whose output is not read any more.
const brokenPipe = 128 + int(syscall.SIGPIPE)

func isBrokenPipe(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGPIPE
}

// isPush reports whether a docker command may push an image.
func isPush(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		return arg == "push" || arg == "--push" || strings.Contains(arg, "type=registry") || strings.Contains(arg, "push=true")
	})
}

// The lines in which docker push, with a tag of the repository in its last argument, and BuildKit name the pushed images.
var (
	pushedTag  = lazyregexp.New(`^([\w][\w.-]*): digest: (sha256:[0-9a-f]{64}) size: \d+\s*$`)
	pushedName = lazyregexp.New(`pushing manifest for (\S+)@(sha256:[0-9a-f]{64})(?: [\d.]+s)? done`)
	pushedBy   = lazyregexp.New(`^#\d+ pushing (\S+) with docker\s*$`) // by the docker daemon, without the digest
)

// pushes finds what a docker command has pushed in the lines of its output.
type pushes struct {
	args []string
	mu   sync.Mutex
	all  []pushed
}

type pushed struct {
	name   string
	digest digest.Digest // "" if the command did not say it
}

func (p *pushes) Write(line []byte) (int, error) {
	var one pushed
	if m := pushedName().FindSubmatch(line); m != nil {
		one = pushed{string(m[1]), digest.Digest(m[2])}
	} else if m := pushedBy().FindSubmatch(line); m != nil {
		one.name = string(m[1])
	} else if m := pushedTag().FindSubmatch(line); m != nil {
		if name, err := reference.ParseNormalizedNamed(p.args[len(p.args)-1]); err == nil {
			one = pushed{name.Name() + ":" + string(m[1]), digest.Digest(m[2])}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.name != "" && !slices.Contains(p.all, one) {
		p.all = append(p.all, one)
	}
	return len(line), nil
}

// report reports what was pushed. Of a command that failed that is only what has a digest.
func (p *pushes) report(to func(string, digest.Digest), succeeded bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if succeeded || one.digest != "" {
			to(one.name, one.digest)
		}
	}
}

// plugin runs commands of this program, up to the first that fails.
func (e *Executor) plugin(ctx context.Context, step task.Step, action task.Plugin, out Output) (int, error) {
	dir, release, err := e.hostFolder(ctx, step, useOf(step, action))
	if err != nil {
		return -1, err
	}
	defer release()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return -1, err
	}
	defer root.Close()
	for _, args := range action.Commands {
		if action.Replaces != "" {
			_, _ = fmt.Fprintf(out.Stderr, "docker multiarch %s (instead of %s)\n", task.Quote(args), action.Replaces)
		}
		if code := e.Programs.Plugin(ctx, step.Context, root, hostDir(".", step), args, out); code != 0 {
			return code, exited(code)
		}
	}
	return 0, nil
}

// exited returns the error of a program with this exit code, nil for 0.
func exited(code int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("exit code %d", code)
}
