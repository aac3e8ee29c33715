package display

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf16"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/templates"
)

// ParseTemplate returns a Go template of the docker CLI, with a json function that escapes control characters;
// "json" stands for {{json .}}.
func ParseTemplate(format string) (*template.Template, error) {
	if format == "json" {
		format = "{{json .}}"
	}
	t, err := templates.Parse(format)
	if err != nil {
		return nil, fmt.Errorf("template parsing error: %w", err)
	}
	return t.Funcs(template.FuncMap{"json": func(v any) (string, error) {
		raw, err := marshal(v)
		return string(raw), err
	}}), nil
}

// Execute writes v with a template, and a newline. JSON is already escaped, so that escaping does not change it.
func Execute(out io.Writer, t *template.Template, v any) error {
	var text strings.Builder
	if err := t.Execute(&text, v); err != nil {
		return fmt.Errorf("template parsing error: %w", err)
	}
	_, err := fmt.Fprintln(out, manifest.Escape(text.String(), "\n\t"))
	return err
}

// JSON writes v as JSON, and a newline.
func JSON(out io.Writer, v any) error {
	raw, err := marshal(v)
	if err == nil {
		_, err = fmt.Fprintln(out, string(raw))
	}
	return err
}

// Value writes v as JSON or, unless format is "", with a template that reaches into this JSON.
func Value(out io.Writer, v any, format string) error {
	if format == "" {
		return JSON(out, v)
	}
	t, err := ParseTemplate(format)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	return Execute(out, t, value)
}

// marshal returns the JSON of v with all non-printable characters escaped. A CI system finds no commands in it.
func marshal(v any) ([]byte, error) {
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, r := range strings.TrimSuffix(raw.String(), "\n") {
		switch {
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		}
	}
	if newCISystem(os.Getenv) != nil {
		return bytes.ReplaceAll(out.Bytes(), []byte("##"), []byte(`#\u0023`)), nil
	}
	return out.Bytes(), nil
}
