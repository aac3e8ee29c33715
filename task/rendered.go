package task

// Rendered is a task file after its aliases and templates.
type Rendered struct {
	Name string // as errors name it
	Text string
}

// At returns the place in the file as it was written of one in Text.
func (r Rendered) At(line, column int) Position { return Position{line, column} }

// Command returns what the first word of a cmd stands for, if it is an alias.
func (r Rendered) Command(string) (string, bool) { return "", false }
