package run

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// home is the HOME of containers, as in ACR Tasks. It is a volume of each daemon, which is empty when the run starts.
const home = "/acb/home"

// homeVolume is the volume of home, see [Name]. A volume of a task file has no dot in its name.
const homeVolume = "home.1"

// addHome adds home to a container. Its variables may name another HOME.
func (e *Executor) addHome(c *Container) {
	if !setsHome(c.Env) {
		c.Env = append(slices.Clone(c.Env), "HOME="+home)
	}
	if !slices.ContainsFunc(c.Mounts, func(m Mount) bool { return isHome(m.Target) }) {
		c.Mounts = append(c.Mounts, Mount{Source: e.name(homeVolume), Target: home})
	}
}

func setsHome(env []string) bool {
	return slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") })
}

// isHome reports whether a mount is at home. Its target may have options.
func isHome(target string) bool {
	target, _, _ = strings.Cut(target, ":")
	return path.Clean(target) == home
}

// loginFolder is the DOCKER_CONFIG of containers with logins. It is in no volume, so that it ends with the container.
const loginFolder = "acb/docker"

// addLogins adds the logins of a step to its container.
func (e *Executor) addLogins(c *Container, step task.Step, out Output) error {
	if len(step.Logins) == 0 {
		return nil
	}
	config, err := e.ConfigFile(step.Logins)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out.Stderr, "WARNING: image %s can read your login of %s\n", manifest.Escape(c.Image, ""), strings.Join(step.Logins, ", "))
	c.Archive = secretFiles(map[string][]byte{loginFolder + "/config.json": config}).Bytes()
	c.Env = append(slices.DeleteFunc(slices.Clone(c.Env), func(kv string) bool { return strings.HasPrefix(kv, "DOCKER_CONFIG=") }),
		"DOCKER_CONFIG=/"+loginFolder)
	return nil
}

// claim creates the volume of home when a daemon is first used, which fails if another run with the ID uses it.
func (e *Executor) claim(ctx context.Context, d *usedDaemon) error {
	_, err := d.created.Do(ctx, "home", func() (string, error) {
		return "", e.conflict(d.CreateVolume(ctx, e.name(homeVolume), e.labels()))
	})
	return err
}
