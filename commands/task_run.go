package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

type taskRunOptions struct {
	taskOptions
	// resume returns the command that goes on at a step of the run with an ID.
	resume   func(step, id string) string
	env      []string
	dryRun   bool
	from     string
	timeout  time.Duration
	jobs     int
	progress string
	builder  string
	metadata string
	given    []string // secrets as given
	setGiven []string // secret values as given
	login    []string // registries
}

// parseTaskTimeout parses a duration like "30s", or a number of seconds as in 'az acr run --timeout'.
func parseTaskTimeout(s string) (time.Duration, error) {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		s += "s"
	}
	return parseTimeout(s)
}

func newTaskRunCommand(env environment) *cobra.Command {
	var opts taskRunOptions
	cmd := &cobra.Command{
		Use:   "run " + taskArgs,
		Short: "Run the steps of a task file",
		Long: "Run the steps of a task file in the ACR Tasks format: 'build' with the daemon's BuildKit, 'push' with the\n" +
			"daemon, 'cmd' as a container with the workspace in /workspace. A 'cmd' that starts with 'docker' needs no\n" +
			"image: 'docker manifest' and 'docker multiarch' run in this process, other docker commands on this machine.\n" +
			"Further commands may follow in a 'cmd', joined as in a shell.\n" +
			"Everything that the run creates on daemons, except images, is removed at its end.\n\n" +
			taskContext + "\n" +
			"The steps see its files; a folder of yours is never changed.\n\n" +
			"With --progress json, standard error has one JSON object per line: first time, event (\"run\") and the run's id;\n" +
			"for each line of output time, step, event (\"output\"), stream and text; and for each change of a step time,\n" +
			"step, event (waiting, running, succeeded, failed, ignored, skipped, cancelled or timed out) and, where they\n" +
			"apply, attempt, repetition, exitCode, took (in seconds) and error. Other messages have time, event (note,\n" +
			"warning, or error at the end), text and, for an error, hint.",
		Example: `docker multiarch task run --registry registry.example.com .
docker multiarch task run -f release.yaml --set version=1.2 --secret id=token,env=TOKEN https://github.com/team/app.git#main
docker multiarch task run --registry registry.example.com --cmd '$Registry/tools:1 check' /dev/null
docker multiarch task run --dry-run --registry registry.example.com .`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("cmd") && strings.TrimSpace(opts.cmd) == "" {
				return badValue("--cmd is empty: expected IMAGE [ARGUMENT...] or a docker, acr or az command")
			}
			opts.resume = func(step, id string) string { return resumption(cmd, args, step, id) }
			opts.setContext(args)
			opts.cmdTimeout = opts.timeout
			opts.anyAliases = opts.anyAliases || !opts.dryRun
			return runTaskRun(cmd.Context(), env, opts)
		},
	}
	opts.addTo(cmd, env)
	flags := cmd.Flags()
	flags.StringArrayVarP(&opts.env, "env", "e", nil, "Environment variable for all steps, as KEY=VALUE, or KEY to pass its current value")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Show what would be run, without running it")
	flags.StringVar(&opts.from, "from-step", "", "Start at this step and skip the steps above it in the file")
	flags.Var(&parsed[time.Duration]{&opts.timeout, parseTaskTimeout, "0", "duration"}, "timeout", "Maximum time for all steps together, a duration or a number of seconds (0 for that of the file, if it has one)")
	addNumber(flags, &opts.jobs, "jobs", "Maximum concurrent steps (default no limit)")
	flags.BoolVar(&opts.strict, "strict", false, "Also refuse a file with likely mistakes")
	flags.StringVar(&opts.builder, "builder", "", "Builder of 'docker buildx' for all builds (default the daemon's)")
	flags.StringVar(&opts.cmd, "cmd", "", "Run this single cmd step in place of a task file, as 'az acr run --cmd' does")
	flags.StringArrayVar(&opts.setGiven, "set-secret", nil, "Value of {{.Values.NAME}} that is hidden in output, as NAME=VALUE, or NAME to pass the environment variable")
	cmd.MarkFlagsMutuallyExclusive("cmd", "file")
	flags.StringArrayVar(&opts.login, "login", nil, "Registry whose login of yours all containers can read")
	flags.StringArrayVar(&opts.given, "secret", nil, "Value of a secret of the file (id=ID,src=FILE or id=ID,env=NAME)")
	flags.StringVar(&opts.metadata, "metadata-file", "", "Write the digests and names of what was pushed to this file as JSON")
	addProgress(cmd, env, &opts.progress)
	completeWith(cmd, offer(env.registryHosts), "login")
	return cmd
}

