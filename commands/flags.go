package commands

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
	"github.com/docker-multiarch/docker-multiarch/registry"
)

// invalid returns the error for invalid arguments or flags.
func invalid(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, format, args...)
}

// flagError is the error of a flag with an invalid value.
type flagError struct{ error }

func (e *flagError) Unwrap() error { return e.error }

// badValue returns the error for a flag with an invalid value, which has the exit code of an unknown flag.
func badValue(format string, args ...any) error { return &flagError{invalid(format, args...)} }

// parsed is the value of a flag that is parsed, and so checked, when it is set.
type parsed[T any] struct {
	to    *T
	parse func(string) (T, error)
	// text is the default as help shows it, then what was typed; kind is the type that help shows.
	text, kind string
}

func (p *parsed[T]) Set(typed string) error {
	v, err := p.parse(typed)
	if err == nil {
		*p.to, p.text = v, typed
	}
	return err
}

func (p *parsed[T]) String() string { return p.text }
func (p *parsed[T]) Type() string   { return p.kind }

// addChoice adds a flag whose value is its default or one of choices.
func addChoice(cmd *cobra.Command, to *string, name, value, usage string, choices ...string) {
	*to = value
	cmd.Flags().Var(&parsed[string]{to, func(s string) (string, error) {
		if s != value && !slices.Contains(choices, s) {
			return "", invalid("must be one of %s", strings.Join(choices, ", "))
		}
		return s, nil
	}, value, "string"}, name, usage)
	completeFlag(cmd, name, choices...)
}

// addFormat adds the flag for a template, or one of formats.
func addFormat(cmd *cobra.Command, format *string, usage string, formats ...string) {
	cmd.Flags().Var(&parsed[string]{format, func(s string) (string, error) {
		_, err := display.ParseTemplate(s)
		return s, err
	}, "", "string"}, "format", usage)
	completeFlag(cmd, "format", formats...)
}

// execute prints v in the format of a flag.
func (e environment) execute(format string, v any) error {
	t, err := display.ParseTemplate(format)
	if err == nil {
		err = display.Execute(e.Out(), t, v)
	}
	return err
}

// addShape adds the flags for the shape of a table; format and quiet describe these flags.
func addShape(cmd *cobra.Command, shape *display.Listing, format, quiet string) {
	addFormat(cmd, &shape.Format, format, "table", "json")
	cmd.Flags().BoolVarP(&shape.Quiet, "quiet", "q", false, quiet)
	cmd.Flags().BoolVar(&shape.NoTrunc, "no-trunc", false, "Don't truncate output")
}

// addPlatforms adds a flag for platforms, which can be repeated or have commas.
func addPlatforms(cmd *cobra.Command, to *[]manifest.Platform, name, usage string) {
	cmd.Flags().Var(&parsed[[]manifest.Platform]{to, func(s string) ([]manifest.Platform, error) {
		if s == "" && name == "platform" { // as for docker; a check is not left out because a variable is empty
			return *to, nil
		}
		platforms, err := manifest.ParsePlatforms(strings.Split(s, ","))
		return append(*to, platforms...), err
	}, "", "stringSlice"}, name, usage)
	completeWith(cmd, platformsAfter, name)
}

// addPatterns adds a flag for patterns, which can be repeated.
func addPatterns(flags *pflag.FlagSet, to *[]manifest.Pattern, name, usage string) {
	flags.Var(&parsed[[]manifest.Pattern]{to, func(s string) ([]manifest.Pattern, error) {
		pattern, err := manifest.ParsePattern(s)
		return append(*to, pattern), err
	}, "", "stringArray"}, name, usage)
}

// addPattern adds a flag for a pattern that matches everything if it is empty.
func addPattern(flags *pflag.FlagSet, to *manifest.Pattern, name, usage string) {
	flags.Var(&parsed[manifest.Pattern]{to, unlessEmpty(manifest.ParsePattern), "", "string"}, name, usage)
}

// unlessEmpty returns parse with the zero value for "".
func unlessEmpty[T any](parse func(string) (T, error)) func(string) (T, error) {
	return func(s string) (v T, err error) {
		if s != "" {
			v, err = parse(s)
		}
		return v, err
	}
}

