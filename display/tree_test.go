package display

import (
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

// What others wrote into a list stays on its line, and moves no cursor.
func TestTreeOfHostileList(t *testing.T) {
	odd := "x\n└── linux/arm64\r\x1b[2J"
	var b strings.Builder
	err := Tree(&b, inspect.View{
		Name: "app:1", MediaType: odd, Annotations: map[string]string{odd: odd},
		Manifests: []inspect.ViewEntry{{Platform: odd, OSFeatures: []string{odd}, ArtifactType: odd, Source: odd, Annotations: map[string]string{"a": odd}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(b.String(), "\n"); got != 5 || strings.ContainsAny(b.String(), "\r\x1b") {
		t.Errorf("got %d lines with control characters in\n%q, want 5 without any", got, b.String())
	}
}
