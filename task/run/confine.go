package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run/workspace"
)

// creating are the docker commands that create what can have labels, and whether that is a container.
var creating = map[string]bool{
	"run": true, "create": true, "container run": true, "container create": true, "network create": false, "volume create": false,
}

// confine returns the arguments of a docker command so that what it creates can be found when the run ends: containers,
// networks and volumes get the labels of the run, and builders a name with its ID.
func (e *Executor) confine(ctx context.Context, step task.Step, args []string) ([]string, error) {
	global, words := changeFlags(args, func(_, value string) []string { // it can only be --context
		step.Context = value
		return nil
	})
	n := 1
	if slices.Contains([]string{"container", "network", "volume"}, words[0]) {
		n = min(2, len(words))
	}
	rest := words[n:]
	container, creates := creating[strings.Join(words[:n], " ")]
	if !creates {
		if words[0] == "build" || words[0] == "buildx" {
			rest = e.confineBuilder(rest)
		} else if words[n-1] == "commit" { // the image would have the container's label, and be removed with the run
			rest = append([]string{"--change=LABEL " + processLabel + `=""`}, rest...)
		}
		return slices.Concat(global, words[:n], rest), nil
	}
	d, err := e.daemon(step.Context)
	if err == nil {
		err = e.claim(ctx, d)
	}
	if err == nil && container {
		rest, err = e.confineContainer(ctx, d, rest)
	}
	labels := e.labels()
	flags := []string{"--label=" + Label + "=" + labels[Label], "--label=" + processLabel + "=" + labels[processLabel]}
	return slices.Concat(global, words[:n], flags, rest), err
}

// namedVolume matches the name of a volume, which is not a path.
var namedVolume = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// confineContainer returns the arguments of docker run and create. The volumes of --volume are created first, since they
// cannot have labels otherwise; so are networks and volumes of the file.
func (e *Executor) confineContainer(ctx context.Context, d *usedDaemon, args []string) ([]string, error) {
	socket, err := d.Socket(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	driver := ""
	changeFlags(args, func(name, value string) []string {
		if name == "--volume-driver" {
			driver = value
		}
		return nil
	})
	flags, rest := changeFlags(args, func(name, value string) []string {
		source, target, _ := strings.Cut(value, ":")
		switch {
		case name == "--network" || name == "--net":
			_, err := e.network(ctx, d, value)
			errs = append(errs, err)
		case name == "--mount":
			return []string{"--mount=" + e.confineMount(value, socket)}
		case name != "--volume" && name != "-v":
		case source == task.DockerSocket:
			target, options, _ := strings.Cut(target, ":")
			mount := "--mount=type=bind,source=" + socket + ",target=" + target
			if slices.Contains(strings.Split(options, ","), "ro") {
				mount += ",readonly"
			}
			return []string{mount}
		case target == "" || !namedVolume().MatchString(source) || strings.HasPrefix(source, e.name("")):
		case driver == "":
			errs = append(errs, e.nameVolume(ctx, d, source))
		default:
			return e.mountVolume(source, target, driver)
		}
		return nil
	})
	return append(flags, rest...), errors.Join(errs...)
}

// mountVolume returns the flag that mounts a volume of another driver, with the labels of the run if the daemon creates it. It
// is nil if the volume has options that the flag does not have.
func (e *Executor) mountVolume(source, target, driver string) []string {
	target, options, _ := strings.Cut(target, ":")
	mount := "type=volume,source=" + source + ",target=" + target + ",volume-driver=" + driver
	switch options {
	case "", "rw":
	case "ro":
		mount += ",readonly"
	default:
		return nil
	}
	return []string{"--mount=" + e.confineMount(mount, "")}
}

// nameVolume creates a volume that a docker command names, unless it exists.
func (e *Executor) nameVolume(ctx context.Context, d *usedDaemon, name string) error {
	if slices.ContainsFunc(e.File.Volumes, func(v task.Volume) bool { return v.Name == name }) {
		_, err := e.volume(ctx, d, name)
		return err
	}
	if err := d.CreateVolume(ctx, name, e.labels()); !errdefs.IsConflict(err) {
		return err
	}
	return nil
}

// confineMount returns the value of --mount, with the labels of the run for a volume and the daemon's socket.
func (e *Executor) confineMount(value, socket string) string {
	fields := strings.Split(value, ",")
	volume := true
	for i, field := range fields {
		name, of, _ := strings.Cut(field, "=")
		switch {
		case name == "type":
			volume = of == "volume"
		case (name == "source" || name == "src") && of == task.DockerSocket:
			fields[i] = name + "=" + socket
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.labels())) {
		if volume {
			fields = append(fields, "volume-label="+name+"="+e.labels()[name])
		}
	}
	return strings.Join(fields, ",")
}

// valueless are flags of docker run and docker create that have no value.
var valueless = strings.Fields("--detach --disable-content-trust --help --init --interactive --no-healthcheck --oom-kill-disable " +
	"--privileged --publish-all --quiet --read-only --rm --sig-proxy --tty --use-api-socket")

// changeFlags returns the flags at the start of args, and the other words. Flags with a value are replaced by what change
// returns for their name and value, unless that is nil.
func changeFlags(args []string, change func(name, value string) []string) (flags, rest []string) {
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		words := args[:1]
		name, value, has := strings.Cut(args[0], "=")
		letters := ""
		if name[1] != '-' {
			after := strings.TrimLeft(args[0][1:], "dhiPqt") // which have no value
			letters = args[0][1 : len(args[0])-len(after)]
			name, value, has = "-"+after[:min(1, len(after))], strings.TrimPrefix(after[min(1, len(after)):], "="), len(after) > 1
		}
		alone := name == "-" || slices.Contains(valueless, name)
		if !alone && !has && len(args) > 1 {
			words, value = args[:2], args[1]
		}
		args = args[len(words):]
		if changed := change(name, value); !alone && changed != nil {
			if letters != "" {
				flags = append(flags, "-"+letters)
			}
			words = changed
		}
		flags = append(flags, words...)
	}
	return flags, args
}

