package manifest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/containerd/errdefs"
)

func TestHint(t *testing.T) {
	err := Errorf(errdefs.ErrConflict, "the name is in use")
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"none":    {err, ""},
		"hint":    {WithHint(err, "--id %s", "other"), "--id other"},
		"wrapped": {fmt.Errorf("step: %w", WithHint(err, "a")), "a"},
		"joined":  {errors.Join(err, WithHint(err, "a"), WithHint(err, "b")), "a"},
		"kind":    {Errorf(WithHint(err, "a"), "hidden"), "a"},
		"nil":     {nil, ""},
	} {
		if got := Hint(tt.err); got != tt.want {
			t.Errorf("%s: got hint %q, want %q", name, got, tt.want)
		}
	}
	if got := WithHint(err, "a"); got.Error() != err.Error() || !errdefs.IsConflict(got) {
		t.Errorf("got error %v, want %v of the same kind", got, err)
	}
}
