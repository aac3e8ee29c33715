package display

import (
	"fmt"
	"io"

	"github.com/docker/cli/templates"
)

// Template writes v with a Go template as the docker CLI has them, or as JSON for "json".
func Template(out io.Writer, format string, v any) error {
	if format == "json" {
		format = "{{json .}}"
	}
	t, err := templates.Parse(format)
	if err != nil {
		return fmt.Errorf("template parsing error: %w", err)
	}
	if err := t.Execute(out, v); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out)
	return err
}
