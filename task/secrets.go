package task

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// hidden stands in findings where a secret was.
const hidden = "****"

// shortest is how many characters of a secret are hidden: fewer would be found in every text.
const shortest = 4

// secrets are the lines of secret values, the longest first: one may begin with another.
type secrets []string

func secretsOf(values map[string]string) (s secrets) {
	for _, value := range values {
		for l := range strings.Lines(value) {
			if l = strings.TrimSpace(l); utf8.RuneCountInString(l) >= shortest {
				s = append(s, l)
			}
		}
	}
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return s
}

// hide returns the text of a finding without secrets, also where it was cut within one and ends in an ellipsis.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	parts := strings.Split(text, "...")
	for i := range parts[:len(parts)-1] {
		parts[i] = s.hideEnd(parts[i])
	}
	return strings.Join(parts, "...")
}

// hideEnd returns a text without the beginning of a secret that it ends with.
func (s secrets) hideEnd(text string) string {
	for _, secret := range s {
		for n := min(len(secret), len(text), maxShown); n >= shortest; n-- {
			if rest, ok := strings.CutSuffix(text, secret[:n]); ok {
				return rest + hidden
			}
		}
	}
	return text
}
