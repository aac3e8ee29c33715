package commands

import (
	"strings"
	"testing"
)

// A step of a task cannot read files of this machine as images, nor those of other daemons.
func TestStepsOnlyUseRegistries(t *testing.T) {
	step := environment{step: workspaceFiles{}}
	for _, source := range []string{"oci-layout://a", "docker-archive://a.tar", "context://arm/app"} {
		err := runCreate(t.Context(), step, createOptions{list: "h.example.com/app:1", sources: []string{source}, attestations: "keep", progress: "auto"})
		if err == nil || !strings.Contains(err.Error(), "a step of a task can only use images of registries and of the daemon") {
			t.Errorf("%s: got %v, want a refusal", source, err)
		}
	}
}
