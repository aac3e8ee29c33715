package manifest

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape returns s with invalid UTF-8 and all characters escaped, as in Go, that are not printable, except those in keep:
// text from outside must not control a terminal.
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

// OneLine returns text from outside for an error: on one line, escaped, and cut to limit bytes and an ellipsis.
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

// maxSlips bounds the distance between a typo and the suggestion.
const maxSlips = 3

// DidYouMean returns a suggestion to append to a message, "" if no known name is near.
func DidYouMean(given string, known []string) string {
	if near := Nearest(given, known); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// Nearest returns the element of known that given is probably a typo of, or the beginning or end of; "" for none.
func Nearest(given string, known []string) string {
	lower := strings.ToLower(given)
	part := ""
	for _, k := range known {
		l := strings.ToLower(k)
		isPart := l == lower || len(lower) > 3 && (strings.HasSuffix(l, lower) || strings.HasPrefix(l, lower))
		if isPart && (part == "" || len(k) < len(part)) {
			part = k
		}
	}
	if part != "" {
		return part
	}
	nearest, best := "", 1+min(maxSlips, len(given)/2)
	for _, k := range known {
		if len(given)-len(k) >= best {
			continue // untrusted texts may be long
		}
		if d := distance(given, k); d < best {
			nearest, best = k, d
		}
	}
	return nearest
}

// distance is the number of letters to replace, insert, remove or swap with the next one (optimal string alignment).
func distance(a, b string) int {
	var before []int // the row before the last one
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			d := last[j]
			if a[i] != b[j] {
				d++
			}
			d = min(d, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			row[j+1] = d
		}
		before, last = last, row
	}
	return last[len(b)]
}
