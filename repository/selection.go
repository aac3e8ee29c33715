package repository

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Selection says which tags and manifests of a repository are to go. A tag has to match one of Filters,
// where there are any, and none of Excludes.
type Selection struct {
	Filters, Excludes []manifest.Pattern
	// All permits the filters to match every tag.
	All bool
	// Before keeps what is not older; the zero time keeps nothing.
	Before time.Time
	// Keep is how many of the matching tags stay, the last by their time or, with ByName, by their names.
	Keep   int
	ByName bool
	// Untagged selects untagged manifests, too: alone when neither Filters nor All select tags.
	Untagged bool
	// Recursive selects what is there only for what goes.
	Recursive bool
}

// needsTimes reports whether it matters how old the tags are.
func (s Selection) needsTimes() bool { return !s.Before.IsZero() || s.Keep > 0 && !s.ByName }

// matched returns the tags that the filters select, sorted, and how many there are to select from: all but
// digest tags. The error is errdefs.ErrInvalidArgument when they select every one and that is not permitted.
func (s Selection) matched(c Contents) (tags []string, total int, err error) {
	digestTags := c.digestTags()
	for _, tag := range slices.Sorted(maps.Keys(c.Tags)) {
		if _, follows := digestTags[tag]; follows {
			continue
		}
		total++
		if s.matches(tag) {
			tags = append(tags, tag)
		}
	}
	if s.Untagged && !s.All && len(s.Filters) == 0 {
		return nil, total, nil
	}
	if total == 0 && len(c.Tags) > 0 && !s.Untagged {
		return nil, 0, manifest.Errorf(errdefs.ErrInvalidArgument, "all %d tags are referrers of untagged manifests and are only removed with those: "+
			"add --untagged", len(c.Tags))
	}
	if len(tags) == total && total > 0 && !s.All {
		return nil, total, manifest.Errorf(errdefs.ErrInvalidArgument, "%d of %[1]d tags match, which is every one: narrow that down with --filter or --exclude, or permit it with --all", total)
	}
	return tags, total, nil
}

func (s Selection) matches(tag string) bool {
	match := func(p manifest.Pattern) bool { return p.Match(tag) }
	return (len(s.Filters) == 0 || slices.ContainsFunc(s.Filters, match)) && !slices.ContainsFunc(s.Excludes, match)
}

// removal returns what goes of the tags that match, and of the untagged manifests. What stays because its
// age is not known or because it is locked is told.
func (s Selection) removal(c Contents, matched []string) (Removal, manifest.Diagnostics) {
	r := Removal{Tags: map[string]bool{}, Manifests: map[digest.Digest]bool{}, StayTags: map[string]bool{}, Stay: map[digest.Digest]bool{}}
	r.Recursive = s.Recursive || c.Listed
	var locked, ageless []string
	candidates := slices.DeleteFunc(slices.Clone(matched), func(tag string) bool {
		held := c.Manifests[c.Tags[tag]]
		switch {
		case held.Locked:
			locked = append(locked, tag)
		case s.needsTimes() && held.Time.IsZero():
			ageless = append(ageless, tag)
		default:
			return false
		}
		return true
	})
	slices.SortStableFunc(candidates, func(a, b string) int {
		if s.ByName {
			return compareTags(a, b)
		}
		return c.Manifests[c.Tags[a]].Time.Compare(c.Manifests[c.Tags[b]].Time)
	})
	for _, tag := range candidates[:max(len(candidates)-s.Keep, 0)] {
		r.Tags[tag] = s.isOld(c.Manifests[c.Tags[tag]])
	}
	maps.DeleteFunc(r.Tags, func(_ string, old bool) bool { return !old })
	s.followers(c, r)
	ageless = append(ageless, s.untagged(c, r)...)
	var out manifest.Diagnostics
	if len(ageless) > 0 {
		out.Warn("how old these are is not known, so they stay: %s", manifest.JoinSome(ageless))
	}
	if len(locked) > 0 {
		out.Warn("these are locked, so they stay: %s", manifest.JoinSome(locked))
	}
	return r, out
}

// followers adds the digest tags that match, which go with what they are named after, and makes those that
// are excluded stay.
func (s Selection) followers(c Contents, r Removal) {
	for tag := range c.digestTags() {
		if s.matches(tag) {
			r.Tags[tag] = true
		}
		if slices.ContainsFunc(s.Excludes, func(p manifest.Pattern) bool { return p.Match(tag) }) {
			r.StayTags[tag] = true
		}
	}
}

// untagged adds the manifests without a tag, and returns those of unknown age. One that is not old stays,
// whatever goes: it may be part of a push that is under way.
func (s Selection) untagged(c Contents, r Removal) (ageless []string) {
	if !c.Listed {
		return nil
	}
	tagged := c.tagsByDigest()
	for _, d := range slices.Sorted(maps.Keys(c.Manifests)) {
		held := c.Manifests[d]
		switch {
		case len(tagged[d]) > 0:
		case !s.Before.IsZero() && held.Time.IsZero():
			if s.Untagged {
				ageless = append(ageless, d.String())
			}
		case !s.isOld(held):
			r.Stay[d] = true
		case s.Untagged:
			r.Manifests[d] = true
		}
	}
	return ageless
}

func (s Selection) isOld(held Held) bool { return s.Before.IsZero() || held.Time.Before(s.Before) }

// compareTags compares tags; the numbers in them count as numbers.
func compareTags(a, b string) int { return cmp.Or(compareNumbered(a, b), strings.Compare(a, b)) }

// compareNumbered is 0 for what differs by leading zeros alone.
func compareNumbered(a, b string) int {
	for a != "" && b != "" {
		numberA, restA := cutNumber(a)
		numberB, restB := cutNumber(b)
		if numberA != "" && numberB != "" {
			if c := cmp.Or(cmp.Compare(len(numberA), len(numberB)), strings.Compare(numberA, numberB)); c != 0 {
				return c
			}
			a, b = restA, restB
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// cutNumber cuts the number, without leading zeros, off the start of s.
func cutNumber(s string) (number, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	digits := s[:len(s)-len(rest)]
	if number = strings.TrimLeft(digits, "0"); number == "" && digits != "" {
		number = "0"
	}
	return number, rest
}
