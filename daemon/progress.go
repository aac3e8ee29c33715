package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/docker/cli/cli/streams"
	"github.com/docker/docker/pkg/jsonmessage"
)

// Progress draws the progress of pushes as the docker CLI does. Pushes may overlap: one display has the lines of all
// of them, which begin with the tag as long as there are several. What is written to it appears between the lines.
type Progress struct {
	out *streams.Out

	mu       sync.Mutex
	pushes   int            // under way
	messages *io.PipeWriter // to the display
	closed   chan struct{}  // when the display has ended
}

// NewProgress returns a Progress that draws on out.
func NewProgress(out *streams.Out) *Progress { return &Progress{out: out} }

// Write writes lines of text.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pushes > 0 && p.send(map[string]any{"status": strings.TrimSuffix(string(text), "\n")}) == nil {
		return len(text), nil
	}
	return p.out.Write(text)
}

// draw draws the messages of the push of a tag until the stream ends. The error is that of the stream.
func (p *Progress) draw(stream *messageStream, tag string) error {
	p.begin()
	defer p.end()
	for {
		raw, err := stream.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p.show(raw, tag)
	}
}

func (p *Progress) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pushes++; p.pushes > 1 {
		return
	}
	messages, w := io.Pipe()
	closed := make(chan struct{})
	p.messages, p.closed = w, closed
	go func() {
		defer close(closed)
		err := jsonmessage.DisplayJSONMessagesToStream(messages, p.out, nil)
		_ = messages.CloseWithError(err) // a display that failed does not end the push
	}()
}

func (p *Progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pushes--; p.pushes == 0 {
		_ = p.messages.Close()
		<-p.closed
	}
}

// show sends a message of a push to the display.
func (p *Progress) show(raw json.RawMessage, tag string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return
	}
	if p.pushes > 1 {
		if id, _ := fields["id"].(string); id != "" {
			fields["id"] = tag + ": " + id
		} else if status, _ := fields["status"].(string); status != "" && !strings.HasPrefix(status, tag+": ") {
			fields["status"] = tag + ": " + status
		}
	}
	_ = p.send(fields)
}

func (p *Progress) send(message map[string]any) error {
	return json.NewEncoder(p.messages).Encode(message)
}
