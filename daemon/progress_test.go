package daemon

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/docker/cli/cli/streams"
)

// Lines of overlapping pushes begin with their tags, and notes appear between them.
func TestProgressOfOverlappingPushes(t *testing.T) {
	var out bytes.Buffer
	progress := NewProgress(streams.NewOut(&out))
	_, _ = fmt.Fprintln(progress, "before")
	first, second := &messages{}, &messages{}
	first.start(t, progress, "1")
	first.send(`{"status":"Pushed","id":"aaa"}`)
	second.start(t, progress, "2")
	first.send(`{"status":"Pushed","id":"bbb"}`)
	second.send(`{"status":"Pushed","id":"aaa"}`)
	_, _ = fmt.Fprintln(progress, "between")
	first.send(`{"status":"The push refers to repository [x]"}` + closing("1", digestA))
	first.end()
	second.send(`{"status":"Pushed","id":"ccc"}`)
	second.end()
	_, _ = fmt.Fprintln(progress, "after")
	want := "before\naaa: Pushed\n1: bbb: Pushed\n2: aaa: Pushed\nbetween\n1: The push refers to repository [x]\n" +
		"1: digest: " + digestA.String() + " size: 527\nccc: Pushed\nafter\n"
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A message that cannot be drawn ends neither the push nor the notes.
func TestProgressOfUnknownMessages(t *testing.T) {
	var out bytes.Buffer
	progress := NewProgress(streams.NewOut(&out))
	push := &messages{}
	push.start(t, progress, "1")
	push.send(`{"progressDetail":7}`)
	push.send(closing("1", digestA))
	_, _ = fmt.Fprintln(progress, "note")
	push.end()
	if got, want := out.String(), "note\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// messages is the stream of a push.
type messages struct {
	w     *io.PipeWriter
	ended sync.WaitGroup
}

func (m *messages) start(t *testing.T, progress *Progress, tag string) {
	t.Helper()
	var r *io.PipeReader
	r, m.w = io.Pipe()
	m.ended.Go(func() {
		if err := progress.draw(newMessageStream(r, tag), tag); err != nil {
			t.Error(err)
		}
	})
	m.send(`{"aux":{}}`) // read after the start
}

// send sends messages and returns when they have been drawn.
func (m *messages) send(raw string) {
	_, _ = io.WriteString(m.w, raw)
	_, _ = io.WriteString(m.w, `{"aux":{}}`) // read after that
}

func (m *messages) end() {
	_ = m.w.Close()
	m.ended.Wait()
}
