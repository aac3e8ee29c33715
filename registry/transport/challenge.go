package transport

import (
	"net/http"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
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

// element is a scheme, or the name and value of a parameter. A quoted string that does not end is not one.
var element = lazyregexp.New(`(?s)^[ \t,]*([-!#$%&'*+.^|~\x60\w]+)(?:[ \t]*(=)[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^" \t,][^ \t,]*)?))?`)

// escaped is a character in a quoted string.
var escaped = lazyregexp.New(`(?s)\\(.)`)

func parseChallenges(s string) []Challenge {
	var all []Challenge
	for {
		m := element().FindStringSubmatch(s)
		if m == nil {
			return all
		}
		s = s[len(m[0]):]
		name, value := strings.ToLower(m[1]), escaped().ReplaceAllString(m[3], "$1")+m[4]
		switch {
		case m[2] == "":
			all = append(all, Challenge{name, map[string]string{}})
		case value != "" && len(all) > 0 && all[len(all)-1].Parameters[name] == "":
			all[len(all)-1].Parameters[name] = value
		}
	}
}
