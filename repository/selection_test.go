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
		t.Errorf("got %d for the same tag, want 0", compareTags("x", "x"))
	}
}

// dated is a snapshot whose tags point to a manifest each, one a day and the last of today.
func dated(now time.Time, tags ...string) *Snapshot {
	snapshot := drawn(false)
	for i, tag := range tags {
		snapshot.Tags[tag] = digest.FromString(tag)
		snapshot.Manifests[digest.FromString(tag)] = Manifest{Created: now.AddDate(0, 0, i+1-len(tags))}
	}
	return snapshot
}

func TestSelection(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	snapshot := dated(now, "v9", "v8", "v10", "latest", "x", "lock", "old") // old is from today
	unknown := digest.FromString("x")
	snapshot.Manifests[unknown] = Manifest{}
	snapshot.Manifests[digest.FromString("lock")] = Manifest{Created: now.AddDate(-1, 0, 0), Locked: true}
	snapshot.Tags[manifest.ReferrersTag(unknown)+".sig"] = digest.FromString("old")
	before := now.AddDate(0, 0, -4)
	for name, tt := range map[string]struct {
		selection            Selection
		tags                 string
		matched, diagnostics int
	}{
		"a glob":               {Selection{Filters: fakes.Patterns(t, "v*")}, "v10 v8 v9", 3, 0},
		"two":                  {Selection{Filters: fakes.Patterns(t, "v9", "old")}, "old v9", 2, 0},
		"without one":          {Selection{Filters: fakes.Patterns(t, "v*"), Excludes: fakes.Patterns(t, "v9")}, "v10 v8", 2, 0},
		"all but one":          {Selection{Excludes: fakes.Patterns(t, "latest")}, "old v10 v8 v9 x " + manifest.ReferrersTag(unknown) + ".sig", 6, 1},
		"all":                  {Selection{All: true}, "latest old v10 v8 v9 x " + manifest.ReferrersTag(unknown) + ".sig", 7, 1},
		"none":                 {Selection{Filters: fakes.Patterns(t, "w*")}, "", 0, 0},
		"older":                {Selection{Filters: fakes.Patterns(t, "v*"), Before: before}, "v8 v9", 3, 0},
		"older, age unknown":   {Selection{Filters: fakes.Patterns(t, "v*", "x"), Before: before}, "v8 v9", 4, 1},
		"locked":               {Selection{Filters: fakes.Patterns(t, "lock", "v8")}, "v8", 2, 1},
		"keep by time":         {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 1}, "v8 v9", 3, 0},
		"keep by name":         {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 1, ByName: true}, "v8 v9", 3, 0},
		"keep two by time":     {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 2}, "v9", 3, 0},
		"keep two by name":     {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 2, ByName: true}, "v8", 3, 0},
		"keep unknown":         {Selection{Filters: fakes.Patterns(t, "x", "v*"), Keep: 1}, "v8 v9", 4, 1},
		"keep more":            {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 5}, "", 3, 0},
		"keep and older":       {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 2, Before: now}, "v9", 3, 0},
		"keep old":             {Selection{Filters: fakes.Patterns(t, "v*"), KeepOld: 1, Before: before}, "v9", 3, 0},
		"keep and keep old":    {Selection{Filters: fakes.Patterns(t, "v*"), Keep: 1, KeepOld: 1, Before: now}, "v9", 3, 0},
		"keep old by name":     {Selection{Filters: fakes.Patterns(t, "v*"), KeepOld: 2, ByName: true}, "v8", 3, 0},
		"only untagged":        {Selection{Untagged: true}, manifest.ReferrersTag(unknown) + ".sig", 0, 0},
		"untagged without one": {Selection{Untagged: true, Excludes: fakes.Patterns(t, "v9")}, manifest.ReferrersTag(unknown) + ".sig", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			matched, total, err := tt.selection.matched(snapshot)
			if err != nil || len(matched) != tt.matched || total != 7 {
				t.Fatalf("got %v of %d tags and error %v, want %d of 7", matched, total, err, tt.matched)
			}
			request, diagnostics := tt.selection.request(snapshot, matched)
			want := slices.Sorted(slices.Values(strings.Fields(tt.tags)))
			if got := slices.Sorted(maps.Keys(request.tags)); !slices.Equal(got, want) {
				t.Errorf("got tags %q to remove, want %q", got, want)
			}
			diagnostics = slices.DeleteFunc(diagnostics, func(d manifest.Diagnostic) bool { return !d.Warning })
			if len(diagnostics) != tt.diagnostics {
				t.Errorf("got warnings %v, want %d", diagnostics, tt.diagnostics)
			}
		})
	}
	for _, s := range []Selection{{}, {Filters: fakes.Patterns(t, "*")}, {Filters: fakes.Patterns(t, "regex:.*")}, {Excludes: fakes.Patterns(t, "w")}} {
		if _, _, err := s.matched(snapshot); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "all 7 tags match") || !strings.Contains(err.Error(), "--all") {
			t.Errorf("%v: got error %v, want an ErrInvalidArgument error that names --all", s, err)
		}
	}
	for _, s := range []Selection{{Filters: fakes.Patterns(t, "*"), Keep: 1}, {Filters: fakes.Patterns(t, "*"), KeepOld: 1}} {
		if matched, _, err := s.matched(snapshot); err != nil || len(matched) != 7 {
			t.Errorf("%v: got tags %q and error %v, want all, of which some are kept", s, matched, err)
		}
	}
	for _, tt := range []struct {
		selection Selection
		want      string
	}{
		{Selection{Filters: fakes.Patterns(t, "v*"), Keep: 2}, "[keeping 2 of the matching tags for --keep]"},
		{Selection{Filters: fakes.Patterns(t, "v*"), Keep: 5}, "[keeping 3 of the matching tags for --keep]"},
		{Selection{Filters: fakes.Patterns(t, "v*"), Before: before, KeepOld: 1}, "[keeping 1 of the matching tags for --keep-old keeping 1 of the matching tags that are too young for --older-than]"},
		{Selection{Filters: fakes.Patterns(t, "v*")}, "[]"},
	} {
		matched, _, err := tt.selection.matched(snapshot)
		_, diagnostics := tt.selection.request(snapshot, matched)
		var notes []string
		for _, d := range diagnostics {
			notes = append(notes, d.Text)
		}
		if got := fmt.Sprint(notes); err != nil || got != tt.want {
			t.Errorf("%v: got %s and error %v, want %s", tt.selection, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		filter  string
		matched []string
		want    bool
	}{{"pr", nil, true}, {"pr-*", []string{"pr-1"}, false}} {
		if got := (Selection{Filters: fakes.Patterns(t, tt.filter)}).unmatched(tt.matched, 7); strings.Contains(got, "whole tags") != tt.want {
			t.Errorf("%s matches %q: got %q, want an explanation: %t", tt.filter, tt.matched, got, tt.want)
		}
	}
	referrers := drawn(true, "a", "s", "{a}.sig = s")
	if _, _, err := (Selection{All: true}).matched(referrers); !errdefs.IsInvalidArgument(err) || manifest.Hint(err) != "--untagged" {
		t.Errorf("only digest tags: got %v, want an ErrInvalidArgument error that names --untagged", err)
	}
	if _, total, err := (Selection{}).matched(dated(now)); err != nil || total != 0 {
		t.Errorf("no tags: got %d tags and error %v, want none", total, err)
	}
}

// Only untagged manifests that are known to be old enough are removed. Younger ones are kept with all they list: they may
// be part of a push.
func TestSelectionOfUntagged(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	snapshot := drawn(true, "t = i", "i: a", "a", "o", "y", "n")
	for name, days := range map[string]int{"i": 9, "a": 9, "o": 9, "y": 1} {
		d := digest.FromString(name)
		m := snapshot.Manifests[d]
		m.Created = now.AddDate(0, 0, -days)
		snapshot.Manifests[d] = m
	}
	for name, tt := range map[string]struct {
		selection   Selection
		want        string
		diagnostics int
	}{
		"all":            {Selection{Untagged: true}, "delete n, delete o, delete y", 0},
		"older":          {Selection{Untagged: true, Before: now.AddDate(0, 0, -5)}, "delete o", 1},
		"with the index": {Selection{All: true, Before: now.AddDate(0, 0, -5)}, "delete i t, delete a", 0},
		"all but one":    {Selection{Untagged: true, KeepOld: 1}, "delete o", 1},
		"older but one":  {Selection{Untagged: true, KeepOld: 1, Before: now.AddDate(0, 0, -5)}, "", 1},
		"everything":     {Selection{All: true, Untagged: true}, "delete n, delete o, delete y, delete i t, delete a", 0},
	} {
		t.Run(name, func(t *testing.T) {
			matched, _, err := tt.selection.matched(snapshot)
			if err != nil {
				t.Fatal(err)
			}
			request, diagnostics := tt.selection.request(snapshot, matched)
			steps, _ := snapshot.plan(request)
			got := slices.Sorted(strings.SplitSeq(text(steps), ", "))
			want := slices.Sorted(strings.SplitSeq(tt.want, ", "))
			if !slices.Equal(got, want) || len(diagnostics) != tt.diagnostics {
				t.Errorf("got steps %q and warnings %v, want %q and %d", got, diagnostics, want, tt.diagnostics)
			}
		})
	}
}
