package commands

import (
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
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

// oneOf returns an error unless value is one of allowed.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	allowed = slices.DeleteFunc(allowed, func(s string) bool { return s == "" })
	return badValue("invalid --%s %q: must be one of %s", flag, value, strings.Join(allowed, ", "))
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

// parseTemplate returns the template of --format.
func parseTemplate(format string) (*template.Template, error) {
	t, err := display.ParseTemplate(format)
	if err != nil {
		return nil, badValue("--format: %w", err)
	}
	return t, nil
}

// parsePatterns returns the patterns of a flag.
func parsePatterns(flag string, typed []string) ([]manifest.Pattern, error) {
	patterns, err := parseAll(typed, manifest.ParsePattern)
	if err != nil {
		return nil, badValue("--%s %w", flag, err)
	}
	return patterns, nil
}

// parsePlatforms returns the platforms of a flag.
func parsePlatforms(flag string, typed []string) ([]manifest.Platform, error) {
	platforms, err := manifest.ParsePlatforms(typed)
	if err != nil {
		return nil, badValue("--%s: %w", flag, err)
	}
	return platforms, nil
}

// parsePattern returns the pattern of a flag that can be used once, and that matches everything if not used.
func parsePattern(flag, typed string) (manifest.Pattern, error) {
	if typed == "" {
		return manifest.Pattern{}, nil
	}
	patterns, err := parsePatterns(flag, []string{typed})
	if err != nil {
		return manifest.Pattern{}, err
	}
	return patterns[0], nil
}

// purge is the value of --purge: a boolean as in docker manifest, or "tags".
type purge struct{ list, tags bool }

// Set parses "tags" or a boolean.
func (p *purge) Set(s string) error {
	if s == "tags" {
		*p = purge{list: true, tags: true}
		return nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return invalid(`expected true, false or "tags"`)
	}
	*p = purge{list: b}
	return nil
}

// String returns the value in the form that Set parses.
func (p *purge) String() string {
	if p.tags {
		return "tags"
	}
	return strconv.FormatBool(p.list)
}

// Type makes help show the flag like the boolean one of docker manifest.
func (p *purge) Type() string { return "bool" }

// addProgress adds the flag.
func addProgress(cmd *cobra.Command, env environment, mode *string) {
	cmd.Flags().StringVar(mode, "progress", display.ProgressAuto, `How to show progress ("auto", "plain", "tty", "json", "quiet"; default: $BUILDKIT_PROGRESS or "auto")`)
	cmd.Flags().Lookup("progress").DefValue = "" // help is the same whatever the environment
	*mode = env.progressMode()
	completeFlags(cmd, map[string][]string{"progress": display.ProgressModes})
}

func checkProgress(mode string) error { return oneOf("progress", mode, display.ProgressModes...) }

// condition are the flags for what tags have to point to before they are written.
type condition struct {
	ifDigest  string
	noClobber bool
}

func (c *condition) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.ifDigest, "if-digest", "", `Fail unless the tags point to this digest now, or are "absent"`)
	cmd.Flags().BoolVar(&c.noClobber, "no-clobber", false, "Do not move tags that point to something else")
	completeFlags(cmd, map[string][]string{"if-digest": {"absent"}})
}

func (c condition) parse() (manifest.Condition, error) {
	parsed, err := manifest.ParseCondition(c.ifDigest, c.noClobber)
	if err != nil {
		err = badValue("%w", err)
	}
	return parsed, err
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

// open opens the files of a result.
func (o output) open(env environment) (results, error) {
	r, err := openResults(env.files(), o.digestFile, o.metadataFile)
	r.pushed = env.pushed
	return r, err
}

// addWait adds the flag.
func addWait(flags *pflag.FlagSet, wait *time.Duration, usage string) {
	flags.Var((*timeout)(wait), "wait", usage+` ("90s", "10m")`)
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

// parseTags returns the names that -t gives a list or image: tags, or names in its repository, each once.
func parseTags(list reference.Named, typed []string) ([]reference.NamedTagged, error) {
	names, err := parseAll(typed, func(s string) (reference.NamedTagged, error) { return parseTag(list, s) })
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(n reference.NamedTagged) bool {
		twice := seen[n.Tag()]
		seen[n.Tag()] = true
		return twice
	}), err
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

func parseTag(list reference.Named, s string) (reference.NamedTagged, error) {
	if name, err := reference.WithTag(reference.TrimNamed(list), s); err == nil {
		return name, nil
	}
	name, err := manifest.ParseListName(s)
	switch {
	case err != nil:
		err = badValue("--tag: %w", err)
	case !manifest.SameRepository(name, list):
		err = badValue("--tag %s is not in the repository %s: use a tag, or a name in that repository", s, list.Name())
	}
	return name, err
}

// number is the value of a flag, at least 1; 0 stands for none.
type number int

// Set parses a number.
func (n *number) Set(s string) error {
	given, err := strconv.Atoi(s)
	if err != nil || given < 1 {
		return invalid("expected a positive integer")
	}
	*n = number(given)
	return nil
}

// String returns the number, empty when there is none.
func (n *number) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.Itoa(int(*n))
}

// Type is the type that help shows.
func (n *number) Type() string { return "int" }

// age is the value of --older-than.
type age struct {
	typed  string
	before time.Time
}

// Set parses an age, see parseOlderThan.
func (a *age) Set(s string) error {
	before, err := parseOlderThan(s, time.Now())
	*a = age{s, before}
	return err
}

// String returns what was typed.
func (a *age) String() string { return a.typed }

// Type is the type that help shows.
func (a *age) Type() string { return "age" }

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