// escaped matches what follows a _ in the names of builders.
var escaped = lazyregexp.New(`[A-Z_-]`)

// builderPrefix returns the start of the names of a run's builders, which are in lower case. No other run has it: in an ID
// each _, - or uppercase letter follows a _.
func builderPrefix(id string) string {
	return "multiarch-" + strings.ToLower(escaped().ReplaceAllString(id, "_$0")) + "-"
}

// buildxCommand returns the position of the command in the words after docker buildx.
func buildxCommand(words []string) int {
	at := 0
	for at < len(words) && strings.HasPrefix(words[at], "-") {
		if words[at] == "--builder" {
			at++
		}
		at++
	}
	return min(at, len(words))
}

// IsBuild reports whether a docker command is a build, which may use a builder of the user but changes none.
func IsBuild(args []string) bool {
	_, words := changeFlags(args, func(string, string) []string { return nil })
	if len(words) > 0 && words[0] == "buildx" {
		words = words[1+buildxCommand(words[1:]):]
	}
	return len(words) > 0 && (words[0] == "build" || words[0] == "bake")
}

// confineBuilder returns the words after docker build or docker buildx. The container of a builder has its name, so a
// builder that the command creates gets one with the run's ID, by which later commands find it.
func (e *Executor) confineBuilder(words []string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	words = slices.Clone(words)
	at := buildxCommand(words)
	verb := strings.Join(words[at:min(at+1, len(words))], "")
	named := false
	for i, word := range words {
		flag, value, has := strings.Cut(word, "=")
		switch {
		case verb == "create" && (flag == "--name" || flag == "--node") || flag == "--builder":
			named = named || flag == "--name"
			if has {
				words[i] = flag + "=" + e.builderName(value, flag != "--builder")
			} else if i+1 < len(words) {
				words[i+1] = e.builderName(words[i+1], flag != "--builder")
			}
		case i > at && slices.Contains([]string{"use", "inspect", "rm", "stop"}, verb):
			words[i] = e.builderName(word, false)
		}
	}
	if verb == "create" && !named {
		words = append(words, "--name="+e.builderName(fmt.Sprint("builder", len(e.builders)), true))
	}
	return words
}

// builderName returns the name of a builder for its name in the file, which is another only if the run created it.
func (e *Executor) builderName(name string, create bool) string {
	if create && !strings.HasPrefix(name, builderPrefix(e.ID)) {
		e.builders[name] = builderPrefix(e.ID) + name
	}
	if full, ok := e.builders[name]; ok {
		return full
	}
	return name
}

var (
	// registryHost matches the registry of an image name.
	registryHost = lazyregexp.New(`(?:^|[\s"'=,@(]|//)((?:[a-zA-Z0-9-]+\.)+[a-zA-Z0-9-]+(?::\d+)?|[a-zA-Z][a-zA-Z0-9-]*:\d+|localhost|\[[0-9a-fA-F:]+\](?::\d+)?)/`)
	// imageLine matches the lines of a Dockerfile that name images; an ARG may be in a FROM.
	imageLine = lazyregexp.New(`(?im)^\s*(?:FROM|COPY|ARG|RUN\s+--mount|#\s*syntax\s*=)\s*.*$`)
	// contacting are the docker commands that may contact registries.
	contacting = strings.Fields("build buildx container create image pull push run")
)

// registries returns the registries that the file, a docker command or the Dockerfile of its build name.
func (e *Executor) registries(ctx context.Context, step task.Step, dir string, args []string) []string {
	_, words := changeFlags(args, func(string, string) []string { return nil })
	if !slices.Contains(contacting, words[0]) {
		return nil
	}
	texts := []string{strings.Join(args, " ")}
	for _, s := range e.File.Steps {
		texts = append(texts, task.Commands(s.Action)...)
	}
	if words[0] == "buildx" { // without its flags
		words = append(words[:1:1], words[1+buildxCommand(words[1:]):]...)
	}
	if build, ok := task.DockerBuild(words); ok {
		step.Action = build
		dockerfile, _ := ReadDockerfile(ctx, dir, step) // docker reports why not
		texts = append(texts, imageLine().FindAllString(string(dockerfile), -1)...)
	}
	all := []string{"docker.io"} // of names without a registry
	for _, found := range registryHost().FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
		all = append(all, found[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// FolderPattern is the pattern of os.MkdirTemp for the folder of a run on this machine, and the prefix of its other temporary
// folders. No ID has a +.
func FolderPattern(id string) string { return "docker-multiarch-" + id + "+" }

// Removal returns the commands that remove what the run with an ID has left on a daemon, in the folder parent and in that for
// temporary files.
func Removal(id, parent string) string {
	label := " --filter label=" + Label + "=" + id
	builder := " --filter 'name=buildx_buildkit_" + strings.ReplaceAll(builderPrefix(id), ".", "[.]") + "'"
	parents, folders := []string{parent}, ""
	if temp, err := workspace.Absolute(os.TempDir()); err == nil && temp != parent {
		parents = append(parents, temp)
	}
	for _, dir := range parents {
		folders += " " + task.Quote([]string{filepath.Join(dir, FolderPattern(id))}) + "*"
	}
	return "docker rm -fv $(docker ps -aq" + label + "; docker ps -aq" + builder + "); docker network rm $(docker network ls -q" + label +
		"); docker volume rm $(docker volume ls -q" + label + "; docker volume ls -q" + builder + "); rm -rf" + folders
}
