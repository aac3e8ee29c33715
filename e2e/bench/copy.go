package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
)

// copyRuns is how often each program copies.
const copyRuns = 3

// memoryLimit is the promise for a copy, in bytes.
const memoryLimit = 64 << 20

// copiers bring four images of four layers from one registry to another, under a list. The ratios are those
// of the first.
var copiers = []peer{
	{"docker multiarch import", "docker", `docker multiarch import --progress quiet "$from" "$list"`},
	{"docker multiarch create", "docker", createPush},
	{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools create -t "$list" $sources`},
	{"crane", "crane", `crane index append --insecure $(printf -- '-m %s ' $sources) -t "$list"`},
	{"crane copy", "crane", `crane copy --insecure "$from" "$list"`},
	{"regctl", "regctl", `regctl registry set --tls disabled "$host" && regctl registry set --tls disabled "${from%%/*}" && regctl image copy "$from" "$list"`},
	{"oras", "oras", `oras cp -r --from-plain-http --to-plain-http "$from" "$list"`},
	{"skopeo", "skopeo", `skopeo --insecure-policy copy --all --src-tls-verify=false --dest-tls-verify=false "docker://$from" "docker://$list"`},
}

// copies measures the way of layers between registries.
func copies(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	from := l.registries[1]
	for _, arch := range benchPlatforms[:4] {
		if err := putNoise(ctx, from, "big", arch, 4, 8<<20); err != nil {
			return err
		}
	}
	for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
		lines, err := l.lines(delay, nil)
		if err != nil {
			return err
		}
		if err := l.copyAt(ctx, delay, lines[0], lines[1]); err != nil {
			return err
		}
	}
	return l.copyLarge(ctx, o.layer)
}

// copyAt prints what each program takes with the registries this far away, and what it takes once more when
// all is there.
func (l *lab) copyAt(ctx context.Context, delay time.Duration, to, from *proxy.Line) error {
	var sources []string
	for _, arch := range benchPlatforms[:4] {
		sources = append(sources, from.Host+"/big:"+arch)
	}
	whole := from.Host + "/big:all"
	if _, err := l.shell(createPush, whole, from.Host, sources).run(ctx); err != nil {
		return err
	}
	fmt.Printf("\ncopy of 4 platforms x 4 layers x 8 MiB at %v, the middle one of %d runs; then once more with all of it there\n", delay, copyRuns)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "program\tseconds\tours to it\trequests\tpeak MiB\tseconds\tours to it\trequests")
	var ours [2]copied
	for _, p := range copiers {
		if !l.installed(p) {
			continue
		}
		var runs [2][]copied
		for run := range copyRuns {
			list := fmt.Sprintf("%s/%s-%d-%d:1", to.Host, strings.ReplaceAll(p.name, " ", "-"), delay.Milliseconds(), run)
			program := l.shell(p.script, list, to.Host, sources)
			program.env = append(program.env, "from="+whole)
			for again := range runs {
				c, err := copyOnce(ctx, program, to, from)
				if err != nil {
					return err
				}
				runs[again] = append(runs[again], c)
			}
		}
		first, again := middle(runs[0]), middle(runs[1])
		if ours[0].wall == 0 {
			ours = [2]copied{first, again}
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%d\t%.1f\t%.2f\t%.2f\t%d\n", p.name,
			first.wall.Seconds(), first.ratio(ours[0]), first.requests, float64(first.peak)/(1<<20),
			again.wall.Seconds(), again.ratio(ours[1]), again.requests)
	}
	return w.Flush()
}

// copied is what a copy took.
type copied struct {
	usage
	requests int
}

func copyOnce(ctx context.Context, p program, lines ...*proxy.Line) (copied, error) {
	for _, l := range lines {
		l.Take()
	}
	u, err := p.run(ctx)
	c := copied{usage: u}
	for _, l := range lines {
		c.requests += len(l.Take().Requests)
	}
	return c, err
}

// middle returns the run that took the middle time.
func middle(runs []copied) copied {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b copied) int { return cmp.Compare(a.wall, b.wall) })
	return sorted[len(sorted)/2]
}

// ratio is the time that ours took to that of c.
func (c copied) ratio(ours copied) float64 { return float64(ours.wall) / float64(c.wall) }

// copyLarge copies an image of one layer of so many MiB.
func (l *lab) copyLarge(ctx context.Context, size int) error {
	if size == 0 {
		return nil
	}
	from, to := l.registries[1], l.registries[0]
	if err := putNoise(ctx, from, "large", "amd64", 1, int64(size)<<20); err != nil {
		return err
	}
	u, err := l.shell(createPush, to.Host+"/large:1", to.Host, []string{from.Host + "/large:amd64"}).run(ctx)
	if err != nil {
		return err
	}
	verdict := "yes"
	if u.peak > memoryLimit {
		verdict = "NO"
	}
	fmt.Printf("\ncopy of one layer of %d MiB: %.1f s, peak %.1f MiB\nresult: peak memory is below %d MiB: %s\n",
		size, u.wall.Seconds(), float64(u.peak)/(1<<20), memoryLimit>>20, verdict)
	return nil
}
