// Command bench measures the built plugin and other programs: the start-up of the plugin, of one without commands and of
// docker buildx; requests and round trips, copies between registries and to files, imports, listings, pushes of local images
// and checks of all layers of the plugin and, if they are installed, of docker manifest, docker buildx, crane, regctl, oras
// and skopeo; and how the plugin uses a registry that limits rates. Compared programs run in turns, so that other load of the
// machine affects all of them; promises are about ratios, never about times. Each promise ends in a line "result: ...: yes"
// or NO.
//
// A section (sections, below) covers one subject; arguments select sections, without them all run. It describes its
// programs as a contest and prints the contest's table; see startup.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// options are the parameters of the sections.
type options struct {
	plugin string // docker-multiarch
	empty  string // the plugin without commands, built with the same flags and dependencies
	runs   int    // of each program
	layer  int    // the size of the large layer that is copied, in MiB
}

// section covers one subject.
type section struct {
	name string
	run  func(context.Context, options) error
}

var sections = []section{
	{"start-up", startUp}, {"rounds", rounds}, {"copies", copies}, {"imports", imports}, {"listings", listings},
	{"pending", pending}, {"rates", rates}, {"tasks", tasks}, {"verify", verification},
	{"layouts", layouts},
}

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
	if o.plugin == "" || o.empty == "" || o.runs < 1 {
		return errors.New("usage: bench -plugin FILE -empty FILE [-runs N] [-layer MiB] [SECTION...]")
	}
	for _, name := range flag.Args() {
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == name }) {
			return fmt.Errorf("no section %q", name)
		}
	}
	for _, section := range sections {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), section.name) {
			continue
		}
		start := time.Now()
		if err := section.run(ctx, o); err != nil {
			return err
		}
		fmt.Printf("\nsection %s: %v\n", section.name, time.Since(start).Round(time.Second))
	}
	return nil
}

// result prints whether a promise is kept, with the figures.
func result(promise string, kept bool, figures string) {
	verdict := "yes"
	if !kept {
		verdict = "NO"
	}
	fmt.Printf("\nresult: %s: %s (%s)\n", promise, verdict, figures)
}
