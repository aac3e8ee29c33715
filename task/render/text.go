package render

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// text is a string that knows which offset of the file each of its pieces came from.
type text struct {
	string
	pieces []piece // ascending, the first at 0
}

// piece is a part of a text, up to the next one.
type piece struct {
	at   int // where it begins in the text
	from int // where it came from in the file
	// made says that it is not in the file: it was made by what stands at from.
	made bool
}

// textOf returns the text that is the whole file.
func textOf(file string) text { return text{file, []piece{{}}} }

// origin returns the offset in the file that an offset of the text came from.
func (t text) origin(offset int) int {
	if len(t.pieces) == 0 {
		return 0
	}
	p := t.pieces[t.pieceAt(offset)]
	if p.made {
		return p.from
	}
	return p.from + offset - p.at
}

// pieceAt returns the index of the piece that an offset is in.
func (t text) pieceAt(offset int) int {
	return max(0, sort.Search(len(t.pieces), func(i int) bool { return t.pieces[i].at > offset })-1)
}

// textBuilder joins pieces of texts.
type textBuilder struct {
	strings.Builder
	pieces []piece
}

// add appends t[from:to].
func (b *textBuilder) add(t text, from, to int) {
	for i := t.pieceAt(from); from < to; i++ {
		end := to
		if i+1 < len(t.pieces) {
			end = min(end, t.pieces[i+1].at)
		}
		b.append(t.string[from:end], t.origin(from), t.pieces[i].made)
		from = end
	}
}

// make appends what is not in the file, and was made by what stands at the offset from.
func (b *textBuilder) make(s string, from int) { b.append(s, from, true) }

func (b *textBuilder) append(s string, from int, made bool) {
	if s == "" {
		return
	}
	if !b.goesOn(from, made) {
		b.pieces = append(b.pieces, piece{b.Len(), from, made})
	}
	b.WriteString(s)
}

// goesOn reports whether the last piece goes on with what came from there.
func (b *textBuilder) goesOn(from int, made bool) bool {
	if len(b.pieces) == 0 {
		return false
	}
	last := b.pieces[len(b.pieces)-1]
	return !made && !last.made && last.from+b.Len()-last.at == from
}

func (b *textBuilder) text() text { return text{b.String(), b.pieces} }

// lined is a string with the offsets at which its lines begin, as YAML counts lines.
type lined struct {
	string
	starts []int
}

func linesOf(s string) lined {
	starts := []int{0}
	for i := 0; i < len(s); {
		n := lineBreak(s[i:])
		if i += max(n, 1); n > 0 {
			starts = append(starts, i)
		}
	}
	return lined{s, starts}
}

// lineBreak returns the length of the line break that s begins with, 0 for none.
func lineBreak(s string) int {
	for _, b := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		if strings.HasPrefix(s, b) {
			return len(b)
		}
	}
	return 0
}

func (l lined) position(offset int) task.Position {
	line := sort.SearchInts(l.starts, offset+1)
	return task.Position{Line: line, Column: 1 + utf8.RuneCountInString(l.string[l.starts[line-1]:offset])}
}

// offset returns where a position is; one outside the string is taken to be at its next end.
func (l lined) offset(line, column int) int {
	if line < 1 {
		return 0
	}
	if line > len(l.starts) {
		return len(l.string)
	}
	offset := l.starts[line-1]
	for ; column > 1 && offset < len(l.string) && lineBreak(l.string[offset:]) == 0; column-- {
		_, n := utf8.DecodeRuneInString(l.string[offset:])
		offset += n
	}
	return offset
}
