package task

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// azureCommands are the commands of Azure's programs that have an equivalent here.
var azureCommands = []struct {
	program, image string
	words          []string
	equivalent     func(args []string, registry string) ([][]string, error)
}{
	{"acr", "mcr.microsoft.com/acr/acr-cli", []string{"purge"}, purge},
	{"acr", "mcr.microsoft.com/acr/acr-cli", []string{"tag", "list"}, ofRepository("", "repo", "tags")},
	{"acr", "mcr.microsoft.com/acr/acr-cli", []string{"tag", "delete"}, ofRepository(":", "repo", "untag")},
	{"acr", "mcr.microsoft.com/acr/acr-cli", []string{"manifest", "list"}, ofRepository("", "repo", "manifests")},
	{"acr", "mcr.microsoft.com/acr/acr-cli", []string{"manifest", "delete"}, ofRepository("@", "repo", "rm", "--force")},
	{"acr", "mcr.microsoft.com/acr/acr-cli", []string{"annotate"}, noEquivalent},
	{"az", "mcr.microsoft.com/acr/azure-cli", []string{"acr", "import"}, azureImport},
}

// equivalent returns the commands of this program that do what a command of Azure's programs does, which may be referred
// to by their images. The registry is the default one. The error is why there are none; it is nil for any other command.
func equivalent(all []string, registry string) ([][]string, error) {
	name, _, _ := strings.Cut(all[0], "@")
	for _, c := range azureCommands {
		isProgram := all[0] == c.program || name == c.image || strings.HasPrefix(name, c.image+":")
		if n := 1 + len(c.words); isProgram && len(all) >= n && slices.Equal(all[1:n], c.words) {
			ours, err := c.equivalent(all[n:], registry)
			if errors.Is(err, pflag.ErrHelp) {
				err = nil
			}
			return ours, err
		}
	}
	return nil, nil
}

func noEquivalent([]string, string) ([][]string, error) { return nil, errors.New("it has none") }

// ofRepository returns the equivalent of a command of 'acr' for a repository or, with a separator, for what its arguments
// name in it.
func ofRepository(separator string, ours ...string) func(args []string, registry string) ([][]string, error) {
	return func(args []string, own string) ([][]string, error) {
		f := newFlags()
		registry := f.StringP("registry", "r", own, "")
		repo := f.String("repository", "", "")
		err := f.Parse(args)
		switch {
		case err != nil:
			return nil, err
		case *registry == "" || !isPath(*repo):
			return nil, errors.New("expected --registry and --repository")
		case (separator == "") != (f.NArg() == 0):
			return nil, fmt.Errorf("unexpected number of arguments: %d", f.NArg())
		}
		out, args := slices.Clone(ours), f.Args()
		if separator == "" {
			args = []string{""} // the repository itself
		}
		for _, arg := range args {
			out = append(out, azureHost(*registry, own)+"/"+*repo+separator+arg)
		}
		return [][]string{out}, nil
	}
}

// parseAzure parses flags without arguments.
func parseAzure(f *pflag.FlagSet, args []string) error {
	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %s", show(f.Arg(0)))
	}
	return err
}

// isPath reports whether s is the path of a repository.
func isPath(s string) bool {
	named, err := reference.WithName("r.io/" + s)
	return err == nil && reference.Path(named) == s
}

// purge returns the commands that are equivalent to 'acr purge': one for each expression for repositories.
func purge(args []string, own string) ([][]string, error) {
	f := newFlags()
	registry := f.StringP("registry", "r", own, "")
	filters := f.StringArrayP("filter", "f", nil, "")
	ago := f.String("ago", "", "")
	keep, dryRun := f.Uint16("keep", 0, ""), f.Bool("dry-run", false, "")
	untagged, only := f.Bool("untagged", false, ""), f.Bool("untagged-only", false, "")
	f.Int("concurrency", 0, "") // these do not change the result
	f.Int("repository-page-size", 0, "")
	f.Int("filter-timeout-seconds", 0, "")
	f.Bool("verbose", false, "")
	err := parseAzure(f, args)
	switch {
	case err != nil:
		return nil, err
	case *registry == "":
		return nil, errors.New("expected --registry")
	case *untagged && *only:
		return nil, errors.New("expected --untagged or --untagged-only")
	case !*only && (*ago == "" || len(*filters) == 0):
		return nil, errors.New("expected --filter and --ago")
	case *only && len(*filters) == 0:
		*filters = []string{".*:.*"}
	}
	repositories, expressions, err := purgeFilters(*filters)
	if err != nil {
		return nil, err
	}
	host, flags := azureHost(*registry, own), []string{}
	switch isAzure := strings.Contains(host, ".azurecr."); {
	case !*untagged && !*only:
		flags = append(flags, "--keep-manifests")
	case isAzure || *only: // others list only tags, and untagged manifests are removed with their tags
		flags = append(flags, "--untagged")
	}
	if age, err := manifest.ParseAge(*ago); *ago != "" && err != nil {
		return nil, fmt.Errorf("--ago %s: %w", show(*ago), err)
	} else if age > 0 {
		flags = append(flags, "--older-than", *ago)
	}
	if *keep > 0 {
		flags = append(flags, "--keep-old", fmt.Sprint(*keep))
	}
	if !*dryRun {
		flags = append(flags, "--force")
	}
	var out [][]string
	for _, r := range repositories {
		command := purgeOf(host, r)
		if tags, err := tagFlags(expressions[r]); err != nil {
			return nil, err
		} else if !*only {
			command = append(append(command, "--all"), tags...)
		}
		out = append(out, append(command, flags...))
	}
	return out, nil
}

