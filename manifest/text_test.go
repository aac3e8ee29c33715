package manifest

import (
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	for s, want := range map[string]string{
		"":                          "",
		`a "b" \ é 日本`:              `a "b" \ é 日本`,
		"a\tb\nc":                   `a\tb` + "\n" + `c`,
		"red \x1b[31m\x07":          `red \x1b[31m\a`,
		"right \u202e left\u00a0":   `right \u202e left\u00a0`,
		"one byte \x9b31m":          `one byte \x9b31m`,
		"cut off \xe6\x97":          `cut off \xe6\x97`,
		"was not valid \ufffd once": "was not valid \ufffd once",
	} {
		if got := Escape(s, "\n"); got != want {
			t.Errorf("%q: got %q", s, got)
		}
	}
}

func TestOneLine(t *testing.T) {
	for s, want := range map[string]string{
		" a\r\n b\t":   "a b",
		"12345678":     "12345678",
		"123456789":    "12345678...",
		"1234567é":     "1234567...",
		"\x9b \x9b":    `\x9b \x9...`,
		"\u202e\u202e": `\u202e\u...`,
	} {
		if got := OneLine(s, 8); got != want {
			t.Errorf("%q: got %q", s, got)
		}
	}
}

func TestRedactURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://user:secret@h.io:8443/a/b?sig=secret#secret": "https://h.io:8443/a/b",
		"https://secret@h.io/r.git":                           "https://h.io/r.git",
		"ssh://git@h.io:22/r.git":                             "ssh://h.io:22/r.git",
		"unix:///var/run/docker.sock":                         "unix:///var/run/docker.sock",
		"npipe:////./pipe/docker_engine":                      "npipe:////./pipe/docker_engine",
		"mailto:secret@h.io":                                  "mailto:",
		"https://user:secret@h.io/%zz":                        "(invalid URL)",
		"https://h.io/a\x1b[31m":                              "(invalid URL)",
		"https://h.io/" + strings.Repeat("a", 200):            "https://h.io/" + strings.Repeat("a", 187) + "...",
	} {
		if got := RedactURL(address); got != want {
			t.Errorf("RedactURL(%q): got %q, want %q", address, got, want)
		}
	}
}
