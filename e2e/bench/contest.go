package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// contest is a number of programs that do the same. The first is ours; it is compared with the others.
type contest struct {
	title    string
	warmUp   int // how often each program runs before it is measured: files are in memory then
	programs []program
}

// series has the results of one program, in the order of its runs.
type series []usage

// hold runs the programs in turns, another one first each time since one may leave work to the daemon or the kernel that
// slows down the next, and returns the series of each.
func (c contest) hold(ctx context.Context, runs int) ([]series, error) {
	all := make([]series, len(c.programs))
	for i := range c.warmUp + runs {
		for k := range c.programs {
			j := (i + k) % len(c.programs)
			u, err := c.programs[j].run(ctx, i)
			if err != nil {
				return nil, err
			}
			if i >= c.warmUp {
				all[j] = append(all[j], u)
			}
		}
	}
	return all, nil
}

// print prints the table. The ratios of a row are ours to the row's.
func (c contest) print(all []series) {
	fmt.Printf("\n%s, %d runs each in turn\n", c.title, len(all[0]))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "program\twall ms min/median/max\tCPU ms min/median/max\tpeak MiB\tour wall ratio\tour CPU ratio")
	for i, s := range all {
		ratios := "\t"
		if i > 0 {
			ratios = fmt.Sprintf("%.2f\t%.2f", ratio(all[0], s, wall), ratio(all[0], s, cpu))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.programs[i].name, s.spread(wall), s.spread(cpu), s.peak(), ratios)
	}
	_ = w.Flush()
}

func wall(u usage) time.Duration { return u.wall }
func cpu(u usage) time.Duration  { return u.cpu }

func (s series) spread(of func(usage) time.Duration) string {
	var ms []float64
	for _, u := range s {
		ms = append(ms, of(u).Seconds()*1000)
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f", slices.Min(ms), median(ms), slices.Max(ms))
}

func (s series) peak() string {
	var bytes []int64
	for _, u := range s {
		bytes = append(bytes, u.peak)
	}
	if slices.Max(bytes) == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f", float64(median(bytes))/(1<<20))
}

// ratio returns the median of the ratios of neighboring runs: a slow moment of the machine most likely affects both.
func ratio(a, b series, of func(usage) time.Duration) float64 {
	var all []float64
	for i := range a {
		all = append(all, float64(of(a[i]))/float64(max(of(b[i]), 1)))
	}
	return median(all)
}

func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
