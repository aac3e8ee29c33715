package render

import (
	"strings"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// blockHeader matches a line that ends with the header of a block scalar, after dashes, a key, and tags and anchors. A key may
// have tags and anchors, too, which may have colons.
var blockHeader = lazyregexp.New(`^ *(?:([-?:]) +)*(?:((?:[!&]\S* +)*(?:"[^"]*"|'[^']*'|[^\s"'#!&]#*(?:[^#]|[^\s#]#+)*?)|(?:[!&]\S* +)+) *: +)?(?:[!&]\S* +)*[|>][+-]?([1-9]?)[+-]?[ \t]*(?:#.*)?$`)

// uncommented returns a file without its comment lines: those that begin with #, except in block scalars, which are
// known by their indentation, since a file with templates may not be valid YAML.
func uncommented(file string) text {
	var out textBuilder
	// Columns of the key or dash of the block scalar, of its content, 0 while that is unknown, and of the line above it.
	block, parent, indent, above := false, 0, 0, -1
	whole := textOf(file)
	for start, end := 0, 0; start < len(file); start = end {
		line, _, _ := strings.Cut(file[start:], "\n")
		end = min(start+len(line)+1, len(file))
		trimmed := strings.TrimLeft(line, " ")
		column := len(line) - len(trimmed)
		trimmed = strings.TrimSpace(trimmed)
		blank := trimmed == "" || strings.HasPrefix(trimmed, "{{") && strings.HasSuffix(trimmed, "}}") // or becomes so
		if block && indent == 0 && !blank && column > parent {
			indent = column
		}
		switch {
		case block && (blank || indent > 0 && column >= indent):
		case strings.HasPrefix(trimmed, "#"):
			continue // after which a block scalar continues
		default:
			m := blockHeader().FindStringSubmatchIndex(strings.TrimRight(line, "\r"))
			if block, indent = m != nil, 0; block {
				if parent = max(m[2], m[4]); parent < 0 { // neither dash nor key
					parent = above
				}
				if m[6] < m[7] {
					indent = max(parent, 0) + int(line[m[6]]-'0')
				}
			}
			if trimmed != "" {
				above = column
			}
		}
		out.add(whole, start, end)
	}
	return out.text()
}
