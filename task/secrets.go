package task

import (
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Hidden stands where a secret was.
const Hidden = "****"

// shortest is how many characters of a secret are hidden: fewer would be found in every text.
const shortest = 4

// SecretLines returns what has to be hidden of secret values: their lines, without white space around them, but
// for those of fewer than 4 characters. The longest come first: one may begin with another.
func SecretLines(values iter.Seq[string]) []string {
	var all []string
	for value := range values {
		for _, l := range strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if l = strings.TrimSpace(l); utf8.RuneCountInString(l) >= shortest {
				all = append(all, l)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// secrets are SecretLines.
type secrets []string

// hide returns the text of a finding without secrets, also where it was cut within one and ends in an ellipsis.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, Hidden)
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
				return rest + Hidden
			}
		}
	}
	return text
}
