package run

import (
	"bytes"
	"io"
	"sync"
)

// prefixLines returns an output whose lines are written to out with a prefix, and a function that writes incomplete lines.
func prefixLines(out Output, prefix string) (prefixed Output, flush func()) {
	stdout, stderr := &prefixer{out: out.Stdout, prefix: prefix}, &prefixer{out: out.Stderr, prefix: prefix}
	return Output{stdout, stderr}, func() {
		stdout.flush()
		stderr.flush()
	}
}

// prefixer writes the lines of a stream to an output that others share, each with a prefix.
type prefixer struct {
	out    io.Writer
	prefix string
	mu     sync.Mutex
	rest   []byte // an incomplete line
}

// maxLine is the length at which lines are broken, in bytes.
const maxLine = 64 << 10

func (p *prefixer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := append(p.rest, text...)
	for {
		i := bytes.IndexByte(rest, '\n') + 1
		if i == 0 && len(rest) < maxLine {
			break
		}
		if i == 0 {
			i = len(rest)
		}
		p.line(rest[:i])
		rest = rest[i:]
	}
	p.rest = bytes.Clone(rest)
	return len(text), nil
}

func (p *prefixer) line(text []byte) { _, _ = p.out.Write(append([]byte(p.prefix), text...)) }

func (p *prefixer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.rest) > 0 {
		p.line(append(p.rest, '\n'))
		p.rest = nil
	}
}
