package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"text/tabwriter"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/internal/throttle"
)

// What is removed and imported, and the limits, are a tenth of what a large repository in Azure Container Registry has.
const (
	ratesTier      = "Standard"
	ratesScale     = 0.1
	ratesManifests = 200
	ratesTags      = 50
	ratesJobs      = 64 // the default of --jobs
)

// rateLimited are the runs against a registry that limits rates, each with the class of requests that it needs most of.
var rateLimited = []struct {
	name, class, script string
	images              int
}{
	{"repo purge", "deletes", `docker multiarch repo purge --all --force "$list"`, ratesManifests},
	{"import --all-tags", "writes", `docker multiarch import --all-tags --progress quiet "$from" "$list"`, ratesTags},
}

// rates measures how much of its limits a registry that has some is used, and how often it refuses. The runs are concurrent,
// each with limits of its own, since they mostly wait.
func rates(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var programs []program
	var gates []*throttle.Gate
	for _, r := range rateLimited {
		to, err := proxy.To(l.registries[0].Base)
		if err != nil {
			return err
		}
		gate := &throttle.Gate{Next: to, Limits: throttle.Azure[ratesTier].Times(ratesScale), Now: time.Now}
		line, err := proxy.Start(0, gate)
		if err != nil {
			return err
		}
		l.stops = append(l.stops, line.Close)
		from := l.registries[0]
		if r.class == "writes" {
			from = l.registries[1]
		}
		for i := range r.images {
			image := images.Image(images.Spec{Seed: fmt.Sprint(r.name, i), Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}})
			if err := from.Put(ctx, r.class, fmt.Sprint("t", i), image); err != nil {
				return err
			}
		}
		programs = append(programs, l.shell(r.script, line.Host+"/"+r.class, nil, "from="+from.Host+"/"+r.class))
		gates = append(gates, gate)
	}
	ends := make(chan error)
	for _, p := range programs {
		go func() {
			_, err := p.run(ctx, 0)
			ends <- err
		}()
	}
	for range programs {
		err = errors.Join(err, <-ends)
	}
	if err != nil {
		return err
	}
	return printRates(gates)
}

// printRates prints what became of the requests, and judges it.
func printRates(gates []*throttle.Gate) error {
	fmt.Printf("\nrates: purge of %d manifests and import of %d tags, limits of Azure's %s tier times %.1f\n", ratesManifests, ratesTags, ratesTier, ratesScale)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "program\tclass\trequests\trefused\tpart of the limit used after a minute")
	used, refused := math.Inf(1), 0.0
	for i, r := range rateLimited {
		c := gates[i].Counts()[r.class]
		all := c.Admitted + c.Refused
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.2f\n", r.name, r.class, all, c.Refused, c.Used)
		used, refused = min(used, c.Used), max(refused, (float64(c.Refused)-ratesJobs)/float64(all))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	result("at least 0.90 of the limit is used after the first minute", used >= 0.9, fmt.Sprintf("%.2f", used))
	result("at most 0.02 of the requests and --jobs are refused", refused <= 0.02, fmt.Sprintf("%.3f beyond --jobs", max(refused, 0)))
	return nil
}
