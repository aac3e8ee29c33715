package display

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// shownLines returns the lines of pieces that are written to a stream.
func shownLines(longest int, values []string, pieces ...string) []string {
	var out []string
	l := &lines{secrets: newSecrets(values), max: longest, emit: func(line string) { out = append(out, line) }}
	for _, p := range pieces {
		l.write([]byte(p))
	}
	l.flush()
	return out
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ pieces, want []string }{
		{[]string{"one\ntwo\n"}, []string{"one", "two"}},
		{[]string{"o", "ne\ntw", "o"}, []string{"one", "two"}},
		{[]string{"\n\n"}, []string{"", ""}},
		{[]string{"windows\r\n", "line\r", "\n"}, []string{"windows", "line"}},
		{[]string{"10%\r50%\r100%\ndone"}, []string{"100%", "done"}},
		{[]string{"10%", "\r", "50%", "\r", "100%", "\r", "\n"}, []string{"100%"}},
		{[]string{"10%\r"}, []string{"10%"}},
		{nil, nil},
	} {
		if got := shownLines(100, nil, c.pieces...); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.pieces, got, c.want)
		}
	}
}

func TestLongLinesAreBroken(t *testing.T) {
	for _, c := range []struct {
		text string
		want []int
	}{
		{strings.Repeat("x", 100), []int{100}},
		{strings.Repeat("x", 101), []int{100, 1}},
		{strings.Repeat("x", 300), []int{100, 100, 100}},
		{"x" + strings.Repeat("é", 50), []int{99, 2}},
		{strings.Repeat("\x80", 101), []int{97, 4}},
	} {
		var got []int
		for _, line := range shownLines(100, nil, c.text+"\n") {
			got = append(got, len(line))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%.5q...: %v, not %v", c.text, got, c.want)
		}
	}
}

func TestSecretsAreHidden(t *testing.T) {
	for _, c := range []struct {
		values []string
		text   string
		want   string
	}{
		{[]string{"hunter2"}, "it is hunter2, hunter2hunter2", "it is ****, ********"},
		{[]string{"abc"}, "abc is too short", "abc is too short"},
		{[]string{"äöü"}, "äöü has three characters", "äöü has three characters"},
		{[]string{"-----\nabcdefgh\nxyz\n"}, "abcdefgh, xyz, -----", "****, xyz, ****"},
		{[]string{"  indented\r\n"}, "indented", "****"},
		{[]string{"pass", "password"}, "password, pass", "****, ****"},
		{[]string{"abcd", "cdef"}, "abcdef", "****"},
		{[]string{"aaaa"}, "aaaaaa", "****"},
		{[]string{"aXaXa"}, "aXaXaXa", "****"},
		{nil, "hunter2", "hunter2"},
	} {
		if got := newSecrets(c.values).hide(c.text); got != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.values, c.text, got, c.want)
		}
		for i := range c.text {
			if got := shownLines(100, c.values, c.text[:i], c.text[i:]); !slices.Equal(got, []string{c.want}) {
				t.Errorf("%q in %q and %q: got %q, want %q", c.values, c.text[:i], c.text[i:], got, c.want)
			}
		}
	}
}

// A secret is also hidden where a line is broken, at any position.
func TestSecretsAtABreak(t *testing.T) {
	const secret = "0123456789"
	for before := 85; before <= 101; before++ {
		got := shownLines(100, []string{secret}, strings.Repeat("x", before)+secret+"yy")
		all := strings.ReplaceAll(strings.Join(got, ""), task.Hidden, "")
		if all != strings.Repeat("x", before)+"yy" {
			t.Errorf("secret after %d bytes: got %q at the break, want it hidden", before, all[before-1:])
		}
	}
	// A text that consists of overlapping secrets.
	for _, line := range shownLines(100, []string{"aaaa"}, strings.Repeat("a", 302)) {
		if line != task.Hidden {
			t.Errorf("got line %.20q, want %s", line, task.Hidden)
		}
	}
}

// Output in pieces of any size has the same lines, without secrets.
func FuzzLines(f *testing.F) {
	f.Add("one\ntwo secret\rthree\r\n", "secret", 3, 100)
	f.Add("abcdabcdab\rcd", "abcd\ncdab", 1, 9)
	f.Add("xxxsecret\x80\x80\x80\x80\x80", "secret", 5, 6)
	f.Fuzz(func(t *testing.T, text, value string, size, longest int) {
		if size < 1 || longest < utf8.UTFMax || strings.Contains(value, "*") {
			return
		}
		var pieces []string
		for piece := range slices.Chunk([]byte(text), size) {
			pieces = append(pieces, string(piece))
		}
		got, whole := shownLines(longest, []string{value}, pieces...), shownLines(longest, []string{value}, text)
		if !slices.Equal(got, whole) {
			t.Errorf("in pieces of %d bytes: got %q, want %q", size, got, whole)
		}
		for _, line := range got {
			if len(line) > longest && !strings.Contains(line, task.Hidden) {
				t.Errorf("got a line of %d bytes, want at most %d", len(line), longest)
			}
			for _, secret := range newSecrets([]string{value}).texts {
				if strings.Contains(line, string(secret)) {
					t.Errorf("got secret %q in line %q, want it hidden", secret, line)
				}
			}
		}
	})
}
