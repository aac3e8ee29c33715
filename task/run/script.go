package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run/workspace"
	"github.com/docker-multiarch/docker-multiarch/task/shell"
)

// scriptHost runs the commands of a script on behalf of a step.
type scriptHost struct {
	*Executor
	step    task.Step
	script  task.Script
	started func()
}

var _ shell.Host = scriptHost{}

// Run runs a command.
func (h scriptHost) Run(ctx context.Context, c shell.Command) (int, error) {
	action, err := h.script.Action(c)
	if err != nil {
		return -1, err
	}
	step := h.step
	step.Dir, step.Env = c.Dir, c.Env
	out := Output{Stdout: c.Out, Stderr: c.Err}
	switch action := action.(type) {
	case task.Container:
		return h.container(ctx, step, action, out, h.started)
	case task.Docker:
		h.started()
		return h.docker(ctx, step, action, c.In, out)
	case task.Plugin:
		h.started()
		return h.plugin(ctx, step, action, out)
	}
	return -1, fmt.Errorf("unknown action %T", action)
}

// Open opens a file of the workspace. Links do not lead out of it.
func (h scriptHost) Open(ctx context.Context, name string, flag int) (io.ReadWriteCloser, error) {
	use := workspace.Reads
	if flag != os.O_RDONLY {
		use = workspace.Writes
	}
	root, release, err := h.root(ctx, use)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := OpenFile(root, name, flag, 0o666)
	if err != nil {
		release()
		return nil, err
	}
	return workspaceFile{file, release}, nil
}

// OpenFile opens a file or folder of a workspace. No link leads out of it, and devices and pipes are not opened.
func OpenFile(root *os.Root, name string, flag int, perm os.FileMode) (*os.File, error) {
	check := func(info os.FileInfo) error {
		if info.Mode().IsRegular() || info.IsDir() {
			return nil
		}
		return manifest.Errorf(errdefs.ErrInvalidArgument, "%s is neither a file nor a folder", name)
	}
	if info, err := root.Stat(name); err == nil && check(info) != nil {
		return nil, check(info)
	}
	file, err := root.OpenFile(name, flag|syscall.O_NONBLOCK, perm) // somebody may put a pipe there meanwhile
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = check(info)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// Stat describes a file of the workspace.
func (h scriptHost) Stat(ctx context.Context, name string) (os.FileInfo, error) {
	root, release, err := h.root(ctx, workspace.Reads)
	if err != nil {
		return nil, err
	}
	defer release()
	defer root.Close()
	return root.Stat(name)
}

// root opens the workspace on this machine. Release must be called when what was opened in it is closed.
func (e *Executor) root(ctx context.Context, use workspace.Use) (root *os.Root, release func(), err error) {
	dir, release, err := e.workspace.Host(ctx, use)
	if err != nil {
		return nil, nil, err
	}
	if root, err = os.OpenRoot(dir); err != nil {
		release()
		return nil, nil, err
	}
	return root, release, nil
}

// workspaceFile is a file of the workspace, which is released when it is closed.
type workspaceFile struct {
	*os.File
	release func()
}

func (f workspaceFile) Close() error {
	defer f.release()
	return f.File.Close()
}

// runScript runs a script.
func (e *Executor) runScript(ctx context.Context, step task.Step, script task.Script, out Output, started func()) (int, error) {
	host := scriptHost{e, step, script, started}
	code, err := script.Text.Run(ctx, host, step.Dir, slices.Clone(step.Env), shell.Streams{In: eof{}, Out: out.Stdout, Err: out.Stderr})
	if ctx.Err() != nil && err != nil && !errors.Is(err, context.Cause(ctx)) {
		err = errors.Join(context.Cause(ctx), err)
	}
	return code, err
}

// eof is an empty standard input.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
