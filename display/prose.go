package display

import (
	"io"
	"math"
	"runtime"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Prose writes lines for people to a stream. On a terminal, it folds them at blanks to its width.
type Prose struct{ Out io.Writer }

// Write writes complete lines.
func (p Prose) Write(lines []byte) (int, error) {
	if _, err := io.WriteString(p.Out, fold(string(lines), ttyWidth(p.Out))); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// ttyWidth returns how many columns the terminal has that out is connected to, 0 if there is none or that is not known.
func ttyWidth(out io.Writer) int {
	if terminal, ok := out.(interface{ GetTtySize() (height, width uint) }); ok {
		_, width := terminal.GetTtySize()
		return int(width)
	}
	return 0
}

// fold folds the lines of text that are wider than width, unless that is 0. A docker command at the end of a line starts a
// line of its own, and can be pasted into a shell from there: it is folded with backslashes, or not at all.
func fold(text string, width int) string {
	if width == 0 {
		return text
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if runewidth.StringWidth(line) <= width {
			out.WriteString(line)
			continue
		}
		prose, command, found := strings.Cut(line, ": docker ")
		if !found || strings.Contains(command, ": ") {
			foldLine(&out, line, width, "\n  ")
			continue
		}
		room := width
		if runtime.GOOS == "windows" || strings.ContainsAny(command, `'"`) { // shells differ, or a blank may be quoted
			room = math.MaxInt
		}
		foldLine(&out, prose+":\n", width, "\n  ")
		foldLine(&out, "  docker "+command, room, " \\\n  ")
	}
	return out.String()
}

// foldLine writes a line that it folds with end in place of a blank. A word that is too wide for any line, such as a name with a
// digest, may start in the first half of one.
func foldLine(out *strings.Builder, line string, width int, end string) {
	mark, indent, _ := strings.Cut(end, "\n")
	column, room := 0, width-len(mark)
	for i, word := range strings.Split(line, " ") {
		w := runewidth.StringWidth(word)
		switch {
		case i == 0:
		case word != "" && column+1+w > room && (len(indent)+w <= room || column > width/2):
			out.WriteString(end)
			column = len(indent)
		default:
			out.WriteString(" ")
			column++
		}
		out.WriteString(word)
		column += w
	}
}
