package render

import (
	"strings"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// blockHeader matches a line that ends with the header of a block scalar, after dashes, a key, and tags and anchors.
var blockHeader = lazyregexp.New(`^ *(?:([-?:]) +)*(?:("[^"]*"|'[^']*'|[^\s"'#][^#]*?) *: +)?(?:[!&]\S* +)*([|>])[+-]?([1-9]?)[+-]?[ \t]*(?:#.*)?$`)

// uncommented returns a file without its comment lines: those that begin with #, except in block scalars, which are
// known by their indentation, since a file with templates may not be valid YAML.
func uncommented(file string) text {
	var out textBuilder
	block, parent, indent := false, 0, 0 // columns of the key or dash, and of the content, 0 while that is unknown
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
			block, parent, indent = header(strings.TrimRight(line, "\r"))
		}
		out.add(whole, start, end)
	}
	return out.text()
}

// header returns whether a block scalar begins at the end of a line, the column of the key or dash that it belongs to,
// and the column of its content if that is specified.
func header(line string) (block bool, parent, indent int) {
	m := blockHeader().FindStringSubmatchIndex(line)
	if m == nil {
		return false, 0, 0
	}
	switch {
	case m[4] >= 0:
		parent = m[4]
	case m[2] >= 0:
		parent = m[2]
	default:
		parent = m[6] - 1
	}
	if m[8] < m[9] {
		indent = max(parent, 0) + int(line[m[8]]-'0')
	}
	return true, parent, indent
}
