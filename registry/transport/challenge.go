package transport

import (
	"net/http"
	"strings"
)

// Challenge is a challenge of a server, by https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1. Scheme and the
// names of its parameters are in lower case.
type Challenge struct {
	Scheme     string
	Parameters map[string]string
}

// ParseChallenges returns the challenges in the WWW-Authenticate headers: several of them may be in one. What is
// no challenge is skipped; of a parameter that is given twice, the first counts.
func ParseChallenges(header http.Header) []Challenge {
	var all []Challenge
	for _, value := range header.Values("WWW-Authenticate") {
		all = append(all, parseChallenges(value)...)
	}
	return all
}

func parseChallenges(s string) []Challenge {
	var all []Challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		var name string
		if name, s = cutToken(s); name == "" {
			return all
		}
		name = strings.ToLower(name)
		after, isParameter := strings.CutPrefix(strings.TrimLeft(s, " \t"), "=")
		if !isParameter {
			all = append(all, Challenge{name, map[string]string{}})
			continue
		}
		value, rest, ok := cutValue(strings.TrimLeft(after, " \t"))
		if !ok {
			return all
		}
		s = rest
		if len(all) == 0 {
			continue
		}
		if parameters := all[len(all)-1].Parameters; parameters[name] == "" {
			parameters[name] = value
		}
	}
}

// cutToken cuts a token off the start of s: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2.
func cutToken(s string) (token, rest string) {
	end := 0
	for end < len(s) && (isAlphanumeric(s[end]) || strings.IndexByte("!#$%&'*+-.^_`|~", s[end]) >= 0) {
		end++
	}
	return s[:end], s[end:]
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// cutValue cuts a value off the start of s, a quoted string or all up to a blank or comma. A quoted string that
// does not end is not one.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return out.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		out.WriteByte(s[i])
	}
	return "", "", false
}
