package display

import (
	"io"
	"slices"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli/command/formatter"
)

// Repositories writes the repositories of a registry: their paths, a table, json, or a template over
// .Repository and .Name, which includes the registry.
func Repositories(out io.Writer, registry string, paths []string, format string) error {
	switch format {
	case "":
		format = "{{.Repository}}"
	case formatter.TableFormatKey:
		format = "table {{.Repository}}\t{{.Name}}"
	}
	head := formatter.SubHeaderContext{"Repository": "REPOSITORY", "Name": "NAME"}
	return table(out, format, false, head, slices.Values(paths), func(path string) any {
		return &repositoryRow{manifest.Escape(path, ""), registry}
	})
}

type repositoryRow struct{ path, registry string }

// repositoryJSON is a repository.
type repositoryJSON struct {
	Name       string `json:"name"`       // as an argument of other commands, with the registry
	Repository string `json:"repository"` // its path
}

// MarshalJSON gives {{json .}} the columns.
func (r *repositoryRow) MarshalJSON() ([]byte, error) {
	return marshal(repositoryJSON{r.Name(), r.path})
}

// Repository is the path of the repository.
func (r *repositoryRow) Repository() string { return r.path }

// Name is its name as an argument of other commands.
func (r *repositoryRow) Name() string { return r.registry + "/" + r.path }
