package commands

import (
	"slices"
	"strings"
	"testing"
)

// Common platforms come first; after a comma those follow that are not given yet.
func TestCompletionOfPlatforms(t *testing.T) {
	for typed, want := range map[string]string{"": "linux/amd64 linux/arm64 linux/arm/v7", "linux/amd64,": "linux/amd64,linux/arm64 linux/amd64,linux/arm/v7"} {
		got, _ := platformsAfter(nil, nil, typed)
		if !strings.HasPrefix(strings.Join(got, " ")+" ", want+" ") || slices.Contains(got, typed+"linux/amd64") == (typed != "") {
			t.Errorf("%q: got %q, want %s first and no platform twice", typed, got, want)
		}
	}
}
