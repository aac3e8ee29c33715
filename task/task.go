// Package task is multi-step build, push and cmd files in the format of ACR Tasks: rendering and parsing
// them, what is wrong with them and where, and the order of their steps. It reads no file but the one it is
// given and starts nothing; running the steps is left to package run.
package task

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Position is a place in the file as it was written, before templates and aliases. Lines and columns count
// from 1, columns in characters.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// Compare returns a negative number when p stands before q, 0 when they are the same, and a positive one else.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// File is a task file with all defaults filled in.
type File struct {
	Steps    []Step // in the order of the file
	Networks []Network
	Volumes  []Volume
	Secrets  []string // the ids of the values that are given to a run with --secret
	// Timeout is for all steps together, 0 for none (totalTimeout).
	Timeout time.Duration
}

// Network is a network that the steps' containers can be in.
type Network struct {
	Name   string
	Driver string
	IPv6   bool
	// External networks are there before the run and after it (skipCreation).
	External bool
}

// Volume is a volume that the steps' containers can mount, made for the run.
type Volume struct {
	Name string
	// Files are those of a secret volume by name; nil for an empty volume. Their contents are secret.
	Files map[string][]byte
}

// Step is one step of a file.
type Step struct {
	Position
	ID     string
	Action Action
	// After are the indexes of the steps that it waits for, ascending, each once. All are smaller than its own.
	After []int

	// Timeout covers all tries and repetitions, not StartDelay.
	Timeout       time.Duration
	StartDelay    time.Duration
	Retries       int
	RetryDelay    time.Duration
	RetryOnErrors []string // nil: any failure is tried again
	Repeat        int
	IgnoreErrors  bool
	// ExitedWith and ExitedWithout are exit codes of the steps waited for. A step with either runs after
	// failures too: when one of those steps exited with one of the former, and none with one of the latter.
	ExitedWith, ExitedWithout []int
	// CancelRest stops all other steps when this one fails (onError: cancel); else they go on.
	CancelRest bool
	// Detach makes the step succeed once it is started; it is stopped when the run ends.
	Detach bool
	Keep   bool

	// Context is the docker context of the daemon that the step is for, "" for that of the run.
	Context string
	// Dir is the working directory below the workspace, "" for the workspace itself; with NoDir the image's
	// own is left as it is.
	Dir   string
	NoDir bool
	Env   []string // KEY=VALUE, those of the file first

	Pull           bool
	PullRetries    int
	PullRetryDelay time.Duration
	EntryPoint     string
	User           string
	Network        string // "" for the daemon's default
	Isolation      string
	CPUs           string
	Privileged     bool
	Expose         []string
	Ports          []string
	Mounts         []Mount
	Cache          bool
}

// Mount puts a volume of the file into the container of a step.
type Mount struct {
	Volume string // DockerSocket for the daemon's
	Path   string
}

// DockerSocket is the name of a mount that stands for the daemon's socket.
const DockerSocket = "/var/run/docker.sock"

// Action is what a step does: a Build, Push, Container, Docker or Plugin.
type Action interface{ action() }

// Build builds an image, as docker build does.
type Build struct {
	// Flags are all flags as --name=value, those that are just true as --name, but for tags and platforms.
	Flags     []string
	Tags      []reference.NamedTagged
	Platforms []string
	// File and Target are among Flags too; "" for the default.
	File    string
	Target  string
	Context string
}

// Words returns the arguments of docker build.
func (b Build) Words() []string {
	words := slices.Clone(b.Flags)
	for _, tag := range b.Tags {
		words = append(words, "--tag="+reference.FamiliarString(tag))
	}
	if len(b.Platforms) > 0 {
		words = append(words, "--platform="+strings.Join(b.Platforms, ","))
	}
	if strings.HasPrefix(b.Context, "-") {
		words = append(words, "--")
	}
	return append(words, b.Context)
}

// SaysOutput reports whether a flag says where the result goes.
func (b Build) SaysOutput() bool {
	return slices.ContainsFunc(b.Flags, func(flag string) bool {
		return flag == "--push" || flag == "--load" || strings.HasPrefix(flag, "--output=")
	})
}

// Push has the daemon push images, side by side.
type Push struct {
	Images []reference.Named // with a tag
}

// Container runs an image.
type Container struct {
	Image string
	Args  []string
}

// Docker runs the docker command.
type Docker struct {
	Args []string
}

// Plugin runs a command of this program, without a container.
type Plugin struct {
	// Args are the words after 'docker multiarch'.
	Args []string
	// Instead is the command that Args stand for, when that is another program's.
	Instead string
}

// Commands returns the commands that a person would type in place of an action, as words. That of a Container
// lacks docker run and its flags, which are those of the step.
func Commands(a Action) [][]string {
	switch a := a.(type) {
	case Build:
		return [][]string{append([]string{"docker", "build"}, a.Words()...)}
	case Push:
		var all [][]string
		for _, image := range a.Images {
			all = append(all, []string{"docker", "push", manifest.Familiar(image)})
		}
		return all
	case Container:
		return [][]string{append([]string{a.Image}, a.Args...)}
	case Docker:
		return [][]string{append([]string{"docker"}, a.Args...)}
	case Plugin:
		return [][]string{append([]string{"docker", "multiarch"}, a.Args...)}
	}
	return nil
}

func (Build) action()     {}
func (Push) action()      {}
func (Container) action() {}
func (Docker) action()    {}
func (Plugin) action()    {}
