package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// The line of the section pending.
const (
	pendingDelay = 50 * time.Millisecond
	pendingRate  = 10_000_000 // bytes per second and connection
	pendingRuns  = 3
)

// pendingUploads are the maxima of concurrent uploads of the daemons. By default, 0, a daemon uploads five layers at a
// time, whatever pushes they belong to, so that two docker push at once hardly gain. The last is judged.
var pendingUploads = []int{0, 10}

// pendingLimits are the promised ratios of the time for two local images to that of two docker push, one after the
// other. A daemon with a graph-driver store compresses the layers anew, which takes the processor.
var pendingLimits = map[servers.Store]float64{servers.Containerd: 0.7, servers.GraphDriver: 1.05}

// pending measures the push of two local images of four layers of 8 MiB.
func pending(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	handler, err := proxy.To(l.registries[0].Base)
	if err != nil {
		return err
	}
	line, err := proxy.StartShaped(pendingDelay, pendingRate, handler)
	if err != nil {
		return err
	}
	l.stops = append(l.stops, line.Close)
	for _, store := range []servers.Store{servers.Containerd, servers.GraphDriver} {
		for i, uploads := range pendingUploads {
			r, title, err := l.pendingOn(ctx, servers.DaemonOptions{Store: store, Uploads: uploads}, line.Host)
			if err != nil {
				return err
			}
			if limit := pendingLimits[store]; i == len(pendingUploads)-1 {
				result(fmt.Sprintf("%s takes at most %.2f of the time of one after the other", title, limit), r <= limit, fmt.Sprintf("%.2f", r))
			}
		}
	}
	return nil
}

// pendingOn returns the ratio of the times on one daemon.
func (l *lab) pendingOn(ctx context.Context, o servers.DaemonOptions, host string) (r float64, title string, err error) {
	if o.Tools, err = servers.FindTools(); err != nil {
		return 0, "", err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := servers.StartDaemon(ctx, dir, o)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	repo := host + "/" + filepath.Base(dir)
	list, pushed, atOnce := repo+"/list-", repo+"/images-", repo+"/at-once-"
	for run := range pendingRuns {
		if err := loadPending(ctx, d, fmt.Sprint("local-", run), fmt.Sprint(pushed, run), fmt.Sprint(atOnce, run)); err != nil {
			return 0, "", err
		}
	}
	const push = `docker push -q "$images$run:amd64" && docker push -q "$images$run:arm64"`
	const pushAtOnce = `docker push -q "$images$run:amd64" & docker push -q "$images$run:arm64" && wait $!`
	c := contest{title: fmt.Sprintf("push of 2 local images x 4 layers x 8 MiB at %v and %d MB/s per connection, %s, %d concurrent uploads",
		pendingDelay, pendingRate/1_000_000, o.Store, cmp.Or(o.Uploads, 5)), programs: []program{
		l.shell(`docker multiarch create --push "$list$run:1" "local-$run:amd64" "local-$run:arm64"`, list, nil, "DOCKER_HOST="+d.Host),
		l.shell(push, "", nil, "images="+pushed, "DOCKER_HOST="+d.Host),
		l.shell(pushAtOnce, "", nil, "images="+atOnce, "DOCKER_HOST="+d.Host),
	}}
	c.programs[0].name, c.programs[1].name, c.programs[2].name = "docker multiarch create --push", "docker push, twice", "docker push, two at once"
	all, err := c.hold(ctx, pendingRuns)
	if err != nil {
		return 0, "", err
	}
	c.print(all)
	return ratio(all[0], all[1], wall), c.title, nil
}

// loadPending loads two new images for each of the repositories.
func loadPending(ctx context.Context, d *servers.Daemon, repos ...string) error {
	for _, repo := range repos {
		for _, arch := range benchPlatforms[:2] {
			image := images.Image(images.Spec{
				Seed: repo + arch, Platform: ocispec.Platform{OS: "linux", Architecture: arch}, Layers: 4, LayerSize: 8 << 20,
			})
			if err := d.Load(ctx, images.DockerArchive(map[string]images.Manifest{repo + ":" + arch: image})); err != nil {
				return err
			}
		}
	}
	return nil
}