// addNumber adds a flag for a number of at least 1; 0 stands for none.
func addNumber(flags *pflag.FlagSet, to *int, name, usage string) {
	flags.Var(&parsed[int]{to, parseNumber, strconv.Itoa(*to), "int"}, name, usage)
}

func parseNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, invalid("expected a positive integer")
	}
	return n, nil
}

// addTimeout adds a flag for a duration that is not negative.
func addTimeout(flags *pflag.FlagSet, to *time.Duration, name, usage string) {
	text := "0" // which help does not show as a default
	if *to != 0 {
		text = to.String()
	}
	flags.Var(&parsed[time.Duration]{to, parseTimeout, text, "duration"}, name, usage)
}

func parseTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, invalid(`expected a duration like "30s" or "2m"`)
	}
	return d, nil
}

// addAnnotations adds the flags for annotations, which are those of target unless they have a level.
func addAnnotations(flags *pflag.FlagSet, annotations, indexAnnotations *[]string, target string) {
	flags.StringArrayVar(annotations, "annotation", nil,
		"Add an annotation to "+target+" (KEY=VALUE), or to a level as in buildx (index:KEY=VALUE, manifest-descriptor[PLATFORM]:KEY=VALUE)")
	flags.StringArrayVar(indexAnnotations, "index-annotation", nil, "Add an annotation to the list (KEY=VALUE)")
}

// parseAnnotations returns the annotations of the flags; those of the first without a level are of level.
func parseAnnotations(typed []string, level string, index []string) (manifest.Annotations, error) {
	a, err := manifest.ParseAnnotations(typed, level)
	if err != nil {
		return a, badValue("--annotation %w", err)
	}
	for _, pair := range index {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return a, badValue("--index-annotation %q is not KEY=VALUE", pair)
		}
		a.Index[key] = value
	}
	return a, nil
}

// warnLevels warns about levels of annotations that were skipped.
func warnLevels(report manifest.Reporter, skipped []string) {
	if len(skipped) > 0 {
		report.Warn("a list has no annotations of the level %s; skipped", strings.Join(skipped, ", "))
	}
}

// purge is the value of --purge: a boolean as in docker manifest, or "tags".
type purge struct{ list, tags bool }

func parsePurge(s string) (purge, error) {
	if s == "tags" {
		return purge{list: true, tags: true}, nil
	}
	list, err := strconv.ParseBool(s)
	if err != nil {
		return purge{}, invalid(`expected true, false or "tags"`)
	}
	return purge{list: list}, nil
}

// addProgress adds the flag.
func addProgress(cmd *cobra.Command, env environment, mode *string) {
	addChoice(cmd, mode, "progress", env.progressMode(), `How to show progress ("auto", "plain", "tty", "json", "quiet"; default: $BUILDKIT_PROGRESS or "auto")`, display.ProgressModes...)
	cmd.Flags().Lookup("progress").DefValue = "" // help is the same whatever the environment
}

// network is how registries are to be reached.
type network struct {
	// insecure permits plain HTTP and certificates that cannot be verified.
	insecure     bool
	jobs         int
	retryTimeout time.Duration
}

// addTo adds the flags; insecure describes that one.
func (n *network) addTo(flags *pflag.FlagSet, insecure string) {
	n.jobs, n.retryTimeout = registry.DefaultJobs, 30*time.Second
	flags.BoolVar(&n.insecure, "insecure", false, insecure)
	addNumber(flags, &n.jobs, "jobs", "Maximum concurrent requests per registry")
	addTimeout(flags, &n.retryTimeout, "retry-timeout", "Give up on a registry after this long without an answer (0 disables retries)")
}

// addCondition adds the flags for what tags have to point to before they are written.
func addCondition(cmd *cobra.Command, c *manifest.Condition) {
	cmd.Flags().Var(&parsed[manifest.Condition]{c, func(s string) (manifest.Condition, error) {
		return manifest.ParseCondition(s, c.NoClobber)
	}, "", "string"}, "if-digest", `Fail unless the tags point to this digest now, or are "absent"`)
	cmd.Flags().BoolVar(&c.NoClobber, "no-clobber", false, "Do not move tags that point to something else")
	completeFlag(cmd, "if-digest", "absent")
}

// output are the flags for the result of a command that writes tags.
type output struct {
	quiet                    bool
	digestFile, metadataFile string
}

