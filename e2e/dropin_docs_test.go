package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// listItem is an item of a list in Markdown; its further lines are indented.
var listItem = regexp.MustCompile(`(?m)^- (.*(?:\n  .*)*)`)

// The page lists the differences that scripts prove, in the words of differences.txt, and no others.
func TestDropInDifferencesAreDocumented(t *testing.T) {
	var listed, proven []string
	for _, m := range listItem.FindAllStringSubmatch(string(readFile(t, "../docs/differences.md")), -1) {
		listed = append(listed, strings.Join(strings.Fields(m[1]), " "))
	}
	for _, d := range dropinDifferences(t) {
		proven = append(proven, d.reason)
	}
	for _, reason := range proven {
		if !slices.Contains(listed, reason) {
			t.Errorf("docs/differences.md does not list: %s", reason)
		}
	}
	for _, item := range listed {
		if !slices.Contains(proven, item) {
			t.Errorf("no script proves what docs/differences.md lists: %s", item)
		}
	}
}
