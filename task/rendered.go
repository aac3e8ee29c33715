package task

// Rendered is a task file after its comments, aliases and templates were processed; package render makes one.
type Rendered struct {
	// Text is YAML, "" if the file could not be rendered. It contains the secrets that templates inserted.
	Text string
	// Origin returns where in the file as it was written a position in Text comes from; nil if it is the same.
	Origin func(Position) Position
	// Commands are the aliases that the first word of a cmd may be (v1.1.0), and the images that they stand for.
	Commands map[string]string
	// Env are variables of all steps, KEY=VALUE, which the file may override; a KEY alone has a value that is not known.
	Env []string
	// Registry is that of the run.
	Registry string
	// Secrets are those that Text may contain.
	Secrets Secrets
}

func (r Rendered) origin(p Position) Position {
	if r.Origin == nil {
		return p
	}
	return r.Origin(p)
}
