package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	docLink   = regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Each file and each heading that a page links to exists.
func TestLinks(t *testing.T) {
	checked := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/reference/*.md", ".github/*.md", ".github/*/*.md"} {
		pages, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			for _, m := range docLink.FindAllStringSubmatch(prose(t, page), -1) {
				if strings.Contains(m[1], ":") {
					continue
				}
				checked++
				target := page
				if m[1] != "" {
					target = filepath.Join(filepath.Dir(page), m[1])
				}
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s: got a link to %s, which does not exist", page, m[1])
				} else if m[2] != "" && !headings(t, target)[m[2]] {
					t.Errorf("%s: got a link to #%s, want a heading of %s: %v", page, m[2], target, headings(t, target))
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("got %d links, want at least 50", checked)
	}
}

// prose returns a page without its blocks of code.
func prose(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return codeBlock.ReplaceAllString(string(text), "")
}

// headings returns the anchors of a page, as GitHub makes them.
func headings(t *testing.T, page string) map[string]bool {
	t.Helper()
	anchors := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(prose(t, page), -1) {
		anchors[strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return anchors
}
