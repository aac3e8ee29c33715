package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// lab has two registries, direct and behind a line, and an empty home with the plugins.
type lab struct {
	home       string
	env        []string
	registries []*servers.Registry
	stops      []func() error
	absent     map[string]bool
	lists      int // number of repositories created for lists
}

// newLab starts the registries; close stops them.
func newLab(ctx context.Context, o options) (*lab, error) {
	home, err := os.MkdirTemp("", "docker-multiarch-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{home: home, env: cleanEnvironment(home), absent: map[string]bool{}}
	l.stops = append(l.stops, func() error { return os.RemoveAll(home) })
	if err := errors.Join(l.start(ctx), l.installPlugins(o)); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lab) close() error {
	var errs []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		errs = append(errs, l.stops[i]())
	}
	return errors.Join(errs...)
}

func (l *lab) start(ctx context.Context) error {
	program := filepath.Join(l.home, "registry")
	if err := servers.Build(program, filepath.Join("e2e", "registry")); err != nil {
		return err
	}
	for i := range 2 {
		dir := filepath.Join(l.home, fmt.Sprint("registry", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		r, err := servers.StartRegistry(ctx, dir, servers.RegistryOptions{Program: program})
		if err != nil {
			return err
		}
		l.registries = append(l.registries, r)
		l.stops = append(l.stops, r.Stop)
	}
	return nil
}

func (l *lab) installPlugins(o options) error {
	plugins := map[string]string{"docker-multiarch": o.plugin}
	tools, err := servers.FindTools()
	if err != nil {
		return err
	}
	if buildx, err := tools.Built("docker-buildx"); err == nil {
		plugins["docker-buildx"] = buildx
	}
	return install(l.home, plugins)
}

// lines puts a line with this delay before each registry. With tokens the registries require a login.
func (l *lab) lines(ctx context.Context, delay time.Duration, tokens *proxy.Tokens) ([]*proxy.Line, error) {
	var lines []*proxy.Line
	for _, r := range l.registries {
		handler, err := proxy.To(r.Base)
		if err != nil {
			return nil, err
		}
		if tokens != nil {
			handler = tokens.Guard(handler)
		}
		line, err := proxy.Start(delay, handler)
		if err != nil {
			return nil, err
		}
		l.stops = append(l.stops, line.Close)
		lines = append(lines, line)
		if err := l.trust(ctx, line.Host); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// trust configures the peers without a flag for it to use plain HTTP for a registry, and as many concurrent requests
// as the others.
func (l *lab) trust(ctx context.Context, host string) error {
	if _, err := exec.LookPath("regctl"); err != nil {
		return nil
	}
	const script = `regctl registry set --skip-check --tls disabled --req-concurrent 16 "$list"`
	_, err := l.shell(script, host, nil).run(ctx, 0)
	return err
}

// peer is a program that may be installed on the machine, with the command line that is measured.
type peer struct {
	name, program string
	script        string // for sh; $list and $sources are set
}

// installed reports whether the peer is installed, and prints once if not.
func (l *lab) installed(p peer) bool {
	file := p.program
	if p.program == "docker-buildx" {
		file = filepath.Join(l.home, ".docker", "cli-plugins", p.program)
	}
	_, err := exec.LookPath(file)
	if err != nil && !l.absent[p.program] {
		fmt.Printf("absent: %s, which `make %s` installs\n", p.program, installer(p.program))
		l.absent[p.program] = true
	}
	return err == nil
}

// installer returns the make target that installs a program.
func installer(program string) string {
	if program == "docker-buildx" {
		return "test-tools"
	}
	return "bench-tools"
}
