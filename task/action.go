package task

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/shell"
)

// The images of the programs that have commands with an equivalent here.
const (
	acrImage   = "mcr.microsoft.com/acr/acr-cli"
	azureImage = "mcr.microsoft.com/acr/azure-cli"
)

// Script is a cmd of several commands, or with redirections or $(...). See package shell.
type Script struct {
	Text     *shell.Text
	commands commands
	// container is set if the first command is an image.
	container bool
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
	if _, err := reference.ParseAnyReference(all[0]); err != nil {
		return nil, notImage(all[0], "IMAGE [ARGUMENT...] or docker COMMAND")
	}
	var ours []string
	if len(before) > 0 {
		// flags of docker run are for a container
	} else if rest, ok := purgeOf(all); ok {
		ours = purge(rest, c.env)
	} else if rest, ok := importOf(all); ok {
		ours = azureImport(rest)
	}
	if ours != nil {
		return Plugin{Args: ours, Replaces: Quote(typed)}, nil
	}
	if !first {
		return nil, fmt.Errorf("%s cannot follow another command: expected docker COMMAND, or %s; to run a container, use docker run IMAGE, and to pass a text to the program, quote it with '...'", show(all[0]), shell.Builtins)
	}
	return Container{Image: all[0], Args: all[1:], Flags: flags, flagWords: before}, nil
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
	case len(rest) == 0:
		return nil, errors.New("expected docker COMMAND, found no command")
	case !slices.Contains(dockerCommands, rest[0]):
		return nil, fmt.Errorf("a task cannot run docker %s%s", show(rest[0]),
			cmp.Or(didYouMean(rest[0], dockerCommands), ", only "+strings.Join(dockerCommands, ", ")))
	case rest[0] == "manifest" || rest[0] == "multiarch":
		if len(rest) < len(args) {
			return nil, fmt.Errorf("--context is not allowed before %s: set the step's context", rest[0])
		}
		return Plugin{Args: rest[1:]}, nil
	}
	return Docker{Args: args}, nil
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

// purgeOf and importOf return the arguments of 'acr purge' and 'az acr import'.
func purgeOf(all []string) ([]string, bool) { return commandOf(all, "acr", acrImage, "purge") }
func importOf(all []string) ([]string, bool) {
	return commandOf(all, "az", azureImage, "acr", "import")
}

// commandOf returns the arguments of a command of a program, which may be referred to by its image.
func commandOf(all []string, program, image string, command ...string) ([]string, bool) {
	name, _, _ := strings.Cut(all[0], "@")
	if all[0] != program && name != image && !strings.HasPrefix(name, image+":") || len(all) <= len(command) {
		return nil, false
	}
	for i, word := range command {
		if all[i+1] != word {
			return nil, false
		}
	}
	return all[1+len(command):], true
}

// purge returns the command that is equivalent to 'acr purge' with these arguments, nil if there is none.
func purge(args, env []string) []string {
	f := newFlags()
	registry := f.StringP("registry", "r", valueOf(env, defaultRegistry), "")
	filters := f.StringArrayP("filter", "f", nil, "")
	ago := f.String("ago", "", "")
	keep := f.Int("keep", 0, "")
	untagged := f.Bool("untagged", false, "")
	dryRun := f.Bool("dry-run", false, "")
	f.Int("concurrency", 0, "") // these do not change the result
	f.Int("repository-page-size", 0, "")
	f.Int("filter-timeout-seconds", 0, "")
	age, ok := "", false
	if f.Parse(args) == nil && f.NArg() == 0 {
		age, ok = olderThan(*ago)
	}
	// Without --untagged acr keeps the manifests, which 'repo purge' never does. Its --keep applies to the tags that are
	// old enough, that of 'repo purge' to all.
	if !ok || !*untagged || *registry == "" || *keep < 0 || *keep > 0 && age != "" {
		return nil
	}
	repo, patterns := purgeFilters(*filters)
	if repo == "" {
		return nil
	}
	host := azureHost(*registry)
	out := []string{"repo", "purge", host + "/" + repo, "--all"}
	if strings.Contains(host, ".azurecr.") { // others list only tags, and untagged manifests are removed with their tags
		out = append(out, "--untagged")
	}
	for _, p := range patterns {
		out = append(out, "--filter", p)
	}
	if age != "" {
		out = append(out, "--older-than", age)
	}
	if *keep > 0 {
		out = append(out, "--keep", fmt.Sprint(*keep))
	}
	if !*dryRun {
		out = append(out, "--force")
	}
	return out
}

