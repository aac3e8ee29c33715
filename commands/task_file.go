package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/registry"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// taskOptions say which task file is meant, and what its templates read.
type taskOptions struct {
	context  string
	file     string
	registry string
	id       string
	sets     []string
	values   string
	strict   bool
	// secrets are those of a run by id, nil where nothing is run.
	secrets map[string]string
}

// taskArgs are the arguments of the commands on task files, and taskContext is what their help says of them.
const (
	taskArgs    = "[OPTIONS] [CONTEXT]"
	taskContext = "CONTEXT is a folder, a git repository (URL#REF:FOLDER), a tar file or its URL, - for a tar file on standard\n" +
		"input, or /dev/null for none; by default it is the current folder."
)

// addTo adds the flags and the argument.
func (o *taskOptions) addTo(cmd *cobra.Command) {
	cmd.Args = cli.RequiresMaxArgs(1)
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "acb.yaml", `Task file in CONTEXT ("-" for standard input)`)
	flags.StringVarP(&o.registry, "registry", "r", "", "Value of {{.Run.Registry}}")
	flags.StringVar(&o.id, "id", "", "Value of {{.Run.ID}} (default a fresh one)")
	flags.StringArrayVar(&o.sets, "set", nil, "Value of {{.Values.NAME}}, as NAME=VALUE")
	flags.StringVar(&o.values, "values", "", `File with values in CONTEXT, as YAML ("-" for standard input)`)
}

// loadedTask is a task file with all that was found in it.
type loadedTask struct {
	name     string
	id       string
	source   run.Source
	rendered task.Rendered
	file     task.File
	findings []task.Finding
	// bad is how many findings keep it from being run.
	bad int
}

// runID are the IDs that names of tags, containers and volumes can have in them.
var runID = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$`)

// load opens the context and reads the file, tells what was found in it, and refuses the file if need be.
// What it returns has to be closed unless there is an error.
func (o taskOptions) load(ctx context.Context, env environment) (loadedTask, error) {
	l, err := o.read(ctx, env)
	if err != nil {
		return l, err
	}
	if err = l.tell(env.Err()); err != nil {
		l.close()
	}
	return l, err
}

// tell writes what was found, a warning about several places once. The error is that the file cannot be run.
func (l loadedTask) tell(out io.Writer) error {
	seen := map[string]bool{}
	findings := slices.DeleteFunc(slices.Clone(l.findings), func(f task.Finding) bool {
		again := f.Severity == task.Warning && seen[f.Message]
		seen[f.Message] = true
		return again
	})
	if err := display.Findings(out, l.name, findings, ""); err != nil {
		return err
	}
	if l.bad > 0 {
		return invalid("%s cannot be run as it is", l.name)
	}
	return nil
}

// read opens the context and reads the file, whatever is wrong with that. What it returns has to be closed
// unless there is an error.
func (o taskOptions) read(ctx context.Context, env environment) (l loadedTask, err error) {
	if l.id = o.id; l.id == "" {
		l.id = strings.ToLower("r" + rand.Text()[:9])
	}
	if !runID().MatchString(l.id) {
		return l, invalid("--id %q is not made of up to 64 letters, digits, dots, dashes and underscores", o.id)
	}
	if o.file == "-" && o.context == "-" || o.values == "-" && (o.file == "-" || o.context == "-") {
		return l, invalid("only one of --file, --values and the context can be -, which is standard input")
	}
	if l.source, err = run.Open(ctx, o.context, env.In(), registry.Download); err != nil {
		return l, err
	}
	values, err := o.readValues(ctx, l.source, env.In())
	if err != nil {
		l.close()
		return l, err
	}
	file, err := l.source.ReadFile(ctx, o.file, env.In())
	if err != nil {
		l.close()
		return l, err
	}
	l.name = o.file
	l.rendered, l.findings = render.Render(file, o.variables(l, values), o.aliases(ctx, l.source))
	if l.rendered.Text != "" {
		var found []task.Finding
		l.file, found = task.Parse(l.rendered)
		l.findings = append(l.findings, found...)
		if o.strict {
			l.findings = append(l.findings, task.Lints(l.rendered, l.file, l.dockerfile)...)
		}
	}
	slices.SortStableFunc(l.findings, func(a, b task.Finding) int { return a.Compare(b.Position) })
	for _, f := range l.findings {
		if o.strict || f.Severity == task.Error {
			l.bad++
		}
	}
	return l, nil
}

// close removes what opening the context has brought.
func (l loadedTask) close() { _ = l.source.Close() }

// setContext takes the argument.
func (o *taskOptions) setContext(env environment, args []string) {
	o.context = "."
	if len(args) > 0 {
		o.context = args[0]
	}
	if at := env.path(o.context); at != o.context {
		if _, err := os.Stat(at); err == nil {
			o.context = at
		}
	}
	o.values = env.path(o.values)
}

// dockerfile returns the Dockerfile of a build step, when it is in the context.
func (l loadedTask) dockerfile(step task.Step) ([]byte, error) {
	return run.ReadDockerfile(l.source.Dir, step)
}

// aliasPatience is how long a server has to send a file of aliases.
const aliasPatience = 10 * time.Second

// aliases returns what reads the files and URLs that aliases are in.
func (o taskOptions) aliases(ctx context.Context, source run.Source) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		switch {
		case name == "-":
			return nil, errors.New("expected a file or a URL")
		case !strings.Contains(name, "://"):
			return source.ReadFile(ctx, name, nil)
		}
		ctx, cancel := context.WithTimeout(ctx, aliasPatience)
		defer cancel()
		body, err := registry.Download(ctx, name)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(io.LimitReader(body, render.MaxAliases+1)) // longer ones are refused
	}
}

// variables returns what templates read.
func (o taskOptions) variables(l loadedTask, values map[string]any) render.Variables {
	return render.Variables{Values: values, Secrets: o.secrets, Run: render.RunFields(map[string]string{
		"ID": l.id, "Registry": o.registry, "Commit": l.source.Commit, "Branch": l.source.Branch,
		"SharedVolume": run.Name(l.id, run.SharedVolume), "OS": "linux", "Architecture": runtime.GOARCH,
		"Repository": "", "GitTag": "", "TriggeredBy": "", "OSVersion": "", "TaskName": "",
	}, time.Now())}
}

// readValues returns those of --values, with those of --set.
func (o taskOptions) readValues(ctx context.Context, source run.Source, in io.Reader) (map[string]any, error) {
	values := map[string]any{}
	if o.values != "" {
		data, err := source.ReadFile(ctx, o.values, in)
		if err != nil {
			return nil, err
		}
		if values, err = render.ParseValues(data); err != nil {
			return nil, invalid("--values %s: %w", o.values, err)
		}
	}
	for _, set := range o.sets {
		if err := render.SetValue(values, set); err != nil {
			return nil, err
		}
	}
	return values, nil
}
