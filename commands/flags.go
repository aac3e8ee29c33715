package commands

import (
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/spf13/cobra"
)

// invalid returns an error for arguments or flags that make no sense.
func invalid(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, format, args...)
}

// oneOf returns an error unless value is one of allowed.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	allowed = slices.DeleteFunc(allowed, func(s string) bool { return s == "" })
	return invalid("--%s %q is none of %s", flag, value, strings.Join(allowed, ", "))
}

// parseAnnotations returns the KEY=VALUE pairs of a flag.
func parseAnnotations(flag string, pairs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, invalid("--%s %q is not KEY=VALUE", flag, pair)
		}
		out[key] = value
	}
	return out, nil
}

// parsePattern returns the pattern that a flag was given.
func parsePattern(flag, typed string) (manifest.Pattern, error) {
	p, err := manifest.ParsePattern(typed)
	if err != nil {
		return p, invalid("--%s %w", flag, err)
	}
	return p, nil
}

// parseFilter returns the pattern of --filter, which matches all when none was given.
func parseFilter(typed string) (p manifest.Pattern, err error) {
	if typed != "" {
		p, err = parsePattern("filter", typed)
	}
	return p, err
}

// parsePatterns is parsePattern for a flag that can be given several times.
func parsePatterns(flag string, typed []string) ([]manifest.Pattern, error) {
	var out []manifest.Pattern
	for _, s := range typed {
		p, err := parsePattern(flag, s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// purge is the value of --purge: a boolean as in docker manifest, or "tags".
type purge struct{ list, tags bool }

// Set takes "tags" or a boolean.
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

// String returns the value as Set takes it.
func (p *purge) String() string {
	if p.tags {
		return "tags"
	}
	return strconv.FormatBool(p.list)
}

// Type makes help show the flag as the boolean one of docker manifest.
func (p *purge) Type() string { return "bool" }

// addProgress adds the flag.
func addProgress(cmd *cobra.Command, mode *string) {
	cmd.Flags().StringVar(mode, "progress", display.ProgressAuto, `How to show progress ("auto", "plain", "tty", "json", "quiet")`)
	completeFlags(cmd, map[string][]string{"progress": display.ProgressModes})
}

func checkProgress(mode string) error { return oneOf("progress", mode, display.ProgressModes...) }

// parseTags returns the names that -t gives a list or image: tags, or names in its repository.
func parseTags(list reference.Named, typed []string) ([]reference.NamedTagged, error) {
	var out []reference.NamedTagged
	for _, s := range typed {
		if name, err := reference.WithTag(reference.TrimNamed(list), s); err == nil {
			out = append(out, name)
			continue
		}
		name, err := manifest.ParseListName(s)
		if err != nil {
			return nil, err
		}
		if !manifest.SameRepository(name, list) {
			return nil, invalid("--tag %s is not in the repository %s: give a tag alone, or a name in it", s, list.Name())
		}
		out = append(out, name)
	}
	return out, nil
}