// valueOf returns the value of a name in an env.
func valueOf(env []string, name string) string {
	for _, item := range env {
		if n, value, _ := strings.Cut(item, "="); n == name {
			return value
		}
	}
	return ""
}

// defaultRegistry is the variable with the default registry of acr commands.
const defaultRegistry = "ACR_DEFAULT_REGISTRY"

// purgeFilters returns the repository of filters REPOSITORY:EXPRESSION and a pattern for each, "" if they are not for a
// single repository. Expressions are not anchored.
func purgeFilters(filters []string) (repo string, patterns []string) {
	for _, filter := range filters {
		name, expression, _ := strings.Cut(filter, ":")
		if named, err := reference.WithName("r.io/" + name); err != nil || reference.Path(named) != name ||
			strings.Contains(name, ".") || repo != "" && name != repo {
			return "", nil // acr treats a dot as any character
		}
		pattern := "regex:.*(?:" + expression + ").*"
		if _, err := regexp.Compile(expression); err != nil || expression == "" || strings.Contains(expression, ":") {
			return "", nil
		}
		repo, patterns = name, append(patterns, pattern)
	}
	return repo, patterns
}

var azureAge = lazyregexp.New(`^(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:0+m)?(?:0+s)?$`)

// olderThan returns the --older-than for an --ago, "" for any age. It is not ok if there is none, since --older-than has
// whole hours.
func olderThan(ago string) (age string, ok bool) {
	m := azureAge().FindStringSubmatch(ago)
	if m == nil || ago == "" {
		return "", false
	}
	var days, hours int
	_, _ = fmt.Sscan(m[1], &days) // "" is 0
	_, _ = fmt.Sscan(m[2], &hours)
	switch {
	case days == 0 && hours == 0:
		return "", true
	case hours == 0:
		return fmt.Sprintf("%dd", days), true
	}
	return fmt.Sprintf("%dh", 24*days+hours), true
}

// azureImport returns the command that is equivalent to 'az acr import' with these arguments, nil if there is none.
func azureImport(args []string) []string {
	f := newFlags()
	registry := f.StringP("name", "n", "", "")
	source := f.String("source", "", "")
	from := f.StringP("registry", "r", "", "")
	images := f.StringArrayP("image", "t", nil, "")
	force := f.Bool("force", false, "")
	f.Bool("no-wait", false, "")
	f.Bool("only-show-errors", false, "")
	f.StringP("resource-group", "g", "", "")
	f.String("subscription", "", "")
	if f.Parse(args) != nil || f.NArg() > 0 || *registry == "" || strings.Contains(*from, "/") {
		return nil
	}
	if *from != "" {
		host := azureHost(*from)
		*source = host + "/" + strings.TrimPrefix(*source, host+"/")
	}
	host, image, _ := strings.Cut(*source, "/")
	if !strings.Contains(host, ".") || image == "" {
		return nil // az requires the registry in the source
	}
	if len(*images) == 0 {
		name, _, _ := strings.Cut(image, "@")
		*images = []string{name}
	}
	target, tags, ok := importTargets(azureHost(*registry), *source, *images)
	if !ok {
		return nil
	}
	out := []string{"import", *source, target}
	for _, tag := range tags {
		out = append(out, "--tag", tag)
	}
	if *force {
		out = append(out, "--force")
	}
	return out
}

// importTargets returns the first of images in a registry, and the tags of the others. It is not ok if they are in
// several repositories or are invalid.
func importTargets(host, source string, images []string) (target string, tags []string, ok bool) {
	from, err := manifest.ParseReference(source)
	if err != nil {
		return "", nil, false
	}
	var first reference.Named
	for _, image := range images {
		to, err := manifest.ParseReference(host + "/" + image)
		if err != nil || first != nil && !manifest.SameRepository(first, to) {
			return "", nil, false
		}
		if _, digested := to.(reference.Digested); digested {
			return "", nil, false
		}
		tag, tagged := to.(reference.Tagged)
		_, digested := from.(reference.Digested)
		switch {
		case !tagged && (digested || len(images) > 1):
			return "", nil, false // the tag is unknown
		case first == nil:
			first = to
		default:
			tags = append(tags, tag.Tag())
		}
	}
	return first.String(), tags, true
}

// azureHost returns the host of a registry, which may be its name in Azure.
func azureHost(name string) string {
	if strings.ContainsAny(name, ".:") {
		return strings.ToLower(name)
	}
	return strings.ToLower(name) + ".azurecr.io"
}
