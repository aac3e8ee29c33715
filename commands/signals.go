package commands

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/docker/cli/cli-plugins/plugin"
	"github.com/spf13/cobra"
)

// Exit codes of a command that a signal has ended.
const (
	exitInterrupted = 130
	exitTerminated  = 143
)

// Abandoned receives the exit code at a second signal: the process exits without waiting for the command.
var Abandoned = make(chan int, 1)

// interrupted receives the exit code at the first signal.
var interrupted = make(chan int, 1)

// preRun cancels the context of the command at the first signal and ends the process at the second, then calls the
// plugin framework.
func preRun(cmd *cobra.Command, args []string) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		interrupted <- exitCodeOf(<-signals)
		cancel()
		Abandoned <- exitCodeOf(<-signals)
	}()
	cmd.SetContext(ctx)
	return plugin.PersistentPreRunE(cmd, args)
}

func exitCodeOf(s os.Signal) int {
	if s == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// signalDelay is how much later a signal may arrive than the docker command, which has received it too, cancels the plugin.
const signalDelay = 200 * time.Millisecond

// interruptedBy returns the exit code for a command that was canceled. Without a signal that was the docker command, which
// does not pass on its own signals, or a prompt.
func interruptedBy() int {
	select {
	case code := <-interrupted:
		return code
	case <-time.After(signalDelay):
		return exitInterrupted
	}
}
