package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// copyRuns is how often each program copies.
const copyRuns = 3

// memoryLimit is the promise for a copy, in bytes.
const memoryLimit = 64 << 20

// copiers bring four images of four layers from one registry to another, under a list.
var copiers = []peer{
	{"docker multiarch", "docker", createPush},
	{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools create -t "$list" $sources`},
	{"crane", "crane", `crane index append --insecure $(printf -- '-m %s ' $sources) -t "$list"`},
	{"crane copy", "crane", `crane copy --insecure "$from" "$list"`},
	{"regctl", "regctl", `regctl registry set --tls disabled "$host" && regctl registry set --tls disabled "${from%%/*}" && regctl image copy "$from" "$list"`},
	{"oras", "oras", `oras cp -r --from-plain-http --to-plain-http "$from" "$list"`},
	{"skopeo", "skopeo", `skopeo copy --all --src-tls-verify=false --dest-tls-verify=false "docker://$from" "docker://$list"`},
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
		if err := l.copyAt(ctx, delay, lines[0].Host, lines[1].Host); err != nil {
			return err
		}
	}
	return l.copyLarge(ctx, o.layer)
}

// copyAt prints what each program takes with the registries this far away.
func (l *lab) copyAt(ctx context.Context, delay time.Duration, to, from string) error {
	var sources []string
	for _, arch := range benchPlatforms[:4] {
		sources = append(sources, from+"/big:"+arch)
	}
	whole := from + "/big:all"
	if _, err := l.shell(createPush, whole, from, sources).run(ctx); err != nil {
		return err
	}
	fmt.Printf("\ncopy of 4 platforms x 4 layers x 8 MiB at %v, the middle one of %d runs\n", delay, copyRuns)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "program\tseconds\tours to it\tpeak MiB")
	var ours time.Duration
	for _, p := range copiers {
		if !l.installed(p) {
			continue
		}
		var walls []time.Duration
		var s series
		for run := range copyRuns {
			list := fmt.Sprintf("%s/%s-%d-%d:1", to, strings.ReplaceAll(p.name, " ", "-"), delay.Milliseconds(), run)
			program := l.shell(p.script, list, to, sources)
			program.env = append(program.env, "from="+whole)
			u, err := program.run(ctx)
			if err != nil {
				return err
			}
			walls, s = append(walls, u.wall), append(s, u)
		}
		if ours == 0 {
			ours = median(walls)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%s\n", p.name, median(walls).Seconds(), float64(ours)/float64(median(walls)), s.peak())
	}
	return w.Flush()
}

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
