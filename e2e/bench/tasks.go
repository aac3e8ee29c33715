package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// workload is a task, with the same commands by hand and the promised ratio of the times, 0 for none.
type workload struct {
	name, steps, hand string
	files, size       int // size is that of each file in bytes
	limit             float64
	runs              int
}

const byHand = `docker run --rm --network bench -v "$PWD:/workspace" -w /workspace bench:1 `

var workloads = []workload{
	{"few files, cmd", "- cmd: bench:1 ls\n", byHand + "ls", 3, 1, 1.3, 25},
	{"18 MB, cmd, build, cmd, build", strings.Repeat("- cmd: bench:1 sh -c 'date >made'\n- build: -t bench:2 .\n", 2),
		strings.Repeat(byHand+"sh -c 'date >made' && docker buildx build --load -t bench:2 . && ", 2) + "rm made", 300, 60_000, 1.5, 9},
	{"280 MB in 10,000 files, cmd, by overlay", "- cmd: bench:1 ls\n", byHand + "ls", 10_000, 28_000, 2, 9},
	{"280 MB in 10,000 files, cmd, by copy", "- cmd: bench:1 ls\n- cmd: docker create --name multiarch-$ID-x bench:1 ls\n", byHand + "ls", 10_000, 28_000, 0, 3},
}

// tasks compares runs of task files with the same commands by hand. Both use a network: the daemons have no default one.
func tasks(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for i, w := range workloads {
		if err := w.write(filepath.Join(l.home, fmt.Sprint("task", i))); err != nil {
			return err
		}
	}
	for _, store := range []servers.Store{servers.Containerd, servers.GraphDriver} {
		if err := l.tasksOn(ctx, store); err != nil {
			return err
		}
	}
	return nil
}

// write writes the context.
func (w workload) write(dir string) error {
	errs := []error{os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "acb.yaml"), []byte("version: v1.1.0\nsteps:\n"+w.steps), 0o600),
		os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM bench:1\nCOPY d1 made /\n"), 0o600)}
	for i := range w.files {
		folder := filepath.Join(dir, fmt.Sprint("d", i%50))
		errs = append(errs, os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), make([]byte, w.size), 0o600))
	}
	return errors.Join(errs...)
}

// tasksOn measures the workloads on a daemon.
func (l *lab) tasksOn(ctx context.Context, store servers.Store) (err error) {
	tools, err := servers.FindTools()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := servers.StartDaemon(ctx, dir, servers.DaemonOptions{Store: store, Tools: tools})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	if err := loadShell(ctx, d, tools); err != nil {
		return err
	}
	if _, err := l.shell("docker network create bench", "", nil, "DOCKER_HOST="+d.Host).run(ctx, 0); err != nil {
		return err
	}
	for i, w := range workloads {
		c := contest{title: fmt.Sprintf("%s, %s", w.name, store), warmUp: 1}
		for _, script := range []string{"docker multiarch task run .", w.hand} {
			c.programs = append(c.programs, l.shell(fmt.Sprintf(`cd "$HOME/task%d" && %s`, i, script), "", nil, "DOCKER_HOST="+d.Host))
		}
		c.programs[0].name, c.programs[1].name = "docker multiarch task run", "by hand"
		all, err := c.hold(ctx, w.runs)
		if err != nil {
			return err
		}
		c.print(all)
		if r := ratio(all[0], all[1], wall); w.limit > 0 {
			result(fmt.Sprintf("%s takes at most %.1f of the time by hand", c.title, w.limit), r <= w.limit, fmt.Sprintf("%.2f", r))
		}
	}
	return nil
}

// loadShell loads an image with a shell.
func loadShell(ctx context.Context, d *servers.Daemon, tools servers.Tools) error {
	program, err := tools.Busybox()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	links := map[string]string{}
	for _, name := range []string{"date", "ls", "sh"} {
		links["bin/"+name] = "busybox"
	}
	image := images.Image(images.Spec{Seed: "bench", Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Files: map[string]string{"bin/busybox": string(data)}, Links: links})
	return d.Load(ctx, images.DockerArchive(map[string]images.Manifest{"bench:1": image}))
}
