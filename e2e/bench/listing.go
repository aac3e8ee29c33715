package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// listingTags is the number of tags of the listed repository, listingRuns the number of runs of each program.
const (
	listingTags = 6667 // 10,000 manifests
	listingRuns = 3
)

// listers list a repository, $list.
var listers = []peer{
	{"docker multiarch repo tags -q", "docker", `docker multiarch repo tags -q "$list"`},
	{"crane ls", "crane", `crane ls --insecure "$list"`},
	{"regctl tag ls", "regctl", `regctl tag ls "$list"`},
	{"oras repo tags", "oras", `oras repo tags --plain-http "$list"`},
	{"docker multiarch repo tags", "docker", `docker multiarch repo tags "$list"`},
	{"docker multiarch repo manifests", "docker", `docker multiarch repo manifests "$list"`},
	{"docker multiarch repo purge", "docker", `docker multiarch repo purge --all --keep 100 "$list"`},
	{"docker multiarch repo purge --force", "docker", `docker multiarch repo purge --all --keep 100 --force --max-deletes 8 "$list"`},
}

// listings measures the listing of a large repository.
func listings(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.registries[0].PutTags(ctx, "many", listingTags); err != nil {
		return err
	}
	lines, err := l.lines(ctx, 0, nil)
	if err != nil {
		return err
	}
	fmt.Printf("\nlisting of %d tags, every fourth a list of two images; the median of %d runs\n", listingTags, listingRuns)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "program\trequests\tseconds\tpeak MiB")
	for _, p := range listers {
		if !l.installed(p) {
			continue
		}
		var walls []time.Duration
		var s series
		requests := 0
		for range listingRuns {
			lines[0].Take()
			u, err := l.shell(p.script, lines[0].Host+"/many", nil).run(ctx, 0)
			if err != nil {
				return err
			}
			walls, s, requests = append(walls, u.wall), append(s, u), len(lines[0].Take().Requests)
		}
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%s\n", p.name, requests, median(walls).Seconds(), s.peak())
	}
	return w.Flush()
}
