package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

const (
	// startUpLimit is the promise: how much longer than the empty plugin ours may take to start.
	startUpLimit  = 1.5
	startUpWarmUp = 3
)

// startUp compares the plugin with one without commands, on its own and under the docker command, and there also with
// docker buildx. The docker command starts a plugin twice: for its metadata, and to run it.
func startUp(ctx context.Context, o options) (err error) {
	home, err := os.MkdirTemp("", "docker-multiarch-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	env := cleanEnvironment(home)
	contests := []contest{metadata(o, env), help(o, env)}
	if _, err := exec.LookPath("docker"); err != nil {
		fmt.Println("absent: docker:", err)
	} else {
		c, err := dockerHelp(o, home, env)
		if err != nil {
			return err
		}
		contests = append(contests, c)
	}
	var ratios []string
	held := true
	for _, c := range contests {
		all, err := c.hold(ctx, o.runs)
		if err != nil {
			return err
		}
		c.print(all)
		r := ratio(all[0], all[1], wall)
		held = held && r <= startUpLimit
		ratios = append(ratios, fmt.Sprintf("%s %.2f", c.programs[0].name, r))
	}
	result(fmt.Sprintf("start-up is at most %.1f times the empty plugin's", startUpLimit), held, strings.Join(ratios, ", "))
	return nil
}

func metadata(o options, env []string) contest {
	const subcommand = "docker-cli-plugin-metadata"
	return contest{"start-up: a plugin's metadata", startUpWarmUp, []program{
		{"docker-multiarch metadata", []string{o.plugin, subcommand}, env, nil},
		{"docker-empty metadata", []string{o.empty, subcommand}, env, nil},
	}}
}

// help runs the plugins as the docker command does.
func help(o options, env []string) contest {
	env = append(env[:len(env):len(env)], "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND=docker")
	return contest{"start-up: a plugin's help", startUpWarmUp, []program{
		{"docker-multiarch help", []string{o.plugin, "multiarch", "--help"}, env, nil},
		{"docker-empty help", []string{o.empty, "empty", "--help"}, env, nil},
	}}
}

func dockerHelp(o options, home string, env []string) (contest, error) {
	c := contest{"start-up: help under the docker command", startUpWarmUp, []program{
		{"docker multiarch --help", []string{"docker", "multiarch", "--help"}, env, nil},
		{"docker empty --help", []string{"docker", "empty", "--help"}, env, nil},
	}}
	plugins := map[string]string{"docker-multiarch": o.plugin, "docker-empty": o.empty}
	tools, err := servers.FindTools()
	if err != nil {
		return contest{}, err
	}
	if buildx, err := tools.Built("docker-buildx"); err != nil {
		fmt.Println("absent: buildx:", err)
	} else {
		plugins["docker-buildx"] = buildx
		args := []string{"docker", "buildx", "imagetools", "--help"}
		c.programs = append(c.programs, program{strings.Join(args, " "), args, env, nil})
	}
	return c, install(home, plugins)
}

// cleanEnvironment returns an environment with an empty home and only PATH of the machine.
func cleanEnvironment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "DOCKER_CONFIG=" + filepath.Join(home, ".docker"), "LANG=C.UTF-8",
	}
}

// install installs plugins for the docker command: names to files.
func install(home string, plugins map[string]string) error {
	dir := filepath.Join(home, ".docker", "cli-plugins")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, file := range plugins {
		file, err := filepath.Abs(file)
		if err == nil {
			err = os.Symlink(file, filepath.Join(dir, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
