package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// program is a command line that is measured.
type program struct {
	name string // in the tables
	args []string
	env  []string
	// remove is what is removed after each run.
	remove []string
}

// usage is the cost of one run. CPU time and peak memory include those of waited-for child processes: of the plugins
// of the docker command. Peak is that of the largest single process, in bytes, and 0 if the system does not report
// it.
type usage struct {
	wall, cpu time.Duration
	peak      int64
}

// run runs the program, which has to succeed. $run is the number of the run.
func (p program) run(ctx context.Context, run int) (usage, error) {
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	cmd.Env = append(p.env[:len(p.env):len(p.env)], fmt.Sprint("run=", run))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	for _, path := range p.remove {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", strings.Join(p.args, " "), err, &stderr)
	}
	state := cmd.ProcessState
	return usage{wall: took, cpu: state.UserTime() + state.SystemTime(), peak: peak(state)}, nil
}
