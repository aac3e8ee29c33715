package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmeSection is the list of README.md that has to be that of differences.txt.
var readmeSection = regexp.MustCompile(`(?ms)^#+ Differences from docker manifest\n(.*?)(^#|\z)`)

// readmeItem is an item of a list; its further lines are indented.
var readmeItem = regexp.MustCompile(`(?m)^- (.*(?:\n  .*)*)`)

// README.md lists the differences that scripts prove, in the words of
// differences.txt, and no others.
func TestDropInReadme(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	section := readmeSection.FindSubmatch(data)
	if section == nil {
		t.Fatal("README.md has no section on the differences")
	}
	var listed, proven []string
	for _, m := range readmeItem.FindAllStringSubmatch(string(section[1]), -1) {
		listed = append(listed, strings.Join(strings.Fields(m[1]), " "))
	}
	for _, d := range dropinDifferences(t) {
		proven = append(proven, d.reason)
	}
	for _, reason := range proven {
		if !slices.Contains(listed, reason) {
			t.Errorf("README.md does not list: %s", reason)
		}
	}
	for _, item := range listed {
		if !slices.Contains(proven, item) {
			t.Errorf("no script proves what README.md lists: %s", item)
		}
	}
}
