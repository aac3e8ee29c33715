package display

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// secrets finds secret values in text, by their lines; see task.NewSecrets.
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

// find returns where secrets are, in order and apart; the first hidden bytes are known to be of one.
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
	var apart []span
	for _, next := range all {
		switch n := len(apart) - 1; {
		case next.to == 0:
		case n >= 0 && next.from < apart[n].to:
			apart[n].to = max(apart[n].to, next.to)
		default:
			apart = append(apart, next)
		}
	}
	return apart
}

// hide returns text without what is in the spans.
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

// hide returns a text without its secrets.
func (s secrets) hide(text string) string { return hide([]byte(text), s.find([]byte(text), 0)) }

// line returns an error on one line without its secrets.
func (s secrets) line(err error, limit int) string {
	return manifest.OneLine(s.hide(err.Error()), limit)
}

// lines takes a stream apart into lines without secrets. What a carriage return lets the next text overwrite
// is left out, as it is on a terminal.
type lines struct {
	secrets secrets
	max     int // bytes of a line; a longer one is broken
	emit    func(line string)

	line   []byte
	hidden int // so many bytes at the beginning of line are of a secret that was cut
}

func (l *lines) write(p []byte) {
	// A line is broken once there is enough to see a secret, or a character, at the break.
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

// add adds a part of a line. A carriage return at its end may be one of those before a newline.
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

// cut emits the first n bytes, or some less in order not to cut a character.
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

// end emits what is left as a line.
func (l *lines) end() {
	l.line = bytes.TrimSuffix(l.line, []byte("\r"))
	for len(l.line) > l.max {
		l.cut(l.max)
	}
	l.cut(len(l.line))
}

// flush emits a line that has not ended, when there is one.
func (l *lines) flush() {
	if len(l.line) > 0 {
		l.end()
	}
}
