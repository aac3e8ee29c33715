package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// program is a command line to be measured.
type program struct {
	name string // in the tables
	args []string
	env  []string
}

// usage is what one run took. CPU time and peak memory include those of the processes it started and waited
// for: of the docker command, its plugins. Peak is that of the largest single process, in bytes, and 0 where
// the system does not tell.
type usage struct {
	wall, cpu time.Duration
	peak      int64
}

// run runs the program to its end, which has to be a good one. It finds in $run which of its runs it is.
func (p program) run(ctx context.Context, run int) (usage, error) {
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	cmd.Env = append(p.env[:len(p.env):len(p.env)], fmt.Sprint("run=", run))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", strings.Join(p.args, " "), err, &stderr)
	}
	state := cmd.ProcessState
	return usage{wall: took, cpu: state.UserTime() + state.SystemTime(), peak: peak(state)}, nil
}