// purgeOf returns the command, without flags, that purges the repositories of an expression, which has to match a whole path.
func purgeOf(host, expression string) []string {
	if isPath(expression) && !strings.Contains(expression, ".") {
		return []string{"repo", "purge", host + "/" + expression}
	}
	return []string{"repo", "purge", host, "--repositories", "regex:" + expression}
}

// purgeFilters returns the expressions for repositories of filters, and those for tags by them.
func purgeFilters(filters []string) (all []string, tags map[string][]string, err error) {
	tags = map[string][]string{}
	for _, filter := range filters {
		repositories, tag, err := splitFilter(filter)
		if err != nil {
			return nil, nil, fmt.Errorf("--filter %s: %w", show(filter), err)
		}
		if tags[repositories] == nil {
			all = append(all, repositories)
		}
		tags[repositories] = append(tags[repositories], tag)
	}
	return all, tags, nil
}

// separator matches the colon between the expressions of a filter, and the colons in (?:...) and [[:alpha:]].
var separator = lazyregexp.New(`\(\?[a-zA-Z-]*:|\[\^?:|:\]|:`)

// splitFilter returns the expressions of a filter REPOSITORIES:TAGS.
func splitFilter(filter string) (repositories, tags string, err error) {
	at := separator().FindAllStringIndex(filter, -1)
	at = slices.DeleteFunc(at, func(i []int) bool { return i[1]-i[0] > 1 })
	if len(at) != 1 {
		return "", "", errors.New("expected REPOSITORY:EXPRESSION")
	}
	repositories, tags = filter[:at[0][0]], filter[at[0][1]:]
	if repositories == "" || tags == "" {
		return "", "", errors.New("expected REPOSITORY:EXPRESSION")
	}
	_, err = regexp.Compile(repositories)
	return repositories, tags, err
}

// allBut matches an expression for all tags that do not begin as another expression says.
var allBut = lazyregexp.New(`^\^\(\?!((?:[^()]|\([^()]*\))+)\)\.\*\$?$`)

// tagFlags returns the flags for tags that match one of expressions, which need not match the whole tag.
func tagFlags(expressions []string) (flags []string, err error) {
	if m := allBut().FindStringSubmatch(expressions[0]); m != nil && len(expressions) == 1 {
		_, err := regexp.Compile(m[1])
		return []string{"--exclude", "regex:(?:" + m[1] + ").*"}, err
	}
	for _, e := range expressions {
		if _, err := regexp.Compile(e); err != nil {
			return nil, err
		}
		if e == ".*" {
			return nil, nil
		}
		flags = append(flags, "--filter", "regex:.*(?:"+e+").*")
	}
	return flags, nil
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

// azureImport returns the command that is equivalent to 'az acr import'.
func azureImport(args []string, own string) ([][]string, error) {
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
	err := parseAzure(f, args)
	if err == nil && (*registry == "" || strings.Contains(*from, "/")) {
		err = errors.New("expected --name, and a registry by its name")
	}
	if err != nil {
		return nil, err
	}
	if *from != "" {
		host := azureHost(*from, own)
		*source = host + "/" + strings.TrimPrefix(*source, host+"/")
	}
	host, image, _ := strings.Cut(*source, "/")
	if !strings.Contains(host, ".") || image == "" {
		return nil, errors.New("expected the registry in --source") // as az does
	}
	if len(*images) == 0 {
		name, _, _ := strings.Cut(image, "@")
		*images = []string{name}
	}
	target, tags, ok := importTargets(azureHost(*registry, own), *source, *images)
	if !ok {
		return nil, errors.New("expected a tag in each --image, and one repository")
	}
	out := []string{"import", *source, target}
	for _, tag := range tags {
		out = append(out, "--tag", tag)
	}
	if *force {
		out = append(out, "--force")
	}
	return [][]string{out}, nil
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

// azureHost returns the host of a registry, which may be its name: that of own, the registry of the run, or one in Azure.
func azureHost(name, own string) string {
	if first, _, isHost := strings.Cut(own, "."); isHost && strings.EqualFold(name, first) {
		return strings.ToLower(own)
	}
	if strings.ContainsAny(name, ".:") {
		return strings.ToLower(name)
	}
	return strings.ToLower(name) + ".azurecr.io"
}
