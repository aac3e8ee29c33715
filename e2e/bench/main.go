// Command bench measures the built plugin beside other programs and prints what it finds: start-up beside a
// plugin without commands and beside docker buildx, requests and round trips, copies between registries, and
// listings, beside what is installed of docker manifest, docker buildx, crane, regctl, oras and skopeo.
// Programs that are compared take turns, so that what else the machine does meets all of them alike;
// promises are made about ratios, never about times.
//
// A section (sections, below) prints one subject matter. It describes its programs as a contest and prints
// the contest's table; see startup.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// options are what the sections work with.
type options struct {
	plugin string // docker-multiarch
	empty  string // the plugin without commands, built with the same flags and dependencies
	runs   int    // of each program
	layer  int    // the size of the large layer that is copied, in MiB
}

var sections = []func(context.Context, options) error{startUp, rounds, copies, listings}

func main() {
	var o options
	flag.StringVar(&o.plugin, "plugin", "", "the plugin's binary")
	flag.StringVar(&o.empty, "empty", "", "the binary of the plugin in bench/empty")
	flag.IntVar(&o.runs, "runs", 40, "how often each program runs")
	flag.IntVar(&o.layer, "layer", 2048, "MiB of the large layer that is copied, 0 for none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.plugin == "" || o.empty == "" || o.runs < 1 || flag.NArg() > 0 {
		return errors.New("usage: bench -plugin FILE -empty FILE [-runs N]")
	}
	for _, section := range sections {
		if err := section(ctx, o); err != nil {
			return err
		}
	}
	return nil
}
