package display

import (
	"io"
	"strings"
	"time"
)

// message is text among the JSON of progress.
type message struct {
	Time  time.Time `json:"time"`           // of the message
	Event string    `json:"event"`          // note, warning or, at the end, error
	Text  string    `json:"text"`           // for people
	Hint  string    `json:"hint,omitempty"` // the next step after an error
}

// writeMessages writes each line of text as a message.
func writeMessages(out io.Writer, text string) error {
	for line := range strings.Lines(text) {
		m := message{Time: time.Now(), Event: "note", Text: strings.TrimSuffix(line, "\n")}
		if rest, ok := strings.CutPrefix(m.Text, warning); ok {
			m.Event, m.Text = "warning", rest
		}
		if err := JSON(out, m); err != nil {
			return err
		}
	}
	return nil
}

// ErrorJSON writes the error of a command whose progress is JSON, with its hint.
func ErrorJSON(out io.Writer, text, hint string) error {
	return JSON(out, message{time.Now(), "error", text, hint})
}
