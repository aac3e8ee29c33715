package display

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// secrets finds the lines of secret values in text, see [task.Secrets].
type secrets struct {
	texts   [][]byte
	longest int
}

func newSecrets(values []string) secrets {
	var s secrets
	for _, line := range task.NewSecrets(slices.Values(values)) {
		s.texts = append(s.texts, []byte(line))
		s.longest = max(s.longest, len(line))
	}
	return s
}

// span is a part of a text.
type span struct{ from, to int }

// find returns the positions of secrets, in order and without overlaps; the first hidden bytes belong to one.
func (s secrets) find(text []byte, hidden int) []span {
	all := []span{{0, hidden}}
	for _, secret := range s.texts {
		for at := 0; ; at++ {
			i := bytes.Index(text[at:], secret)
			if i < 0 {
				break
			}
			at += i
			all = append(all, span{at, at + len(secret)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.from - b.from })
	var merged []span
	for _, next := range all {
		switch n := len(merged) - 1; {
		case next.to == 0:
		case n >= 0 && next.from < merged[n].to:
			merged[n].to = max(merged[n].to, next.to)
		default:
			merged = append(merged, next)
		}
	}
	return merged
}

// hide returns text with the spans hidden.
func hide(text []byte, spans []span) string {
	var out strings.Builder
	at := 0
	for _, s := range spans {
		if s.from >= len(text) {
			break
		}
		out.Write(text[at:s.from])
		out.WriteString(task.Hidden)
		at = min(s.to, len(text))
	}
	out.Write(text[at:])
	return out.String()
}

// hide returns a text with its secrets hidden.
func (s secrets) hide(text string) string { return hide([]byte(text), s.find([]byte(text), 0)) }

// line returns an error on one line with its secrets hidden.
func (s secrets) line(err error, limit int) string {
	return manifest.OneLine(s.hide(err.Error()), limit)
}

// lines splits a stream into lines with secrets hidden. It drops text that a carriage return overwrites on a terminal.
type lines struct {
	secrets secrets
	max     int // maximum length of a line in bytes; a longer one is broken
	emit    func(line string)

	line   []byte
	hidden int // number of bytes at the start of line that belong to a secret that was cut
}

func (l *lines) write(p []byte) {
	// A line is broken once it is long enough to find a secret, or a character, at the break.
	room := l.max + max(l.secrets.longest, 1)
	for len(p) > 0 {
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		for len(part) > 0 {
			n := min(len(part), room-len(l.line))
			l.add(part[:n])
			part = part[n:]
			if len(l.line) == room {
				l.cut(l.max)
			}
		}
		if whole {
			l.end()
		}
		p = rest
	}
}

// add adds a part of a line. A carriage return at its end may belong to a newline.
func (l *lines) add(part []byte) {
	if bytes.HasSuffix(l.line, []byte("\r")) {
		l.line, l.hidden = l.line[:0], 0
	}
	if i := bytes.LastIndexByte(part[:len(part)-1], '\r'); i >= 0 {
		l.line, l.hidden = l.line[:0], 0
		part = part[i+1:]
	}
	l.line = append(l.line, part...)
}

// cut emits the first n bytes, or fewer so that no character is cut.
func (l *lines) cut(n int) {
	for back := 0; back < utf8.UTFMax-1 && n < len(l.line) && !utf8.RuneStart(l.line[n]); back++ {
		n--
	}
	spans := l.secrets.find(l.line, l.hidden)
	l.emit(hide(l.line[:n], spans))
	l.hidden = 0
	for _, s := range spans {
		if s.from < n && s.to > n {
			l.hidden = s.to - n
		}
	}
	l.line = append(l.line[:0], l.line[n:]...)
}

// end emits the rest as a line.
func (l *lines) end() {
	l.line = bytes.TrimSuffix(l.line, []byte("\r"))
	for len(l.line) > l.max {
		l.cut(l.max)
	}
	l.cut(len(l.line))
}

// flush emits an incomplete line, if there is one.
func (l *lines) flush() {
	if len(l.line) > 0 {
		l.end()
	}
}