func (o *output) addTo(flags *pflag.FlagSet) {
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "Only print the digest")
	flags.StringVar(&o.digestFile, "digest-file", "", "Write the digest to this file")
	flags.StringVar(&o.metadataFile, "metadata-file", "", "Write metadata of the result to this file as JSON")
}

// checkDryRun returns an error if files are to be written of a result that a dry run does not have.
func (o output) checkDryRun(dryRun bool) error {
	if dryRun && o.digestFile+o.metadataFile != "" {
		return invalid("--digest-file and --metadata-file cannot be combined with --dry-run, which writes nothing: --quiet prints the digest")
	}
	return nil
}

// parseAll parses each argument or value of a flag.
func parseAll[T any](typed []string, parse func(string) (T, error)) ([]T, error) {
	var out []T
	for _, s := range typed {
		one, err := parse(s)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// parseTags returns the names that -t gives an image: tags, or names in its repository, each once.
func parseTags(list reference.Named, typed []string) ([]reference.NamedTagged, error) {
	tags, copies, err := parsePublished(list, typed)
	if len(copies) > 0 {
		err = badValue("--tag %s is not in the repository %s: use a tag, or a name in that repository", manifest.Familiar(copies[0]), list.Name())
	}
	return tags, err
}

// parsePublished returns the names that -t gives a list that is published, each once: tags of its repository, and names in
// others. Names have a registry, except those in the list's own repository on Docker Hub, as docker/metadata-action writes
// them.
func parsePublished(list reference.Named, typed []string) (tags, copies []reference.NamedTagged, err error) {
	seen := map[string]bool{}
	for _, s := range typed {
		name, err := parseTarget(list, s, manifest.SameRepository)
		if err != nil {
			return nil, nil, badValue("--tag %w", err)
		}
		switch {
		case seen[name.String()]:
		case manifest.SameRepository(name, list):
			tags = append(tags, name)
		default:
			copies = append(copies, name)
		}
		seen[name.String()] = true
	}
	return tags, copies, nil
}

// parseTarget returns the tag s in the repository of ref, or the name s. A name without a registry, which would be one in
// Docker Hub, is only permitted if its place and that of ref are the same.
func parseTarget(ref reference.Named, s string, same func(a, b reference.Named) bool) (reference.NamedTagged, error) {
	if name, err := reference.WithTag(reference.TrimNamed(ref), s); err == nil {
		return name, nil
	}
	name, err := manifest.ParseListName(s)
	switch {
	case err != nil:
		err = invalid("%q is neither a tag nor a name with a registry (%w)", s, err)
		err = manifest.WithHint(err, "use a tag of %s, such as latest, or a whole name, such as %[1]s:latest", ref.Name())
	case !publish.HasRegistry(s) && !same(name, ref):
		err = manifest.WithHint(invalid("%q is neither a tag nor a name with a registry", s),
			"use a tag of %s, such as %s, or the whole name: %s/%s", ref.Name(), name.Tag(), reference.Domain(ref), manifest.Familiar(name))
	}
	return name, err
}

// parseOlderThan returns the time before now that s specifies: an age, or an RFC 3339 time.
func parseOlderThan(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		switch {
		case !t.Before(now):
			return time.Time{}, invalid("expected a time in the past")
		case t.Before(manifest.EarliestCreated):
			return time.Time{}, invalid("expected a time after %s: no image is older", manifest.EarliestCreated.Format(time.RFC3339))
		}
		return t, nil
	}
	d, err := manifest.ParseAge(s)
	if err != nil || d == 0 {
		return time.Time{}, invalid(`expected an age ("45m", "12h", "30d", "1d12h", "2w") or an RFC 3339 time`)
	}
	return now.Add(-d), nil
}

// progressHelp is the part of a long description that explains --progress json.
const progressHelp = "\n\nWith --progress json, each line on standard error is an object. For a change of a blob it has digest (or id, for a\n" +
	"layer that the daemon pushes), size and sent (both in bytes) and state (waiting, sending, sent, mounted or exists).\n" +
	"For other messages it has time, event (note, warning, or error at the end), text and, for an error, hint."

// platformHelp is the part of a long description that explains how platforms match.
const platformHelp = "\n\nA platform without a variant matches the variant that clients choose by default: v1 for amd64, v8 for arm64,\n" +
	"v7 for arm, or none. With a variant it matches only that variant; linux/arm/* matches all variants of linux/arm."
