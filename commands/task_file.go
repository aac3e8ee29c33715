package commands

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// taskOptions select a task file and set the variables of its templates.
type taskOptions struct {
	context string
	file    string
	// cmd is the text of the only step, "" if there is a file; cmdTimeout is the timeout of that step.
	cmd        string
	cmdTimeout time.Duration
	registry   string
	id         string
	sets       []string
	values     string
	// fields are the values of .Run that have a flag, by name.
	fields map[string]*string
	strict bool
	// variables are those of all steps.
	variables []string
	// anyAliases allows a file to read aliases from URLs and from files outside of its context.
	anyAliases bool
	// secrets are those of a run by id, nil if nothing is run.
	secrets map[string]string
}

// taskArgs are the arguments of the commands for task files, and taskContext is their help text.
const (
	taskArgs    = "[OPTIONS] [CONTEXT]"
	taskContext = "CONTEXT is a folder, a git repository (URL#REF:FOLDER), a tar file or its URL, - for a tar file on standard\n" +
		"input, or /dev/null for none. The default is the current folder."
)

// addTo adds the flags and the argument.
func (o *taskOptions) addTo(cmd *cobra.Command, env environment) {
	cmd.Args = cli.RequiresMaxArgs(1)
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "acb.yaml", `Task file in CONTEXT ("-" for standard input)`)
	flags.StringVarP(&o.registry, "registry", "r", "", "Value of {{.Run.Registry}}")
	flags.StringVar(&o.id, "id", "", "Value of {{.Run.ID}} (default a random one)")
	o.fields = map[string]*string{
		"Branch":      flags.String("branch", "", "Value of {{.Run.Branch}} (default that of CONTEXT, or of the CI job that checked it out)"),
		"Commit":      flags.String("commit", "", "Value of {{.Run.Commit}} (default that of CONTEXT)"),
		"GitTag":      flags.String("git-tag", "", "Value of {{.Run.GitTag}}"),
		"Repository":  flags.String("repository", "", "Value of {{.Run.Repository}}"),
		"TaskName":    flags.String("task-name", "", "Value of {{.Run.TaskName}}"),
		"TriggeredBy": flags.String("triggered-by", "", "Value of {{.Run.TriggeredBy}}"),
	}
	flags.StringArrayVar(&o.sets, "set", nil, "Value of {{.Values.NAME}}, as NAME=VALUE")
	flags.BoolVar(&o.anyAliases, "allow-alias-source", false, "Also read aliases from URLs and from files outside of CONTEXT (a run always does)")
	flags.StringVar(&o.values, "values", "", `YAML file with values in CONTEXT ("-" for standard input)`)
	completeWith(cmd, offer(env.registryHosts), "registry")
}

// loadedTask is a task file with its findings.
type loadedTask struct {
	name     string
	id       string
	source   run.Source
	rendered task.Rendered
	file     task.File
	findings []task.Finding
	// blocking is the number of findings because of which it cannot be run.
	blocking int
}

