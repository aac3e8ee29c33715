package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrUnavailable means that a server is not available on this machine.
var ErrUnavailable = errors.New("not available here")

// Tools are the programs that install.sh has put into its cache folder.
type Tools struct{ Dir string }

// Root returns the folder of the project: the nearest one at or above the working directory with e2e/go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "e2e", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the working directory is not in the project")
		}
		dir = parent
	}
}

// FindTools returns the tools in TEST_TOOLS or, if that is not set, in .cache of the project.
func FindTools() (Tools, error) {
	if dir := os.Getenv("TEST_TOOLS"); dir != "" {
		return Tools{dir}, nil
	}
	root, err := Root()
	return Tools{filepath.Join(root, ".cache")}, err
}

// Built returns the path of a program that was built from a Go module.
func (t Tools) Built(name string) (string, error) {
	return t.executable(filepath.Join(t.Dir, "bin", name))
}

// Busybox returns the path of a static busybox.
func (t Tools) Busybox() (string, error) { return t.executable(t.debianPath("bin/busybox")) }

// Package returns the path of a Debian package for an image, such as bash_arm64.deb.
func (t Tools) Package(name string) (string, error) {
	file := filepath.Join(t.Dir, "images", name)
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("%s: %w; `make test-tools` downloads it", file, ErrUnavailable)
	}
	return file, nil
}

// Debian returns a command for a program of an unpacked Debian package.
func (t Tools) Debian(path string, args ...string) (*exec.Cmd, error) {
	program, err := t.executable(t.debianPath(path))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Env = t.environment()
	return cmd, nil
}

func (t Tools) debianPath(path string) string { return filepath.Join(t.Dir, "debian", path) }

// environment puts the unpacked Debian programs first on PATH, with their libraries, and removes proxies: every
// address is on this machine.
func (t Tools) environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "PATH" && !strings.HasSuffix(strings.ToUpper(name), "_PROXY") && !strings.HasPrefix(name, "DOCKER_") {
			env = append(env, kv)
		}
	}
	path := t.debianFolders("usr/sbin", "usr/bin", "sbin", "bin")
	return append(env, "PATH="+path+":"+os.Getenv("PATH"),
		"LD_LIBRARY_PATH="+t.debianFolders("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*"),
		"XTABLES_LIBDIR="+t.debianFolders("usr/lib/*-linux-gnu*/xtables"))
}

func (t Tools) debianFolders(patterns ...string) string {
	var found []string
	for _, pattern := range patterns {
		dirs, err := filepath.Glob(t.debianPath(pattern))
		if err == nil {
			found = append(found, dirs...)
		}
	}
	return strings.Join(found, ":")
}

func (t Tools) executable(path string) (string, error) {
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("%s: %w; `make test-tools` installs it", path, ErrUnavailable)
	}
	return path, nil
}

// daemonsPossible returns why no daemon can run here, or nil.
func daemonsPossible() error {
	switch {
	case runtime.GOOS != "linux":
		return fmt.Errorf("a daemon on %s: %w", runtime.GOOS, ErrUnavailable)
	case os.Geteuid() != 0:
		return fmt.Errorf("a daemon without root: %w", ErrUnavailable)
	}
	return nil
}

// Build compiles a package, given relative to the project's folder, to file.
func Build(file, pkg string, flags ...string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	args := append(append([]string{"build", "-o", file}, flags...), ".")
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(root, pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}
