//go:build unix

package display

import (
	"fmt"
	"strings"
	"testing"
)

// On a terminal lines are folded at blanks; a command can be pasted, and is folded as a shell allows. A pipe gets them whole.
func TestProse(t *testing.T) {
	ref := "registry.example.com/app@sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"forty columns do fit in a terminal of 40.\n", "forty columns do fit in a terminal of\n  40.\n"},
		{"exactly forty columns fit in 40 columns.\nhint:  a\n", "exactly forty columns fit in 40 columns.\nhint:  a\n"},
		{"Published " + ref + " (2 platforms)\n", "Published " + ref + "\n  (2 platforms)\n"},
		{"two  blanks at which the line is folded,  here\n", "two  blanks at which the line is folded, \n  here\n"},
		{strings.Repeat("漢 ", 14) + "漢\n", strings.Repeat("漢 ", 12) + "漢\n  漢 漢\n"},
		{"without a newline, as the text of an event is", "without a newline, as the text of an\n  event is"},
		{"hint: to remove them: docker multiarch rm a\n", "hint: to remove them:\n  docker multiarch rm a\n"},
		{"to remove them: docker multiarch repo untag app:1-amd64 app:1-arm64 app:2\n",
			"to remove them:\n  docker multiarch repo untag \\\n  app:1-amd64 app:1-arm64 app:2\n"},
		{"to remove them: docker multiarch repo untag " + ref + " " + ref + " a\n",
			"to remove them:\n  docker multiarch repo untag \\\n  " + ref + " \\\n  " + ref + " \\\n  a\n"},
		{"to go on: docker multiarch task run --set='two words' --from-step=two .\n",
			"to go on:\n  docker multiarch task run --set='two words' --from-step=two .\n"},
		{"reading app:1: docker context arm: it does not exist\n", "reading app:1: docker context arm: it\n  does not exist\n"},
	} {
		out, pipe := &tty{width: 40}, &tty{}
		for _, to := range []*tty{out, pipe} {
			if n, err := fmt.Fprint(Prose{to}, c.text); err != nil || n != len(c.text) {
				t.Errorf("%q: got %d and error %v, want %d", c.text, n, err, len(c.text))
			}
		}
		if out.String() != c.want || pipe.String() != c.text {
			t.Errorf("%q: got\n%s\nwant\n%s\nand in a pipe\n%s", c.text, out, c.want, pipe)
		}
	}
}
