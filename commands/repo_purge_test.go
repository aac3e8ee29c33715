package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/opencontainers/go-digest"
)

func TestParseOlderThan(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"12h": now.Add(-12 * time.Hour), "30d": now.AddDate(0, 0, -30), "2w": now.AddDate(0, 0, -14), "1h": now.Add(-time.Hour),
		"2026-05-01T00:00:00Z": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), "2026-05-17T13:59:59+02:00": now.Add(-time.Second),
	} {
		if got, err := parseOlderThan(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %s, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "0", "0d", "00h", "-1d", "+1d", "d", "30", "d7", "7D", "1.5d", "1d12h", "30m", "30s", "5days", "one day", "1 d", " 1d", "1d ", "dd", "1dd",
		"99999999w", "9999999999d", "18446744073709551617d", "0x1d", "1e3d", "2026-05-01", "2026-05-17T12:00:00Z", "2027-01-01T00:00:00Z", "yesterday", "１d",
	} {
		if got, err := parseOlderThan(s, now); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: got %s, %v", s, got, err)
		}
	}
}

func FuzzOlderThan(f *testing.F) {
	for _, s := range []string{"30d", "2w", "2026-05-01T00:00:00Z", "-1h", ""} {
		f.Add(s)
	}
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseOlderThan(s, now); err == nil && !got.Before(now) {
			t.Fatalf("%q is %s, which is not before %s", s, got, now)
		}
	})
}

func TestRepoPurgeFlags(t *testing.T) {
	base := func(change func(*repoPurgeOptions)) repoPurgeOptions {
		o := repoPurgeOptions{orderBy: "time", filters: []string{"v*"}}
		change(&o)
		return o
	}
	for name, tt := range map[string]struct {
		repo string
		opts repoPurgeOptions
		want string
	}{
		"a tag":         {"app:1", base(func(*repoPurgeOptions) {}), "give app"},
		"a digest":      {"app@" + digest.FromString("x").String(), base(func(*repoPurgeOptions) {}), "give app"},
		"no repository": {"App", base(func(*repoPurgeOptions) {}), "is not a repository"},
		"orderby":       {"app", base(func(o *repoPurgeOptions) { o.orderBy = "size" }), "none of name, time"},
		"glob":          {"app", base(func(o *repoPurgeOptions) { o.filters = []string{"["} }), "--filter"},
		"regex":         {"app", base(func(o *repoPurgeOptions) { o.excludes = []string{"regex:("} }), "--exclude"},
		"empty":         {"app", base(func(o *repoPurgeOptions) { o.filters = []string{""} }), "--filter"},
		"nothing":       {"app", base(func(o *repoPurgeOptions) { o.filters = nil }), "give a --filter, or --all"},
		"age alone":     {"app", base(func(o *repoPurgeOptions) { o.filters, o.olderThan.before = nil, time.Unix(1, 0) }), "give a --filter, or --all"},
		"keep untagged": {"app", base(func(o *repoPurgeOptions) { o.filters, o.untagged, o.keep = nil, true, 1 }), "--keep is about tags"},
		"format":        {"app", base(func(o *repoPurgeOptions) { o.force, o.format = true, "json" }), "--format"},
		"record":        {"app", base(func(o *repoPurgeOptions) { o.record = "file" }), "--record goes with --force"},
	} {
		if _, _, err := tt.opts.parse(tt.repo); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var k keepTags
	for _, s := range []string{"0", "-1", "", "x", "1.5"} {
		if err := k.Set(s); err == nil {
			t.Errorf("--keep %q is accepted", s)
		}
	}
	repo, s, err := base(func(o *repoPurgeOptions) { o.keep, o.orderBy, o.excludes = 3, "name", []string{"v1"} }).parse("example.com/app")
	if err != nil || repo.String() != "example.com/app" || s.Keep != 3 || !s.ByName || !s.Filters[0].Match("v2") || !s.Excludes[0].Match("v1") {
		t.Errorf("got %+v, %v", s, err)
	}
}

// A record grows, and one that does not end like a record is not added to.
func TestRecordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	for range 2 {
		record, err := openRecord(path)
		if err != nil {
			t.Fatal(err)
		}
		raw := []byte("{\n}")
		if err := record.Add(manifest.Recorded{Name: "example.com/app:1", Digest: digest.FromBytes(raw), MediaType: "m", Manifest: raw}); err != nil {
			t.Fatal(err)
		}
		record.Close()
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := manifest.ReadRecorded(file); err != nil || len(got) != 2 || string(got[1].Manifest) != "{\n}" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openRecord(path); !errdefs.IsInvalidArgument(err) {
		t.Errorf("got %v", err)
	}
	if _, err := openRecord(filepath.Join(path, "absent")); err == nil {
		t.Error("a folder that does not exist is told too late")
	}
}
