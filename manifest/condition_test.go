package manifest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestParseCondition(t *testing.T) {
	one := digest.FromString("one")
	for typed, want := range map[string]manifest.Condition{
		"absent": {Absent: true}, one.String(): {Digest: one},
	} {
		if got, err := manifest.ParseCondition(typed, false); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", typed, got, err, want)
		}
	}
	for _, typed := range []string{"latest", ""} { // "" is the output of a command that failed
		if _, err := manifest.ParseCondition(typed, false); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), strconv.Quote(typed)) {
			t.Errorf("got %v, want an error that quotes the value", err)
		}
	}
}
