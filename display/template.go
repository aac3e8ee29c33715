package display

import (
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/templates"
)

// ParseTemplate returns a Go template as the docker CLI has them; "json" stands for {{json .}}.
func ParseTemplate(format string) (*template.Template, error) {
	if format == "json" {
		format = "{{json .}}"
	}
	t, err := templates.Parse(format)
	if err != nil {
		return nil, fmt.Errorf("template parsing error: %w", err)
	}
	return t, nil
}

// Execute writes v with a template, and a newline.
func Execute(out io.Writer, t *template.Template, v any) error {
	var text strings.Builder
	if err := t.Execute(&text, v); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, manifest.Escape(text.String(), "\n\t"))
	return err
}
