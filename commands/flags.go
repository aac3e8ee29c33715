package commands

import (
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
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

// Type is empty, so that help shows the flag as a boolean one.
func (p *purge) Type() string { return "" }
