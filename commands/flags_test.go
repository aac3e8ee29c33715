package commands

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestNumber(t *testing.T) {
	var n int
	flag := parsed[int]{to: &n, parse: parseNumber}
	for _, s := range []string{"0", "-1", "", "x", "1.5"} {
		if err := flag.Set(s); !errdefs.IsInvalidArgument(err) || n != 0 || flag.String() != "" {
			t.Errorf("%q: got %q and error %v, want %v", s, flag.String(), err, errdefs.ErrInvalidArgument)
		}
	}
	if err := flag.Set("3"); err != nil || n != 3 || flag.String() != "3" {
		t.Errorf("got %q and error %v, want 3", flag.String(), err)
	}
}

func TestParseOlderThan(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"12h": now.Add(-12 * time.Hour), "30d": now.AddDate(0, 0, -30), "2w": now.AddDate(0, 0, -14), "1h": now.Add(-time.Hour),
		"30m": now.Add(-30 * time.Minute), "30s": now.Add(-30 * time.Second), "1d12h": now.Add(-36 * time.Hour), "1w1d1h1m": now.Add(-(8*24+1)*time.Hour - time.Minute),
		"2026-05-01T00:00:00Z": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), "2026-05-17T13:59:59+02:00": now.Add(-time.Second),
	} {
		if got, err := parseOlderThan(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %s and error %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "0", "0d", "00h", "-1d", "+1d", "d", "30", "d7", "7D", "1.5d", "12h1d", "1d1w", "1d-1h", "1d1", "0d0h", "1us", "1d1d", "15250w1700h", "106751d999h", "5days", "one day", "1 d", " 1d", "1d ", "dd", "1dd",
		"99999999w", "9999999999d", "18446744073709551617d", "0x1d", "1e3d", "2026-05-01", "0001-01-01T00:00:00Z", "1979-12-31T23:59:59Z", "2026-05-17T12:00:00Z", "2027-01-01T00:00:00Z", "yesterday", "１d",
	} {
		if got, err := parseOlderThan(s, now); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: got %s and error %v, want %v", s, got, err, errdefs.ErrInvalidArgument)
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
			t.Fatalf("%q: got %s, want a time before %s", s, got, now)
		}
	})
}

// -t takes tags and names with a registry; a name without one only in the list's own repository, which then is on Docker Hub.
func TestPublishedTags(t *testing.T) {
	for _, tt := range []struct {
		list, typed, want string // want is the name, or the hint of an error
	}{
		{"h.example.com/team/app:1", "2", "h.example.com/team/app:2"},
		{"h.example.com/team/app:1", "h.example.com/team/app:2", "h.example.com/team/app:2"},
		{"h.example.com/team/app:1", "localhost/app:2", "copy localhost/app:2"},
		{"h.example.com/team/app:1", "docker.io/team/app:2", "copy docker.io/team/app:2"},
		{"h.example.com/team/app:1", "team/app:2", "use a tag of h.example.com/team/app, such as 2, or the whole name: h.example.com/team/app:2"},
		{"h.example.com/team/app:1", "app:2", "use a tag of h.example.com/team/app, such as 2, or the whole name: h.example.com/app:2"},
		{"h.example.com/team/app:1", "team/app", "use a tag of h.example.com/team/app, such as latest, or the whole name: h.example.com/team/app:latest"},
		{"h.example.com/team/app:1", "1+2", "use a tag of h.example.com/team/app, such as latest, or a whole name, such as h.example.com/team/app:latest"},
		{"h.example.com/team/app:1", "", "use a tag of h.example.com/team/app, such as latest, or a whole name, such as h.example.com/team/app:latest"},
		{"h.example.com/team/app:1", "team/App:2", "use a tag of h.example.com/team/app, such as latest, or a whole name, such as h.example.com/team/app:latest"},
		{"team/app:1", "team/app:2", "docker.io/team/app:2"},
		{"docker.io/team/app:1", "team/app:2", "docker.io/team/app:2"},
		{"app:1", "app:2", "docker.io/library/app:2"},
		{"team/app:1", "team/other:2", "use a tag of docker.io/team/app, such as 2, or the whole name: docker.io/team/other:2"},
		{"team/app:1", "index.docker.io/team/other:2", "copy docker.io/team/other:2"},
	} {
		list, err := manifest.ParseListName(tt.list)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		tags, copies, err := parsePublished(list, []string{tt.typed, tt.typed})
		switch {
		case err != nil:
			got = manifest.Hint(err)
			if !strings.Contains(err.Error(), fmt.Sprintf("--tag %q is neither a tag nor a name with a registry", tt.typed)) {
				t.Errorf("%s, -t %s: got error %v", tt.list, tt.typed, err)
			}
		case len(tags)+len(copies) != 1:
			t.Errorf("%s, -t %s: got %v and %v, want one name", tt.list, tt.typed, tags, copies)
		case len(tags) == 1:
			got = tags[0].String()
		default:
			got = "copy " + copies[0].String()
		}
		if got != tt.want {
			t.Errorf("%s, -t %s: got %s, want %s", tt.list, tt.typed, got, tt.want)
		}
	}
}
