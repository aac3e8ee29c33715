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

// Selection selects tags and manifests of a repository for removal. A tag has to match one of Filters, if there are any,
// and none of Excludes.
type Selection struct {
	Filters, Excludes []manifest.Pattern
	// All allows the filters to match every tag.
	All bool
	// Before selects only what is older; the zero time selects any age.
	Before time.Time
	// Keep is how many of the matching tags are kept, the last by their time or, with ByName, by their names.
	Keep   int
	ByName bool
	// KeepOld is how many are kept of those that are old enough: of tags or, if no tags are selected, of the untagged
	// manifests that no other lists.
	KeepOld int
	// Untagged selects untagged manifests as well, and only those unless Filters or All select tags.
	Untagged bool
	// KeepManifests selects only the tags, not the manifests they point to.
	KeepManifests bool
	// Recursive selects as well what nothing else needs.
	Recursive bool
}

// needsTimes reports whether it matters how old the tags are.
func (s Selection) needsTimes() bool {
	return !s.Before.IsZero() || s.Keep+s.KeepOld > 0 && (!s.ByName || !s.selectsTags())
}

func (s Selection) selectsTags() bool { return s.All || len(s.Filters) > 0 || !s.Untagged }

// matched returns the tags that the filters select, sorted, and how many there are to select from: all but digest tags. The
// error is errdefs.ErrInvalidArgument if they select every tag, none is kept and that is not allowed, or if there are only
// digest tags.
func (s Selection) matched(in *Snapshot) (tags []string, total int, err error) {
	digestTags := in.digestTags()
	for _, tag := range slices.Sorted(maps.Keys(in.Tags)) {
		if _, follows := digestTags[tag]; follows {
			continue
		}
		total++
		if s.matches(tag) {
			tags = append(tags, tag)
		}
	}
	switch {
	case !s.selectsTags():
		return nil, total, nil
	case total == 0 && len(in.Tags) > 0 && !s.Untagged:
		err := manifest.Errorf(errdefs.ErrInvalidArgument, "all %d tags are of referrers of untagged manifests, and only removed with those", len(in.Tags))
		return nil, 0, manifest.WithHint(err, "--untagged")
	case len(tags) == total && total > 0 && !s.All && s.Keep+s.KeepOld == 0: // otherwise some are kept
		err := manifest.Errorf(errdefs.ErrInvalidArgument, "all %d tags match; narrow the filter, keep some with --keep, or pass --all", total)
		return nil, total, err
	}
	return tags, total, nil
}

// unmatched explains why no tag matches, "" if there is nothing to explain.
func (s Selection) unmatched(matched []string, total int) string {
	if len(matched) > 0 || total == 0 || len(s.Filters) == 0 {
		return ""
	}
	return "; a pattern matches whole tags: * stands for any characters, as in 'pr-*'"
}

func (s Selection) matches(tag string) bool {
	match := func(p manifest.Pattern) bool { return p.Match(tag) }
	return (len(s.Filters) == 0 || slices.ContainsFunc(s.Filters, match)) && !slices.ContainsFunc(s.Excludes, match)
}

// request returns the request to remove those of the matched tags, and of the untagged manifests, that are old enough and
// are not among those to keep. What is kept because its age is unknown or because it is locked is reported.
func (s Selection) request(from *Snapshot, matched []string) (request, manifest.Diagnostics) {
	r := newRequest()
	r.recursive = s.Recursive || from.Complete
	var locked, unknown []string
	candidates := slices.DeleteFunc(slices.Clone(matched), func(tag string) bool {
		m := from.Manifests[from.Tags[tag]]
		switch {
		case m.Locked:
			locked = append(locked, tag)
		case s.needsTimes() && m.Time().IsZero():
			unknown = append(unknown, tag)
		default:
			return false
		}
		return true
	})
	slices.SortStableFunc(candidates, func(a, b string) int {
		if s.ByName {
			return compareTags(a, b)
		}
		return from.Manifests[from.Tags[a]].Time().Compare(from.Manifests[from.Tags[b]].Time())
	})
	kept := min(s.Keep, len(candidates))
	old := slices.DeleteFunc(candidates[:max(len(candidates)-s.Keep, 0)], func(tag string) bool {
		return !s.isOld(from.Manifests[from.Tags[tag]])
	})
	for _, tag := range old[:max(len(old)-s.KeepOld, 0)] {
		r.tags[tag] = true
		if s.KeepManifests {
			r.keep[from.Tags[tag]] = true
		}
	}
	young, keptOld := len(candidates)-kept-len(old), min(s.KeepOld, len(old))
	s.addDigestTags(from, r)
	unknown = append(unknown, s.addUntagged(from, r)...)
	var out manifest.Diagnostics
	for _, kept := range []struct {
		tags int
		why  string
	}{{kept, "for --keep"}, {keptOld, "for --keep-old"}, {young, "that are too young for --older-than"}} {
		if kept.tags > 0 {
			out.Note("keeping %d of the matching tags %s", kept.tags, kept.why)
		}
	}
	if len(unknown) > 0 {
		out.Warn("keeping tags and manifests of unknown age: %s", manifest.JoinSome(unknown))
	}
	if len(locked) > 0 {
		out.Warn("keeping locked tags: %s", manifest.JoinSome(locked))
	}
	return r, out
}

// addDigestTags adds the digest tags that match, which are removed with the manifests they are named after, and keeps
// those that are excluded.
func (s Selection) addDigestTags(from *Snapshot, r request) {
	for tag := range from.digestTags() {
		if s.matches(tag) {
			r.tags[tag] = true
		}
		if slices.ContainsFunc(s.Excludes, func(p manifest.Pattern) bool { return p.Match(tag) }) {
			r.keepTags[tag] = true
		}
	}
}

// addUntagged adds the manifests without a tag, and returns those of unknown age. One that is not old is kept in any case:
// it may be part of a push that is under way.
func (s Selection) addUntagged(from *Snapshot, r request) (unknown []string) {
	if !from.Complete {
		return nil
	}
	tags := from.tagsByDigest()
	var roots []digest.Digest // that KeepOld counts
	for _, d := range slices.Sorted(maps.Keys(from.Manifests)) {
		m := from.Manifests[d]
		switch {
		case len(tags[d]) > 0 || from.named[d]:
		case (!s.Before.IsZero() || s.KeepOld > 0 && !s.selectsTags()) && m.Time().IsZero():
			if s.Untagged {
				unknown = append(unknown, d.String())
			}
		case !s.isOld(m):
			r.keep[d] = true
		case s.Untagged:
			r.manifests[d] = true
			if len(m.Parents) == 0 && len(m.RefersTo) == 0 && !s.selectsTags() {
				roots = append(roots, d)
			}
		}
	}
	slices.SortStableFunc(roots, func(a, b digest.Digest) int { return from.Manifests[b].Time().Compare(from.Manifests[a].Time()) })
	for _, d := range roots[:min(len(roots), s.KeepOld)] {
		r.keep[d] = true
	}
	return unknown
}

func (s Selection) isOld(m Manifest) bool { return s.Before.IsZero() || m.Time().Before(s.Before) }

// compareTags compares tags; the numbers in them count as numbers.
func compareTags(a, b string) int { return cmp.Or(compareNumbered(a, b), strings.Compare(a, b)) }

// compareNumbered is 0 for what differs only by leading zeros.
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
