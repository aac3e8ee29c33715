package repository

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestCompareTags(t *testing.T) {
	for _, ordered := range []string{"1 2 10 010.1 11", "1.01 1.1 1.2", "1.8 1.9 1.10 1.10.1 2", "a a1 a2 a10 b", "v1 v1-rc1 v1-rc2 v1-rc10 v1.0"} {
		names := strings.Fields(ordered)
		shuffled := slices.Clone(names)
		slices.Reverse(shuffled)
		slices.SortFunc(shuffled, compareTags)
		if !slices.Equal(shuffled, names) {
			t.Errorf("got %v, want %v", shuffled, names)
		}
	}
	if compareTags("x", "x") != 0 {
		t.Error("the same is not the same")
	}
}

// dated are contents whose tags, one a day and the last today, name a manifest each.
func dated(now time.Time, tags ...string) Contents {
	c := Contents{Tags: map[string]digest.Digest{}, Manifests: map[digest.Digest]Held{}}
	for i, tag := range tags {
		c.Tags[tag] = digest.FromString(tag)
		c.Manifests[digest.FromString(tag)] = Held{Time: now.AddDate(0, 0, i+1-len(tags))}
	}
	return c
}

func TestSelection(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	c := dated(now, "v9", "v8", "v10", "latest", "x", "lock", "old") // old is from today
	unknown := digest.FromString("x")
	c.Manifests[unknown] = Held{}
	c.Manifests[digest.FromString("lock")] = Held{Time: now.AddDate(-1, 0, 0), Locked: true}
	c.Tags[manifest.ReferrersTag(unknown)+".sig"] = digest.FromString("old")
	before := now.AddDate(0, 0, -4)
	for name, tt := range map[string]struct {
		selection     Selection
		tags          string
		matched, told int
	}{
		"a glob":             {Selection{Filters: fakes.Patterns(t, "v*")}, "v10 v8 v9", 3, 0},
		"two":                {Selection{Filters: fakes.Patterns(t, "v9", "old")}, "old v9", 2, 0},
		"less one":           {Selection{Filters: fakes.Patterns(t, "v*"), Excludes: fakes.Patterns(t, "v9")}, "v10 v8", 2, 0},
		"all but one":        {Selection{Excludes: fakes.Patterns(t, "latest")}, "old v10 v8 v9 x " + manifest.ReferrersTag(unknown) + ".sig", 6, 1},
		"all":                {Selection{All: true}, "latest old v10 v8 v9 x " + manifest.ReferrersTag(unknown) + ".sig", 7, 1},
		"none":               {Selection{Filters: fakes.Patterns(t, "w*")}, "", 0, 0},
		"older":              {Selection{Filters: fakes.Patterns(t, "v*"), Before: before}, "v8 v9", 3, 0},
		"older, age unknown": {Selection{Filters: fakes.Patterns(t, "v*", "x"), Before: before}, "v8 v9", 4, 1},
		"locked":             {Selection{Filters: fakes.Patterns(t, "lock", "v8")}, "v8", 2, 1},
		"keep by time":       {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 1}, "v8 v9", 3, 0},
		"keep by name":       {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 1, ByName: true}, "v8 v9", 3, 0},
		"keep two by time":   {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 2}, "v9", 3, 0},
		"keep two by name":   {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 2, ByName: true}, "v8", 3, 0},
		"keep unknown":       {Selection{Filters: fakes.Patterns(t, "x", "v*"), Keep: 1}, "v8 v9", 4, 1},
		"keep more":          {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 5}, "", 3, 0},
		"keep and older":     {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 2, Before: now}, "v9", 3, 0},
		"untagged alone":     {Selection{Untagged: true}, manifest.ReferrersTag(unknown) + ".sig", 0, 0},
		"untagged less one":  {Selection{Untagged: true, Excludes: fakes.Patterns(t, "v9")}, manifest.ReferrersTag(unknown) + ".sig", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			matched, total, err := tt.selection.matched(c)
			if err != nil || len(matched) != tt.matched || total != 7 {
				t.Fatalf("%v of %d, %v", matched, total, err)
			}
			removal, told := tt.selection.removal(c, matched)
			if got := strings.Join(slices.Sorted(maps.Keys(removal.Tags)), " "); got != strings.Join(slices.Sorted(slices.Values(strings.Fields(tt.tags))), " ") {
				t.Errorf("got %s", got)
			}
			if len(told) != tt.told {
				t.Errorf("%d remarks", len(told))
			}
		})
	}
	for _, s := range []Selection{{}, {Filters: fakes.Patterns(t, "*")}, {Filters: fakes.Patterns(t, "regex:.*")}, {Excludes: fakes.Patterns(t, "w")}} {
		if _, _, err := s.matched(c); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "7 of 7 tags match") || !strings.Contains(err.Error(), "--all") {
			t.Errorf("%v: %v", s, err)
		}
	}
	referrers := drawn(true, "a", "s", "{a}.sig = s")
	if _, _, err := (Selection{All: true}).matched(referrers); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "--untagged") {
		t.Errorf("only digest tags: got %v, want an ErrInvalidArgument error that names --untagged", err)
	}
	if _, total, err := (Selection{}).matched(dated(now)); err != nil || total != 0 {
		t.Errorf("no tags: %v", err)
	}
}

// Of untagged manifests only those go that are known to be old enough; younger ones stay with all they list,
// for they may be part of a push.
func TestSelectionOfUntagged(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	c := drawn(true, "t = i", "i: a", "a", "o", "y", "n")
	for name, days := range map[string]int{"i": 9, "a": 9, "o": 9, "y": 1} {
		d := digest.FromString(name)
		held := c.Manifests[d]
		held.Time = now.AddDate(0, 0, -days)
		c.Manifests[d] = held
	}
	for name, tt := range map[string]struct {
		selection Selection
		want      string
		told      int
	}{
		"all":            {Selection{Untagged: true}, "delete n, delete o, delete y", 0},
		"older":          {Selection{Untagged: true, Before: now.AddDate(0, 0, -5)}, "delete o", 1},
		"with the index": {Selection{All: true, Before: now.AddDate(0, 0, -5)}, "delete i t, delete a", 0},
		"everything":     {Selection{All: true, Untagged: true}, "delete n, delete o, delete y, delete i t, delete a", 0},
	} {
		t.Run(name, func(t *testing.T) {
			matched, _, err := tt.selection.matched(c)
			if err != nil {
				t.Fatal(err)
			}
			removal, told := tt.selection.removal(c, matched)
			got := strings.Split(c.story(c.Plan(removal)), ", ")
			want := strings.Split(tt.want, ", ")
			if fmt.Sprint(slices.Sorted(slices.Values(got))) != fmt.Sprint(slices.Sorted(slices.Values(want))) || len(told) != tt.told {
				t.Errorf("got %v, %d remarks", got, len(told))
			}
		})
	}
}
