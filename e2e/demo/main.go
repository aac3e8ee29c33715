// Command demo publishes two images under one name, with the commands that a user would type: it prints each command
// before its output. It starts a temporary registry, and takes the images from the local daemon or, without one, puts
// them into the registry itself. At the end it removes everything but the installed plugin.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "docker-multiarch-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program := filepath.Join(dir, "registry")
	if err := servers.Build(program, filepath.Join("e2e", "registry")); err != nil {
		return err
	}
	registry, err := servers.StartRegistry(ctx, dir, servers.RegistryOptions{Program: program})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, registry.Stop()) }()
	say("A temporary registry listens on " + registry.Host + ".")
	d := newDemo(registry, dir)
	defer func() { err = errors.Join(err, d.cleanUp()) }()
	return d.play(ctx)
}
