package display

import (
	"fmt"
	"io"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// Findings writes the findings of a task file: one per line, as compilers do, without commands for the CI system, or each
// in a format, which is a template or "json".
func Findings(out io.Writer, file string, found []task.Finding, format string) error {
	if format == "" {
		for _, f := range found {
			if _, err := fmt.Fprintln(out, WithoutCICommands(manifest.Escape(file+":"+f.String(), ""))); err != nil {
				return err
			}
		}
		return nil
	}
	template, err := ParseTemplate(format)
	if err != nil {
		return err
	}
	for _, f := range found {
		if err := Execute(out, template, f); err != nil {
			return err
		}
	}
	return nil
}