func runTaskRun(ctx context.Context, env environment, opts taskRunOptions) error {
	if err := opts.check(env); err != nil {
		return err
	}
	loaded, err := opts.load(ctx, env, opts.progress)
	if err != nil {
		return err
	}
	defer loaded.close()
	for i, step := range loaded.file.Steps {
		if task.StartsContainer(step.Action) {
			loaded.file.Steps[i].Logins = slices.Concat(step.Logins, opts.login)
		}
	}
	if opts.dryRun {
		var text strings.Builder
		if err := run.Describe(&text, loaded.id, loaded.file, opts.from); err != nil {
			return err
		}
		_, err := io.WriteString(env.Out(), display.WithoutCICommands(text.String()))
		return err
	}
	if err := missingSecrets(loaded.file, opts.secrets); err != nil {
		return err
	}
	return opts.execute(ctx, newToolsShowing(env, opts.progress == display.ProgressQuiet, opts.progress), loaded)
}

// check checks flags. It reads secrets unless nothing is run.
func (o *taskRunOptions) check(env environment) (err error) {
	for _, registry := range o.login {
		if !task.IsRegistry(registry) {
			return badValue("--login %q: expected a host name with an optional port, as in registry.example.com:5000", registry)
		}
	}
	if !o.dryRun {
		if o.secrets, err = parseSecrets(o.given); err != nil {
			return err
		}
	}
	if err := o.setSecrets(env); err != nil {
		return err
	}
	o.variables, err = parseEnv(o.env, o.dryRun)
	return err
}

// outliving returns a command whose context also ends with the terminal. Neither that nor closed output ends this process,
// which has to remove the temporary files of the context, and what it created on daemons.
func outliving(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // the write fails anyway
		if !signal.Ignored(syscall.SIGHUP) {                    // by nohup
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			cmd.SetContext(ctx)
		}
		return run(cmd, args)
	}
	return cmd
}

// execute runs the steps, and removes everything that they created.
func (o taskRunOptions) execute(ctx context.Context, t tools, loaded loadedTask) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	metadata, err := openResult(t.env.files(), o.metadata)
	if err != nil {
		return err
	}
	defer metadata.discard()
	daemons, err := newDaemons(t, loaded.id, loaded.source.Dir)
	if err != nil {
		return err
	}
	configFile, secrets, err := daemons.stepLogins(ctx, loaded.file.Steps)
	if err != nil {
		return errors.Join(err, os.RemoveAll(daemons.config.dir))
	}
	show := display.NewSteps(t.env.Out(), t.env.Err(), o.progress, display.TaskRun{
		ID: loaded.id, Name: loaded.name, Path: o.pathInJob(os.Getenv), Steps: loaded.file.Steps, Secrets: slices.AppendSeq(secrets, maps.Values(o.secrets)),
	}, func(err error) { cancel(fmt.Errorf("the output is no longer read: %w", err)) })
	show.Begin()
	defer show.Close()
	executor := run.NewExecutor(run.Setup{
		ID: loaded.id, Folder: daemons.config.dir, File: loaded.file, Builder: o.builder, Daemon: daemons.Daemon, Programs: daemons,
		Context: loaded.source, ConfigFile: configFile, Pushed: daemons.pushed.addDigest,
		Note: func(text string) { show.Note("%s", text) },
	})
	notNeeded := context.AfterFunc(ctx, func() {
		show.Note("Stopping, and removing what the run created; another Ctrl-C leaves it behind with the label %s=%s", run.Label, show.ID)
	})
	err = o.runSteps(ctx, executor, show, loaded)
	notNeeded()
	if content, failed := daemons.pushed.json(loaded.id); metadata.file != nil {
		err = errors.Join(err, failed, metadata.write(content))
	}
	left := cleanUp(ctx, daemons, executor, loaded.id)
	if left != nil && err != nil { // an interruption would hide it
		t.reporter.Warn("%s", oneLine(show.Hide(left)))
	}
	return show.Hide(cmp.Or(err, left))
}