// runID matches the IDs that names of tags, containers and volumes can contain.
var runID = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$`)

// load opens the context, reads the file and reports its findings among progress in a mode. The error is also that the file
// cannot be run. The result must be closed unless there is an error.
func (o taskOptions) load(ctx context.Context, env environment, progress string) (loadedTask, error) {
	shown, _ := env.progress(progress, false)
	if o.file != "-" && o.values != "-" && o.context != "-" { // a person may type
		shown.Start("the context")
	}
	l, err := o.read(ctx, env)
	shown.Close()
	if err != nil {
		return l, err
	}
	if err = l.report(shown); err != nil {
		l.close()
	}
	return l, err
}

// report writes the findings, each warning once. The error is that the file cannot be run.
func (l loadedTask) report(out io.Writer) error {
	seen := map[string]bool{}
	findings := slices.DeleteFunc(slices.Clone(l.findings), func(f task.Finding) bool {
		again := f.Severity == task.Warning && seen[f.Message]
		seen[f.Message] = true
		return again
	})
	if err := display.Findings(out, l.name, findings, ""); err != nil {
		return err
	}
	if l.blocking > 0 {
		return invalid("%s cannot be run", l.name)
	}
	return nil
}

// read opens the context and reads the file, which may have errors. The result must be closed unless there is an
// error.
func (o taskOptions) read(ctx context.Context, env environment) (l loadedTask, err error) {
	if l.id = o.id; l.id == "" {
		l.id = strings.ToLower("r" + rand.Text()[:9])
	}
	if !runID().MatchString(l.id) {
		return l, badValue("--id %q: expected at most 64 letters, digits, dots, dashes and underscores", o.id)
	}
	if err := checkRegistry(o.registry); err != nil {
		return l, err
	}
	if o.file == "-" && o.context == "-" || o.values == "-" && (o.file == "-" || o.context == "-") {
		return l, invalid("only one of --file, --values and CONTEXT can be - (standard input)")
	}
	if l.source, err = run.Open(ctx, l.id, o.context, env.In(), registry.Download); err != nil {
		return l, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	values, err := o.readValues(ctx, l.source, env.In())
	if err != nil {
		return l, err
	}
	var file []byte
	if l.name = o.file; o.cmd != "" {
		l.name, file = "--cmd", cmdFile(o.cmd, o.cmdTimeout)
	} else if file, err = l.source.ReadFile(ctx, o.file, env.In()); err != nil {
		return l, err
	}
	l.rendered, l.findings = render.Render(ctx, file, o.templateVariables(l, values), o.aliases(ctx, l.source, registry.Download))
	if err := ctx.Err(); err != nil {
		return l, err
	}
	l.rendered.Env = o.variables
	if l.rendered.Text != "" {
		var found []task.Finding
		l.file, found = task.Parse(l.rendered)
		l.findings = append(l.findings, found...)
		if o.strict {
			l.findings = append(l.findings, task.Lints(l.rendered, l.file, func(step task.Step) ([]byte, error) {
				return run.ReadDockerfile(ctx, l.source.Dir, step)
			})...)
		}
	}
	l.add(o.strict)
	return l, nil
}

// add adds findings, and sorts and counts all.
func (l *loadedTask) add(strict bool, found ...task.Finding) {
	l.findings = append(l.findings, found...)
	slices.SortStableFunc(l.findings, func(a, b task.Finding) int { return a.Compare(b.Position) })
	l.blocking = 0
	for _, f := range l.findings {
		if strict || f.Severity == task.Error {
			l.blocking++
		}
	}
}

// cmdFile returns a file with one step, as 'az acr run --cmd' makes it.
func cmdFile(cmd string, timeout time.Duration) []byte {
	return fmt.Appendf(nil, "version: v1.1.0\nsteps:\n- cmd: |2-\n    %s\n  disableWorkingDirectoryOverride: true\n  timeout: %d\n",
		strings.ReplaceAll(cmd, "\n", "\n    "), int64(math.Ceil(cmp.Or(timeout, time.Hour).Seconds())))
}

// close removes the temporary files of the context.
func (l loadedTask) close() { _ = l.source.Close() }

// setContext sets the context from the argument.
func (o *taskOptions) setContext(args []string) {
	o.context = "."
	if len(args) > 0 {
		o.context = args[0]
	}
}

// aliasTimeout is the maximum time to download all files of aliases.
const aliasTimeout = 10 * time.Second

// aliases returns a function that reads the files and URLs of aliases.
func (o taskOptions) aliases(ctx context.Context, source run.Source, download run.Fetch) func(name string) ([]byte, error) {
	deadline := sync.OnceValue(func() time.Time { return time.Now().Add(aliasTimeout) })
	return func(name string) ([]byte, error) {
		isURL := strings.Contains(name, "://")
		switch {
		case name == "-":
			return nil, errors.New("expected a file or a URL")
		case !o.anyAliases && (isURL || !filepath.IsLocal(name)):
			return nil, errors.New("it is not in the context; to read it, pass --allow-alias-source")
		case !o.anyAliases:
			return source.ReadInside(ctx, name)
		case !isURL:
			return source.ReadFile(ctx, name, nil)
		}
		ctx, cancel := context.WithDeadlineCause(ctx, deadline(), fmt.Errorf("downloading aliases took more than %v in total", aliasTimeout))
		defer cancel()
		body, err := download(ctx, name)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(io.LimitReader(body, render.MaxAliases+1)) // render refuses larger ones
	}
}

// templateVariables returns the variables of templates.
func (o taskOptions) templateVariables(l loadedTask, values map[string]any) render.Variables {
	fields := map[string]string{
		"ID": l.id, "Registry": o.registry, "SharedVolume": run.Name(l.id, run.SharedVolume), "OS": "linux",
		"Architecture": runtime.GOARCH, "OSVersion": "",
	}
	for name, value := range o.fields {
		fields[name] = *value
	}
	fields["Commit"] = cmp.Or(fields["Commit"], l.source.Commit)
	fields["Branch"] = cmp.Or(fields["Branch"], l.source.Branch, ciBranch(l.source.Commit, os.Getenv))
	return render.Variables{Values: values, Secrets: o.secrets, Run: render.RunFields(fields, time.Now())}
}

// ciBranch returns the branch that a CI job builds, "" if it does not build this commit. CI systems check out a commit,
// not a branch.
func ciBranch(commit string, getenv func(string) string) string {
	azure, isBranch := strings.CutPrefix(getenv("BUILD_SOURCEBRANCH"), "refs/heads/")
	switch {
	case commit == "":
	case commit == getenv("GITHUB_SHA") && getenv("GITHUB_REF_TYPE") != "tag":
		return cmp.Or(getenv("GITHUB_HEAD_REF"), getenv("GITHUB_REF_NAME"))
	case commit == getenv("BUILD_SOURCEVERSION") && isBranch:
		return azure
	case commit == getenv("CI_COMMIT_SHA"):
		return getenv("CI_COMMIT_BRANCH")
	}
	return ""
}

// checkRegistry returns an error unless registry is a host or empty: in an image name it would be a part of the path.
func checkRegistry(registry string) error {
	named, err := reference.ParseNamed(registry + "/a")
	isHost := strings.ContainsAny(registry, ".:") || registry == "localhost"
	switch {
	case registry == "" || isHost && err == nil && reference.Domain(named) == registry && reference.Path(named) == "a":
		return nil
	case strings.Trim(registry, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "":
		return manifest.WithHint(badValue("--registry %s: expected a host name", registry), "for a registry in Azure: --registry %s.azurecr.io", strings.ToLower(registry))
	}
	return badValue("--registry %q: expected a host name with an optional port, as in registry.example.com:5000", registry)
}

// readValues returns the values of --values and --set.
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
			return nil, badValue("%w", err)
		}
	}
	return values, nil
}
