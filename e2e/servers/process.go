// Package servers starts real registries and daemons for the tests and the demo, each in its own folder and on its
// own address, and stops them. It ends only processes that it started, and these die with this process. It does not
// depend on package testing: package harness shares the servers among tests.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Timeouts, far above what a loaded machine needs.
const (
	startTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
	pollInterval = 20 * time.Millisecond
)

// process is a started program and its output.
type process struct {
	cmd    *exec.Cmd
	name   string
	stdout string // files with all it wrote
	stderr string
	exited chan struct{} // closed when it ended
	err    error         // of Wait, valid once exited is closed
}

// start runs cmd with its output in files in dir. It keeps the thread that starts the program until that ends: the
// kernel kills the program with its parent thread.
func start(cmd *exec.Cmd, dir string) (*process, error) {
	name := filepath.Base(cmd.Path)
	p := &process{
		cmd: cmd, name: name, exited: make(chan struct{}),
		stdout: filepath.Join(dir, name+".stdout"), stderr: filepath.Join(dir, name+".stderr"),
	}
	stdout, err := os.Create(p.stdout)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.stderr)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Dir = dir
	cmd.SysProcAttr = diesWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// await calls ready until it returns true. The end of the process, of ctx or of the timeout is an error with the end
// of the process's stderr.
func (p *process) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended (%w):\n%s", p.name, p.err, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w):\n%s", p.name, ctx.Err(), p.tail())
		case <-tick.C:
		}
	}
	return nil
}

// running reports whether the process was started and has not ended.
func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// tail returns the end of the process's stderr.
func (p *process) tail() []byte {
	const enough = 4 << 10
	data, err := os.ReadFile(p.stderr)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(data[max(0, len(data)-enough):])
}

// stop sends SIGTERM to the process and waits for its end, or kills it after a timeout.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s did not end in %s and was killed", p.name, stopTimeout)
	}
}

// kill kills the process.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}
