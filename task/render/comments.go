package render

import (
	"strings"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// Comments are removed line by line, since a file with templates may not be valid YAML.

// lineKind is the kind of a line before templates are executed.
type lineKind int

const (
	structure lineKind = iota // keys, items, scalars of one line, blank lines
	content                   // continues a block scalar or a quoted one
	comment
)

// line is a line of a file, with its line break.
type line struct {
	start, end int
	kind       lineKind
}

// splitLines returns the lines of a file.
func splitLines(file string) (lines []line) {
	s := scanner{file: file}
	for start := 0; start < len(file); {
		end := len(file)
		if n := strings.IndexByte(file[start:], '\n'); n >= 0 {
			end = start + n + 1
		}
		lines = append(lines, line{start, end, s.line(start, end)})
		start = end
	}
	return lines
}

// scanner distinguishes comments from scalars by indentation and quotes.
type scanner struct {
	file string

	parent int // column of the key or dash that the current node belongs to
	block  bool
	indent int // of the lines of the block scalar, 0 while unknown
	quoted int // end of the quoted scalar that the last line did not close

	flow       int // depth of [ and {
	flowIndent int // of the line with the outermost of them
}

// line returns the kind of the next line.
func (s *scanner) line(start, end int) lineKind {
	if start < s.quoted {
		if s.quoted < end {
			s.scan(start, s.quoted, end, false)
		}
		return content
	}
	trimmed := strings.TrimLeft(s.file[start:end], " ")
	indent := end - start - len(trimmed)
	trimmed = strings.TrimSpace(trimmed)
	if s.block && s.inBlock(indent, trimmed) {
		return content
	}
	if strings.HasPrefix(trimmed, "#") {
		return comment // after which a block scalar continues
	}
	s.block = false
	if trimmed != "" {
		if indent <= s.flowIndent && !strings.ContainsAny(trimmed[:1], "]},") {
			s.flow = 0
		}
		s.scan(start, start+indent, end, true)
	}
	return structure
}

// inBlock reports whether a line belongs to the block scalar above it. A line with only template actions does at any
// indentation, since it becomes blank.
func (s *scanner) inBlock(indent int, trimmed string) bool {
	if trimmed == "" || strings.HasPrefix(trimmed, "{{") && strings.HasSuffix(trimmed, "}}") {
		return true
	}
	if s.indent == 0 && indent > s.parent {
		s.indent = indent
	}
	return s.indent > 0 && indent >= s.indent
}

// scan reads the part of a line that starts at an offset, to find nodes that continue in the next line. If fresh, a node
// may start there.
func (s *scanner) scan(start, from, end int, fresh bool) {
	indent := from - start
	token := indent // column of the start of the last node
	if fresh {
		s.parent = indent - 1
	}
	for i := from; i < end; i++ {
		c, last := s.file[i], i+1 == end || strings.IndexByte(" \t\r\n", s.file[i+1]) >= 0
		if fresh && c != ' ' && c != '\t' {
			token = i - start
		}
		switch {
		case c == ' ' || c == '\t':
		case c == '#' && strings.IndexByte(" \t", s.file[i-1]) >= 0:
			return
		case strings.HasPrefix(s.file[i:end], "{{"):
			i = s.action(i, end) - 1
			fresh = false
		case fresh && s.flow == 0 && (c == '-' || c == '?') && last:
			s.parent = i - start
		case fresh && (c == '!' || c == '&') && !last:
			i += strings.IndexAny(s.file[i:end]+" ", " \t\r\n") - 1
		case fresh && s.flow == 0 && s.blockHeader(i, end):
			return
		case fresh && (c == '"' || c == '\''):
			fresh = false
			if closed := s.closed(i); closed > end {
				s.quoted = closed
				return
			} else if closed > 0 {
				i = closed - 1
			}
		case c == ':' && s.flow == 0 && last:
			s.parent, fresh = token, true
		case s.bracket(c, fresh, indent):
			fresh = c != ']' && c != '}'
		default:
			fresh = false
		}
	}
}

// bracket tracks the depth of flow collections, and reports whether c is one of their characters.
func (s *scanner) bracket(c byte, fresh bool, indent int) bool {
	switch {
	case (c == '[' || c == '{') && (fresh || s.flow > 0):
		if s.flow == 0 {
			s.flowIndent = indent
		}
		s.flow++
	case (c == ']' || c == '}') && s.flow > 0:
		s.flow--
	default:
		return (c == ',' || c == ':') && s.flow > 0
	}
	return true
}

var blockHeader = lazyregexp.New(`^[|>]([+-]?)([1-9]?)[+-]?[ \t]*([ \t]#.*)?\r?\n?$`)

// blockHeader reports whether a block scalar starts at i, and prepares for its lines.
func (s *scanner) blockHeader(i, end int) bool {
	m := blockHeader().FindStringSubmatch(s.file[i:end])
	if m == nil {
		return false
	}
	s.block, s.indent = true, 0
	if m[2] != "" {
		s.indent = max(s.parent, 0) + int(m[2][0]-'0')
	}
	return true
}

// action returns the end of the template action at i if that is near and before end, otherwise the end of its {{.
func (s *scanner) action(i, end int) int {
	end = min(end, i+4096) // limits the time for many unclosed actions
	if n := strings.Index(s.file[i:end], "}}"); n >= 0 {
		return i + n + 2
	}
	return i + 2
}

// closed returns the end of the quoted scalar at i, 0 if it is not closed: then the quote is a character of a plain
// scalar.
func (s *scanner) closed(i int) int {
	quote := s.file[i]
	for i++; i < len(s.file); i++ {
		switch c := s.file[i]; {
		case strings.HasPrefix(s.file[i:], "{{"):
			i = s.action(i, len(s.file)) - 1
		case c == '\\' && quote == '"':
			i++
		case c == quote && quote == '\'' && strings.HasPrefix(s.file[i+1:], "'"):
			i++
		case c == quote:
			if i+1 == len(s.file) || strings.IndexByte(" \t\r\n:,]}", s.file[i+1]) >= 0 {
				return i + 1
			}
			return 0
		case c == '\n' && s.outdented(i+1):
			return 0
		}
	}
	return 0
}

// outdented reports whether the line at i is not blank and not indented more than the parent.
func (s *scanner) outdented(i int) bool {
	rest := strings.TrimLeft(s.file[i:], " ")
	indent := len(s.file) - i - len(rest)
	return indent <= s.parent && strings.TrimLeft(rest, "\r\n") == rest && rest != ""
}
