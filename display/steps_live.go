package display

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/streams"
	"github.com/mattn/go-runewidth"
)

// statusLine is the last line of a terminal, with what is running. The methods of a nil one do nothing.
type statusLine struct {
	out   *streams.Out
	now   func() time.Time
	drawn bool
	wrote time.Time // when there was other output last
	stop  func()
}

func newStatusLine(out *streams.Out) *statusLine {
	return &statusLine{out: out, now: time.Now, stop: func() {}}
}

// start calls tick every second until close.
func (l *statusLine) start(tick func()) {
	if l == nil {
		return
	}
	l.wrote = l.now()
	ticker, ended := time.NewTicker(time.Second), make(chan struct{})
	l.stop = sync.OnceFunc(func() {
		ticker.Stop()
		close(ended)
	})
	go func() {
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				tick()
			}
		}
	}()
}

func (l *statusLine) close() {
	if l != nil {
		l.stop()
	}
}

// clear removes the line, so that other output can be written.
func (l *statusLine) clear() {
	if l == nil {
		return
	}
	if l.wrote = l.now(); l.drawn {
		_, _ = io.WriteString(l.out, "\r\x1b[K")
		l.drawn = false
	}
}

// draw draws the line with the running steps or, while there are none, after a delay.
func (l *statusLine) draw(running []*drawnStep) {
	if l == nil {
		return
	}
	silent := l.now().Sub(l.wrote)
	if len(running) == 0 && silent < delay {
		return
	}
	names := make([]string, len(running))
	for i, d := range running {
		names[i] = fmt.Sprintf("%s %s", d.id, l.now().Sub(d.began).Truncate(time.Second))
	}
	text := "Running " + strings.Join(names, ", ")
	if len(names) == 0 {
		text = "Working " + silent.Truncate(time.Second).String()
	}
	text = runewidth.Truncate(text, l.width()-len("^C"), "") // which the terminal shows at Ctrl-C
	_, _ = io.WriteString(l.out, "\r"+text+"\x1b[K")
	l.drawn = true
}

// width is that of the terminal.
func (l *statusLine) width() int {
	return cmp.Or(ttyWidth(l.out), 80)
}
