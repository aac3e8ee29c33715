package commands

import (
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

func TestNumber(t *testing.T) {
	var n number
	for _, s := range []string{"0", "-1", "", "x", "1.5"} {
		if err := n.Set(s); !errdefs.IsInvalidArgument(err) || n.String() != "" {
			t.Errorf("%q: got %q and error %v, want %v", s, n.String(), err, errdefs.ErrInvalidArgument)
		}
	}
	if err := n.Set("3"); err != nil || n != 3 || n.String() != "3" {
		t.Errorf("got %q and error %v, want 3", n.String(), err)
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
