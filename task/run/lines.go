package run

import (
	"bytes"
	"io"
	"sync"
)

// prefixed writes the lines of two streams to an output that others share, each with a prefix.
type prefixed struct {
	out    Output
	prefix string
	mu     sync.Mutex
	rest   [2][]byte // incomplete lines of standard output and standard error
}

// streams returns the two streams.
func (p *prefixed) streams() Output { return Output{prefixedStream{p, 0}, prefixedStream{p, 1}} }

type prefixedStream struct {
	*prefixed
	which int
}

// maxLine is the length at which lines are broken, in bytes.
const maxLine = 64 << 10

func (s prefixedStream) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := append(s.rest[s.which], text...)
	for {
		i := bytes.IndexByte(rest, '\n') + 1
		if i == 0 && len(rest) < maxLine {
			break
		}
		if i == 0 {
			i = len(rest)
		}
		s.line(s.which, rest[:i])
		rest = rest[i:]
	}
	s.rest[s.which] = bytes.Clone(rest)
	return len(text), nil
}

func (p *prefixed) line(which int, text []byte) {
	to := []io.Writer{p.out.Stdout, p.out.Stderr}[which]
	_, _ = to.Write(append([]byte(p.prefix), text...))
}

// flush writes incomplete lines.
func (p *prefixed) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for which, rest := range p.rest {
		if len(rest) > 0 {
			p.line(which, append(rest, '\n'))
			p.rest[which] = nil
		}
	}
}
