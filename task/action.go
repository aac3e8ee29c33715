package task

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/shell"
)

// Script is a cmd of several commands, or with redirections or $(...). See package shell.
type Script struct {
	Text     *shell.Text
	commands commands
	// container is set if the first command is an image.
	container bool
	// notOurs is that of the container.
	notOurs error
}

// Action returns the action of a command of the script: Docker or Plugin, for the first command also Container.
func (s Script) Action(c shell.Command) (Action, error) { return s.commands.action(c.Words, c.First) }

// commands is what the actions of a step's commands depend on.
type commands struct {
	env     []string
	aliases map[string]string // for the first word
}

// parseText parses the text of a cmd.
func parseText(text string) (*shell.Text, error) {
	parsed, err := shell.Parse(text)
	if err != nil && !errors.Is(err, shell.ErrUnclosed) {
		err = fmt.Errorf("%w: quote it, or write IMAGE sh -c '...'", err)
	}
	return parsed, err
}

// parseCommand returns the action of a cmd in a step with this env.
func parseCommand(parsed *shell.Text, env []string, aliases map[string]string, registry string) (Action, error) {
	c := commands{append(slices.Clone(env), defaultRegistry+"="+registry), aliases}
	if all, ok := parsed.Words(env); ok {
		if len(all) == 0 {
			return nil, errors.New("expected a command, found only a comment")
		}
		return c.action(all, true)
	}
	script := Script{Text: parsed, commands: c}
	err := parsed.Commands(env, func(words []string, first bool) error {
		action, err := c.action(words, first)
		if container, ok := action.(Container); ok && container.Flags.Detach {
			err = errors.New("further commands cannot follow a container with --detach: expected them in a step of their own")
		}
		script.container = script.container || StartsContainer(action)
		script.notOurs = cmp.Or(script.notOurs, notOurs(action))
		return err
	})
	return script, err
}

// StartsContainer reports whether an action runs a container, or starts with one.
func StartsContainer(a Action) bool {
	script, _ := a.(Script)
	_, is := a.(Container)
	return is || script.container
}

// notOurs is why an action runs a command of Azure's programs in a container and not as one of this program, nil if it
// does not.
func notOurs(a Action) error {
	if script, ok := a.(Script); ok {
		return script.notOurs
	}
	container, _ := a.(Container)
	return container.notOurs
}

// action returns the action of a command. Its first word may be an alias.
func (c commands) action(typed []string, first bool) (Action, error) {
	all, err := expand(typed, c.aliases)
	if err != nil {
		return nil, err
	}
	if all[0] == "docker" {
		return dockerCommand(all[1:])
	}
	var flags RunFlags
	var before []string
	if first && strings.HasPrefix(all[0], "-") {
		var rest []string
		if flags, rest, err = parseRun(all); err != nil {
			return nil, err
		}
		before, all = all[:len(all)-len(rest)], rest
	}
	if _, err := reference.ParseAnyReference(all[0]); err != nil && (first || strings.HasPrefix(all[0], "$")) {
		return nil, notImage(all[0], "IMAGE [ARGUMENT...] or docker COMMAND")
	}
	ours, notOurs := equivalent(all, valueOf(c.env, defaultRegistry))
	if ours != nil && len(before) == 0 { // flags of docker run are for a container
		return Plugin{Commands: ours, Replaces: Quote(typed)}, nil
	}
	if !first {
		return nil, fmt.Errorf("%s cannot follow another command: expected docker COMMAND, or %s; run other programs with docker run -i IMAGE PROGRAM, or the whole text with IMAGE sh -c '...'", show(typed[0]), shell.Builtins)
	}
	return Container{Image: all[0], Args: all[1:], Flags: flags, flagWords: before, notOurs: notOurs}, nil
}

// dockerCommands are the commands that a docker step may run. They are the docker command's own and buildx: it would
// take any other word for one of its plugins.
var dockerCommands = strings.Fields("build buildx commit container context cp create exec export history image images import info " +
	"inspect kill load login logout logs manifest multiarch network port ps pull push rename restart rm rmi run save start stop tag " +
	"version volume wait")

// dockerCommand returns the action of the docker command with args. Of its global flags only --context is allowed: the
// others can lead to files of the task's context, such as the folder of a CLI plugin.
func dockerCommand(args []string) (Action, error) {
	global := newFlags()
	global.SetInterspersed(false)
	global.StringP("context", "c", "", "")
	err := global.Parse(args)
	rest := global.Args()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the only flag allowed before a docker command is --context", err)
	case len(rest) == 0 || global.ArgsLenAtDash() >= 0:
		return nil, errors.New("expected docker COMMAND, found no command")
	case !slices.Contains(dockerCommands, rest[0]):
		return nil, fmt.Errorf("a task cannot run docker %s%s", show(rest[0]),
			cmp.Or(manifest.DidYouMean(rest[0], dockerCommands), ", only "+strings.Join(dockerCommands, ", ")))
	case rest[0] == "multiarch" && slices.Contains(rest, "task"):
		return nil, errors.New("a task cannot run docker multiarch task: expected its steps in this file")
	case rest[0] == "manifest" || rest[0] == "multiarch":
		if len(rest) < len(args) {
			return nil, fmt.Errorf("--context is not allowed before %s: set the step's context", rest[0])
		}
		return Plugin{Commands: [][]string{rest[1:]}}, nil
	}
	return Docker{Args: args}, nil
}

// DockerBuild returns the build of the docker command with args.
func DockerBuild(args []string) (Build, bool) {
	n := 1
	if args[0] == "buildx" || args[0] == "image" {
		n = min(2, len(args))
	}
	if args[n-1] != "build" {
		return Build{}, false
	}
	b, errs := parseBuild(args[n:])
	return b, errs == nil
}

// expand replaces the first word if it is an alias. There is none for docker.
func expand(typed []string, aliases map[string]string) ([]string, error) {
	text, ok := aliases[typed[0]]
	if !ok || typed[0] == "docker" {
		return typed, nil
	}
	replaced, err := words(text)
	if err == nil && len(replaced) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("alias %s is not a command: %w", show(typed[0]), err)
	}
	return append(replaced, typed[1:]...), nil
}
