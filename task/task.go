// Package task reads multi-step build, push and cmd files in the format of ACR Tasks.
//
// A file passes through three packages. Package render processes its comments, aliases and templates and returns a
// [Rendered]. [Parse] makes a [File] of that, with all defaults, and returns a [Finding] for each problem; [Lints]
// returns likely mistakes in a valid file. Package run runs the steps of a File. [NewGraph] shows them and their
// dependencies.
//
// This package has no side effects: it neither reads files nor starts programs.
package task

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Position is a position in the file as it was written, before templates and aliases. Lines and columns start at 1;
// columns count characters.
type Position struct {
	Line   int `json:"line"`   // from 1
	Column int `json:"column"` // from 1, in characters
}

// Compare returns a negative number if p is before q, 0 if they are equal, and a positive number otherwise.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// File is a task file with all defaults filled in.
type File struct {
	Steps    []Step // in the order of the file
	Networks []Network
	Volumes  []Volume
	Secrets  []string // the ids of the values that a run needs as --secret
	// Timeout is for all steps together, 0 for none (totalTimeout).
	Timeout time.Duration
}

// Network is a network that the steps' containers can join.
type Network struct {
	Name   string
	Driver string
	IPv6   bool
	// External networks exist before the run and remain after it (skipCreation).
	External bool
}

// Volume is a volume that the steps' containers can mount. It is created for the run.
type Volume struct {
	Name string
	// Files are the files of a secret volume by name; nil for an empty volume. Their contents are secret.
	Files map[string][]byte
}

// Step is one step of a file.
type Step struct {
	Position
	ID     string
	Action Action
	// After are the indexes of the steps that it waits for, in ascending order and without duplicates. All are smaller
	// than its own.
	After []int

	// Timeout covers all attempts and repetitions, not StartDelay.
	Timeout       time.Duration
	StartDelay    time.Duration
	Retries       int
	RetryDelay    time.Duration
	RetryOnErrors []string // nil: retry after any failure
	Repeat        int
	IgnoreErrors  bool
	// ExitedWith and ExitedWithout are exit codes of the steps in After. A step with either also runs after failures,
	// if one of those steps exited with one of the former and none with one of the latter.
	ExitedWith, ExitedWithout []int
	// CancelRest stops all other steps if this one fails (onError: cancel); otherwise they continue.
	CancelRest bool
	// Detach makes the step succeed as soon as it is started; it is stopped when the run ends.
	Detach bool
	Keep   bool

	// Context is the docker context of the step's daemon, "" for that of the run.
	Context string
	// Dir is the working directory relative to the workspace. With NoDir it is the image's.
	Dir   string
	NoDir bool
	Env   []string // KEY=VALUE, the file's first

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
	Logins         []string // registries whose login the container gets
	Cache          bool
}

// Mount mounts a volume of the file in the container of a step.
type Mount struct {
	Volume string // or DockerSocket
	Path   string
}

// DockerSocket is the volume name that mounts the daemon's socket.
const DockerSocket = "/var/run/docker.sock"

// Action is what a step does: a Build, Push, Container, Docker, Plugin or Script.
type Action interface{ kind() string }

// Build builds an image, as docker build does.
type Build struct {
	// Flags are all flags except tags and platforms, as --name=value, or --name for true.
	Flags     []string
	Tags      []reference.NamedTagged
	Platforms []string
	// File and Target are also in Flags; "" for the default.
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

// HasOutput reports whether a flag selects the destination of the result.
func (b Build) HasOutput() bool {
	return slices.ContainsFunc(b.Flags, func(flag string) bool {
		return flag == "--push" || flag == "--load" || strings.HasPrefix(flag, "--output=")
	})
}

// Push pushes images of the daemon concurrently.
type Push struct {
	Images []reference.NamedTagged
}

// Container runs a container.
type Container struct {
	Image string
	Args  []string
	Flags RunFlags
	// flagWords are the flags as they are written.
	flagWords []string
	// notOurs is why this is a command of Azure's programs and not one of this program.
	notOurs error
}

// Docker runs the docker command.
type Docker struct {
	Args []string
}

// Plugin runs commands of this program, one after the other and without a container.
type Plugin struct {
	// Commands are the arguments of 'docker multiarch' for each.
	Commands [][]string
	// Replaces is the command of another program that they are equivalent to, "" if there is none.
	Replaces string
}

// Commands returns the shell commands that are equivalent to an action. That of a Container lacks docker run and its flags,
// which depend on the step; so does that of a Script that starts with one.
func Commands(a Action) []string {
	var all [][]string
	switch a := a.(type) {
	case Script:
		return []string{a.Text.String()}
	case Build:
		all = [][]string{append([]string{"docker", "build"}, a.Words()...)}
	case Push:
		for _, image := range a.Images {
			all = append(all, []string{"docker", "push", manifest.Familiar(image)})
		}
	case Container:
		all = [][]string{slices.Concat(a.flagWords, []string{a.Image}, a.Args)}
	case Docker:
		all = [][]string{append([]string{"docker"}, a.Args...)}
	case Plugin:
		for _, args := range a.Commands {
			all = append(all, append([]string{"docker", "multiarch"}, args...))
		}
	}
	var out []string
	for _, words := range all {
		out = append(out, Quote(words))
	}
	return out
}

func (Build) kind() string     { return "build" }
func (Push) kind() string      { return "push" }
func (Container) kind() string { return "container" }
func (Docker) kind() string    { return "docker" }
func (Plugin) kind() string    { return "plugin" }
func (Script) kind() string    { return "script" }
