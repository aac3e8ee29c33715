package task

import (
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Hidden replaces secrets.
const Hidden = "****"

// shortest is the minimum length of a hidden text: shorter ones would occur in every text.
const shortest = 4

// Secrets are the lines of secret values, without surrounding white space. Lines of fewer than 4 characters are
// omitted. The longest come first, since one may begin with another.
type Secrets []string

// NewSecrets returns the lines of secret values.
func NewSecrets(values iter.Seq[string]) Secrets {
	var all Secrets
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

// Hide returns the text of a finding without secrets, also without the start of one before an ellipsis.
func (s Secrets) Hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, Hidden)
	}
	parts := strings.Split(text, "...")
	for i := range parts[:len(parts)-1] {
		parts[i] = s.hideEnd(parts[i])
	}
	return strings.Join(parts, "...")
}

// hideEnd returns a text without the start of a secret at its end.
func (s Secrets) hideEnd(text string) string {
	for _, secret := range s {
		for n := min(len(secret), len(text), maxShown); n >= shortest; n-- {
			if rest, ok := strings.CutSuffix(text, secret[:n]); ok {
				return rest + Hidden
			}
		}
	}
	return text
}
