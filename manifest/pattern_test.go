package manifest

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern      string
		match, other string // tags that match and that do not
	}{
		{"*", "1.0 latest .hidden", ""},
		{"v1.?", "v1.0 v1.x", "v1. v1.10 xv1.0 V1.0"},
		{"*-rc[0-9]", "1-rc1", "1-rc 1-rc10"},
		{"[!v]*", "latest 1.0 !", "v1 v"},
		{"[^v]*", "latest ^", "v1"},
		{"[v!]1", "v1 !1", "^1 a1"},
		{`[\!v]1`, "v1 !1", "a1"},
		{`\[[!a]`, "[b [!", "[a"},
		{"[a[!]", "[ ! a", "b ^"},
		{"1.0", "1.0", "1x0 1.0.1 11.0"},
		{`\*`, "", "a"},
		{"regex:v1.0", "v1.0 v1x0", "v1.0.1 xv1.0"},
		{"regex:a|b", "a b", "ab ac"},
		{"regex:(?i)pr-[0-9]+", "PR-1 pr-22", "pr- pr-1a"},
	} {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Error(err)
		}
		for _, tag := range strings.Fields(tt.match) {
			if !p.Match(tag) {
				t.Errorf("%s: got no match of %s", tt.pattern, tag)
			}
		}
		for _, tag := range strings.Fields(tt.other) {
			if p.Match(tag) {
				t.Errorf("%s: got a match of %s", tt.pattern, tag)
			}
		}
	}
	for _, s := range []string{"", "[", "a[b", "[!", "[!]", `\`, "regex:", "regex:(", "regex:(?!a)", "regex:*", "regex:pr-1)|(?:old"} {
		if _, err := ParsePattern(s); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"*", "regex:a|b", "[a-z]?", "regex:)(", `regex:\z`} {
		f.Add(s, "latest")
	}
	f.Fuzz(func(t *testing.T, pattern, tag string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Fatal(err)
			}
			return
		}
		p.Match(tag)
	})
}
