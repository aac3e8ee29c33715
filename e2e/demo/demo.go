package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

const repo = "team/hello"

var platforms = []ocispec.Platform{
	{OS: "linux", Architecture: "amd64"},
	{OS: "linux", Architecture: "arm64"},
}

// demo is one run: its names and what it has to remove at the end.
type demo struct {
	registry *servers.Registry
	dir      string
	env      []string
	daemon   bool     // the images are in a daemon that reaches the registry
	loaded   []string // names in the daemon
	lists    []string // local lists
}

// newDemo treats an empty DOCKER_CONFIG as unset, unlike docker itself.
func newDemo(registry *servers.Registry, dir string) *demo {
	d := &demo{registry: registry, dir: dir}
	for _, kv := range os.Environ() {
		if kv != "DOCKER_CONFIG=" {
			d.env = append(d.env, kv)
		}
	}
	return d
}

func (d *demo) name(tag string) string { return d.registry.Host + "/" + repo + ":" + tag }

// play runs the steps of the tutorial.
func (d *demo) play(ctx context.Context) error {
	if err := d.makeImages(ctx); err != nil {
		return err
	}
	steps := []func(context.Context) error{d.stepByStep, d.inOneStep, d.show}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeImages puts one image per platform into the registry: by docker load, tag and push with a daemon, and directly
// without one.
func (d *demo) makeImages(ctx context.Context) error {
	made := map[string]images.Manifest{}
	for _, p := range platforms {
		text := fmt.Sprintf("hello from %s/%s\n", p.OS, p.Architecture)
		made[p.Architecture] = images.Image(images.Spec{
			Seed: d.dir + p.Architecture, Platform: p, Files: map[string]string{"hello.txt": text},
		})
	}
	if !d.daemonAnswers(ctx) {
		say("No daemon answers, so the two images are put into the registry directly.")
		return d.directly(ctx, made)
	}
	err := d.throughDaemon(ctx, made)
	if d.daemon = err == nil; d.daemon || !errors.Is(err, errPush) {
		return err
	}
	say("The daemon cannot push to " + d.registry.Host + " (is it on another machine?), " +
		"so the two images are put into the registry directly.")
	return d.directly(ctx, made)
}

// errPush is the failure of a daemon that cannot reach the loopback address of this machine, such as one in a virtual
// machine; the demo continues without it.
var errPush = errors.New("the daemon did not push")

func (d *demo) directly(ctx context.Context, made map[string]images.Manifest) error {
	for arch, image := range made {
		if err := d.registry.Put(ctx, repo, arch, image); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) throughDaemon(ctx context.Context, made map[string]images.Manifest) error {
	say("The daemon gets two small images, for linux/amd64 and linux/arm64, as a build would leave them.")
	named := map[string]images.Manifest{}
	for arch, image := range made {
		named[d.local(arch)] = image
		d.loaded = append(d.loaded, d.local(arch), d.name(arch))
	}
	archive := filepath.Join(d.dir, "hello.tar")
	if err := os.WriteFile(archive, images.DockerArchive(named), 0o600); err != nil {
		return err
	}
	if err := d.docker(ctx, "load", "--input", archive); err != nil {
		return err
	}
	for _, p := range platforms {
		if err := d.docker(ctx, "tag", d.local(p.Architecture), d.name(p.Architecture)); err != nil {
			return err
		}
		if err := d.docker(ctx, "push", d.name(p.Architecture)); err != nil {
			return errors.Join(errPush, err)
		}
	}
	return nil
}

// local returns a unique name in the daemon.
func (d *demo) local(arch string) string {
	return strings.ToLower(filepath.Base(d.dir)) + ":" + arch
}

func (d *demo) stepByStep(ctx context.Context) error {
	say("One name for both, step by step:")
	list := d.name("1.0")
	d.lists = append(d.lists, list)
	for _, args := range [][]string{
		{"create", list, d.name("amd64"), d.name("arm64")},
		{"inspect", list},
		{"annotate", list, d.name("arm64"), "--variant", "v8"},
		{"push", "--purge", list},
	} {
		if err := d.docker(ctx, append([]string{"multiarch"}, args...)...); err != nil {
			return err
		}
	}
	return d.bothPlatforms(ctx, "1.0")
}

func (d *demo) inOneStep(ctx context.Context) error {
	sources := []string{d.name("amd64"), d.name("arm64")}
	if d.daemon {
		say("The same in one step, from the daemon's images as they are:")
		sources = []string{d.local("amd64"), d.local("arm64")}
	} else {
		say("The same in one step:")
	}
	err := d.docker(ctx, append([]string{"multiarch", "create", "--push", d.name("latest")}, sources...)...)
	if err != nil {
		return err
	}
	return d.bothPlatforms(ctx, "latest")
}

// show prints the list in the registry.
func (d *demo) show(ctx context.Context) error {
	say("What the registry has now:")
	if err := d.docker(ctx, "multiarch", "inspect", "--tree", d.name("latest")); err != nil {
		return err
	}
	m, err := d.registry.Get(ctx, repo, "latest")
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n%s\n", d.name("latest"), m.Digest)
	return nil
}

// bothPlatforms checks that the tag is a complete list of the two platforms.
func (d *demo) bothPlatforms(ctx context.Context, tag string) error {
	if err := d.registry.Check(ctx, repo, tag); err != nil {
		return fmt.Errorf("%s is incomplete: %w", d.name(tag), err)
	}
	m, err := d.registry.Get(ctx, repo, tag)
	if err != nil {
		return err
	}
	index, err := m.Index()
	if err != nil {
		return err
	}
	if len(index.Manifests) != len(platforms) {
		return fmt.Errorf("%s: got %d entries, want 2", d.name(tag), len(index.Manifests))
	}
	for i, want := range platforms {
		got := index.Manifests[i].Platform
		if got == nil || got.OS != want.OS || got.Architecture != want.Architecture {
			return fmt.Errorf("entry %d of %s: got platform %v", i+1, d.name(tag), got)
		}
	}
	return nil
}

func (d *demo) daemonAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return d.command(ctx, io.Discard, "version", "--format", "{{.Server.Version}}").Run() == nil
}

// docker prints a command and runs it.
func (d *demo) docker(ctx context.Context, args ...string) error {
	line := "docker " + strings.Join(args, " ")
	fmt.Println("\n$ " + line)
	if err := d.command(ctx, os.Stdout, args...).Run(); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

func (d *demo) command(ctx context.Context, out io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env, out, out
	return cmd
}

// cleanUp removes the daemon's images and the lists of this run, also after an interrupt. It ignores what was removed
// before.
func (d *demo) cleanUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, list := range d.lists {
		errs = append(errs, d.remove(ctx, "No such manifest", "multiarch", "rm", list))
	}
	for _, name := range d.loaded {
		errs = append(errs, d.remove(ctx, "No such image", "image", "rm", name))
	}
	return errors.Join(errs...)
}

func (d *demo) remove(ctx context.Context, gone string, args ...string) error {
	var out bytes.Buffer
	err := d.command(ctx, &out, args...).Run()
	if err == nil || strings.Contains(strings.ToLower(out.String()), strings.ToLower(gone)) {
		return nil
	}
	return fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, &out)
}

func say(text string) { fmt.Println("\n# " + text) }
