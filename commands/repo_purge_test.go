package commands

import (
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestRepoPurgeFlags(t *testing.T) {
	base := func(change func(*repoPurgeOptions)) repoPurgeOptions {
		o := repoPurgeOptions{orderBy: "time"}
		o.Filters = []manifest.Pattern{pattern(t, "v*")}
		change(&o)
		return o
	}
	for name, tt := range map[string]struct {
		repo string
		opts repoPurgeOptions
		want string
	}{
		"a tag":         {"app:1", base(func(*repoPurgeOptions) {}), "as in app"},
		"a digest":      {"app@" + digest.FromString("x").String(), base(func(*repoPurgeOptions) {}), "as in app"},
		"no repository": {"App", base(func(*repoPurgeOptions) {}), "is not a repository"},
		"nothing":       {"app", base(func(o *repoPurgeOptions) { o.Filters = nil }), "pass --filter, or --all"},
		"only age":      {"app", base(func(o *repoPurgeOptions) { o.Filters, o.Before = nil, time.Unix(1, 0) }), "pass --filter, or --all"},
		"only exclude":  {"app", base(func(o *repoPurgeOptions) { o.Filters, o.Excludes = nil, []manifest.Pattern{pattern(t, "v1")} }), "pass --filter, or --all"},
		"keep untagged": {"app", base(func(o *repoPurgeOptions) { o.Filters, o.Untagged, o.Keep = nil, true, 1 }), "--keep applies to tags"},
		"no-trunc":      {"app", base(func(o *repoPurgeOptions) { o.force, o.shape.NoTrunc = true, true }), "--format"},
		"dry-run":       {"app", base(func(o *repoPurgeOptions) { o.force, o.dryRun = true, true }), "--dry-run"},
		"quiet":         {"app", base(func(o *repoPurgeOptions) { o.shape.Quiet, o.shape.Format = true, "json" }), "--quiet cannot be combined"},
		"assume tag":    {"app", base(func(o *repoPurgeOptions) { o.removal.AssumeGone = []string{"+1", "app:1"} }), `--assume-gone "app:1" is neither a tag nor a digest`},
		"assume gone":   {"app", base(func(o *repoPurgeOptions) { o.removal.AssumeGone = []string{"v1", "v*"} }), `--assume-gone "v*" is neither a tag nor a digest`},
		"record":        {"app", base(func(o *repoPurgeOptions) { o.record = "file" }), "--record, --max-deletes and --max-time require --force"},
		"max deletes":   {"app", base(func(o *repoPurgeOptions) { o.removal.MaxDeletes = 1 }), "require --force"},
		"registry":      {"app/x", base(func(o *repoPurgeOptions) { o.repositories = pattern(t, "*") }), "is not a registry"},
		"assume in all": {"h.io", base(func(o *repoPurgeOptions) { o.repositories, o.removal.AssumeGone = pattern(t, "*"), []string{"1"} }), "applies to a single repository"},
		"keep both":     {"app", base(func(o *repoPurgeOptions) { o.KeepManifests, o.Untagged = true, true }), "--keep-manifests cannot be combined"},
	} {
		if _, _, err := tt.opts.parse(tt.repo); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want an ErrInvalidArgument error with %q", name, err, tt.want)
		}
	}
	s := base(func(o *repoPurgeOptions) {
		o.Keep, o.orderBy, o.Excludes = 3, "name", []manifest.Pattern{pattern(t, "v1")}
	})
	repo, _, err := s.parse("example.com/app")
	if err != nil || repo.String() != "example.com/app" || s.Keep != 3 || !s.ByName || !s.Filters[0].Match("v2") || !s.Excludes[0].Match("v1") {
		t.Errorf("got %s, %+v and error %v, want example.com/app, v* without v1, the last 3 by name", repo, s, err)
	}
}

func pattern(t *testing.T, typed string) manifest.Pattern {
	t.Helper()
	p, err := manifest.ParsePattern(typed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
