package manifest

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape returns s with everything escaped, as Go does, that is not valid UTF-8 or neither prints nor is
// among keep: a text from outside must not act on a terminal.
func Escape(s, keep string) string {
	quoted := func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsPrint(r) && !strings.ContainsRune(keep, r)
	}
	if !strings.ContainsFunc(s, quoted) {
		return s
	}
	var out strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if quoted(r) {
			q := strconv.Quote(s[:n])
			out.WriteString(q[1 : len(q)-1])
		} else {
			out.WriteRune(r)
		}
		s = s[n:]
	}
	return out.String()
}

// OneLine returns a stranger's text fit for an error: on one line, escaped, and of at most limit bytes and
// an ellipsis.
func OneLine(s string, limit int) string {
	s = Escape(strings.Join(strings.Fields(s), " "), "")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}

// maxURL bounds a URL in an error.
const maxURL = 200

// RedactURL returns a URL fit for an error or a log: only its scheme, host and path, on one line. Users,
// queries and fragments may hold passwords and tokens.
func RedactURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(invalid URL)"
	}
	return OneLine((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), maxURL)
}