// runSteps checks the daemons, runs the steps and shows how they ended.
func (o taskRunOptions) runSteps(ctx context.Context, executor *run.Executor, show *display.Steps, l loadedTask) error {
	if err := executor.Check(ctx, o.from); err != nil {
		return err
	}
	options := run.Options{File: l.name, Jobs: o.jobs, From: o.from, Timeout: cmp.Or(o.timeout, l.file.Timeout)}
	results, err := run.Steps(ctx, l.file.Steps, options, executor, show)
	if step, wrote := run.Unfinished(results, o.from); err != nil && step != "" {
		if other := hintOf(err); other != "" { // on a line of its own, since a command may end it
			err = fmt.Errorf("%w\nhint: %s", err, manifest.Escape(other, ""))
		}
		missing := ""
		if wrote {
			missing = ", without the files that earlier steps wrote"
		}
		err = manifest.WithHint(err, "to go on at step %s%s%s: %s", step, missing, o.inputAgain(), o.resume(step, l.id))
	}
	return errors.Join(err, show.Summarize(results))
}

// inputAgain says what the command needs that is not in it, "" for nothing.
func (o taskRunOptions) inputAgain() string {
	if withoutLogin(o.context) != o.context {
		return ", with the same login or query in the URL"
	}
	if o.file == "-" || o.values == "-" || o.context == "-" {
		return ", with the same standard input"
	}
	return ""
}

// resumption returns the command that was typed with another ID and first step.
func resumption(cmd *cobra.Command, args []string, step, id string) string {
	words := []string{"docker"}
	add := func(f *pflag.Flag) {
		if !f.Changed {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, value := range values {
			switch f.Name {
			case "id", "from-step":
				continue
			case "set-secret": // the value has to be in the environment
				value, _, _ = strings.Cut(value, "=")
			}
			words = append(words, "--"+f.Name+"="+value)
		}
	}
	cmd.Root().Flags().VisitAll(add) // those of docker
	words = append(words, strings.Fields(cmd.CommandPath())[1:]...)
	words = append(words, "--from-step="+step, "--id="+id)
	cmd.LocalNonPersistentFlags().VisitAll(add)
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		words = append(words, "--")
	}
	for _, arg := range args {
		words = append(words, withoutLogin(arg))
	}
	return task.Quote(words)
}

// withoutLogin returns a context without the login and the query of a URL, which may be secret.
func withoutLogin(context string) string {
	address, fragment, found := strings.Cut(context, "#")
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return context
	}
	if _, password := u.User.Password(); !password && u.RawQuery == "" && (u.User == nil || u.Scheme == "ssh") {
		return context
	}
	if context = manifest.RedactURL(address); found {
		context += "#" + fragment
	}
	return context
}

// pathInJob returns the path of the file for annotations of a CI job, "" if it is not in a folder.
func (o taskRunOptions) pathInJob(getenv func(string) string) string {
	if info, err := os.Stat(o.context); o.file == "-" || err != nil || !info.IsDir() {
		return ""
	}
	path, err := filepath.Abs(filepath.Join(o.context, o.file))
	if err != nil {
		return ""
	}
	root := cmp.Or(getenv("GITHUB_WORKSPACE"), getenv("BUILD_SOURCESDIRECTORY"))
	if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
		path = rel
	}
	return filepath.ToSlash(path)
}

// cleanUpTimeout is how long daemons have to remove what a run has created.
const cleanUpTimeout = time.Minute

// cleanUp removes what the run with an ID has created, even if ctx has ended.
func cleanUp(ctx context.Context, daemons *daemons, executor *run.Executor, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	err := daemons.removeBuilders(ctx) // before their networks
	if err := errors.Join(err, executor.Close(ctx), os.RemoveAll(daemons.config.dir)); err != nil {
		return manifest.WithHint(err, "remove what is left of the run: %s", run.Removal(id, filepath.Dir(daemons.config.dir)))
	}
	return nil
}

// parseEnv returns KEY=VALUE pairs with unique keys; a KEY without value takes it from the environment, as with docker
// run, but not in a dry run: the value may be secret.
func parseEnv(typed []string, dryRun bool) ([]string, error) {
	var env []string
	for _, s := range typed {
		name, _, given := strings.Cut(s, "=")
		if name == "" {
			return nil, badValue("--env: expected KEY=VALUE or KEY, found an empty KEY") // without the value, which may be a secret
		}
		if value, set := os.LookupEnv(name); !given && !dryRun {
			if !set {
				continue
			}
			s += "=" + value
		}
		duplicate := func(kv string) bool { return kv == name || strings.HasPrefix(kv, name+"=") } // programs treat these differently
		env = append(slices.DeleteFunc(env, duplicate), s)
	}
	return env, nil
}
