package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

const checkout = `cp -r "$SOURCES/." .`

// standIns are the programs in place of the actions and tasks of CI services, which get their inputs in the same
// variables. LOST is an artifact whose upload fails silently.
var standIns = map[string]string{
	"self":                          checkout, // of Azure
	"actions/checkout@v5":           checkout,
	"docker/setup-buildx-action@v3": `docker buildx version`,
	"docker/login-action@v3":        `echo "$INPUT_PASSWORD" | docker login --username "$INPUT_USERNAME" --password-stdin "$INPUT_REGISTRY"`,
	// The driver of a daemon cannot push by digest: the image gets a tag of its own.
	"docker/build-push-action@v6": `
		[[ $INPUT_OUTPUTS =~ ^type=image,name=([^,]+),push-by-digest=true,name-canonical=true,push=true$ ]]
		docker buildx build --push --tag "${BASH_REMATCH[1]}:built-${INPUT_PLATFORMS#*/}" --platform "$INPUT_PLATFORMS" --label "$INPUT_LABELS" --metadata-file "$HOME/built" "$INPUT_CONTEXT"
		sed -n 's/.*"containerimage.digest": "\([^"]*\)".*/digest=\1/p' "$HOME/built" >>"$GITHUB_OUTPUT"`,
	"docker/metadata-action@v5": `printf 'tags<<end\n%s\n%s\nend\nannotations=%s:org.opencontainers.image.version=%s\n' \
		"$INPUT_IMAGES:$GITHUB_REF_NAME" "$INPUT_IMAGES:latest" "${DOCKER_METADATA_ANNOTATIONS_LEVELS-manifest}" "$GITHUB_REF_NAME" >>"$GITHUB_OUTPUT"`,
	"actions/upload-artifact@v4": `
		rm -rf "$ARTIFACTS/$INPUT_NAME"
		[ "$INPUT_NAME" = "$LOST" ] || { mkdir -p "$ARTIFACTS/$INPUT_NAME" && cp $INPUT_PATH "$ARTIFACTS/$INPUT_NAME"; }`,
	"actions/download-artifact@v5": `mkdir -p "$INPUT_PATH" && cp -r "$ARTIFACTS"/$INPUT_PATTERN "$INPUT_PATH"`,
	"sigstore/cosign-installer@v3": `
		mkdir -p "$HOME/bin"
		printf '#!/bin/sh\necho "$@" >>"$ARTIFACTS/cosign"\n' >"$HOME/bin/cosign"
		chmod 755 "$HOME/bin/cosign"`,
	"Docker@2": `
		case "$INPUT_COMMAND $INPUT_CONTAINERREGISTRY" in
		"login test-registry") ;; # which has no login
		"login production-registry") echo "$PASSWORD" | docker login --username "$USERNAME" --password-stdin "${PRODUCTION%%/*}" ;;
		*) exit 1 ;;
		esac`,
}

// pipeline is a CI file that a test runs with the scene's daemon.
type pipeline struct {
	*scene
	text   string            // the file, with the names of the test
	vars   map[string]string // environment of all jobs
	inputs map[string]string // replace inputs of the action, and parameters of the template
	action string            // the folder of the action
}

// newPipeline reads a file and replaces names, each of which has to occur.
func (s *scene) newPipeline(file string, names map[string]string) *pipeline {
	s.Helper()
	plugin, err := harness.Plugin()
	if err != nil {
		s.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/docker-multiarch-"+runtime.GOOS) {
			http.ServeFile(w, r, plugin)
		} else {
			http.NotFound(w, r)
		}
	}))
	s.Cleanup(server.Close)
	sum, _, _ := strings.Cut(harness.MustRun(s.T, s.Env, "sha256sum", plugin), " ")
	artifacts, sources := s.TempDir(), s.TempDir()
	for name, content := range map[string]string{"Dockerfile": "FROM scratch\nCOPY content /\n", "content": s.repo} {
		if err := os.WriteFile(filepath.Join(sources, name), []byte(content), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	p := &pipeline{scene: s, text: string(readFile(s.T, file)), action: "..", vars: map[string]string{
		"ARTIFACTS": artifacts, "SOURCES": sources, "LOST": "", "URL": server.URL, "SUM": sum,
	}}
	if strings.Contains(p.text, "/releases/download/v0.1.0") {
		names = maps.Clone(names)
		names["https://github.com/docker-multiarch/docker-multiarch/releases/download/v0.1.0"] = server.URL
		names[strings.Repeat("0", 64)] = sum
	}
	for name, replacement := range names {
		if !strings.Contains(p.text, name) {
			s.Fatalf("%s: got no %q", file, name)
		}
		p.text = strings.ReplaceAll(p.text, name, replacement)
	}
	return p
}

// ciJob is a job on a machine of its own: a home without the plugin.
type ciJob struct {
	*pipeline
	env  *harness.Env
	vars map[string]string // environment of all steps
	ctx  map[string]string // values of expressions and macros
}

// newJob starts a machine whose name contains its architecture.
func (p *pipeline) newJob(machine string, ctx map[string]string, vars ...map[string]string) *ciJob {
	env := newUser(p.T)
	env.UseDaemon(p.daemon)
	if err := os.MkdirAll(filepath.Join(env.Config, "cli-plugins"), 0o700); err != nil {
		p.Fatal(err)
	}
	env.UseBuildx(p.T)
	arch := "amd64"
	if strings.Contains(machine, "arm") {
		arch = "arm64"
	}
	j := &ciJob{pipeline: p, env: env, ctx: ctx, vars: map[string]string{
		"DOCKER_DEFAULT_PLATFORM": "linux/" + arch, "PATH": filepath.Join(env.Home, "bin") + ":" + os.Getenv("PATH"),
		"GITHUB_OUTPUT": filepath.Join(env.Home, "output"), "RUNNER_TEMP": env.Home, "AGENT_TEMPDIRECTORY": env.Home,
	}}
	for _, some := range append([]map[string]string{p.vars}, vars...) {
		maps.Copy(j.vars, some)
	}
	return j
}

// shell runs the text of a step and returns stdout. Its error has all that the step printed.
func (j *ciJob) shell(text string, env map[string]string, shell ...string) (string, error) {
	file := filepath.Join(j.env.Home, "step.sh")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", err
	}
	all := maps.Clone(j.vars)
	maps.Copy(all, env)
	var args []string
	for name, value := range all {
		args = append(args, name+"="+value)
	}
	r := harness.Run(j.T, j.env, "env", append(append(args, shell...), file)...)
	if r.Code != 0 {
		return "", fmt.Errorf("got exit code %d\n%s\n%s%s", r.Code, text, r.Stdout, r.Stderr)
	}
	return r.Stdout, nil
}

// ciStep is a step of GitHub Actions or Azure Pipelines.
type ciStep struct {
	ID, Name, Uses, Run, Shell     string // GitHub
	DisplayName                    string `yaml:"displayName"`
	Checkout, Task, Bash, Template string // Azure
	With, Inputs, Parameters, Env  map[string]string
}

var expression = regexp.MustCompile(`\$\{\{ *([\w.-]+) *\}\}|\$\(([\w.]+)\)|\$\[ dependencies\.(\w+)\.outputs\['([\w.]+)'\] \]`)

// expand replaces expressions, which have to be known, and macros, which remain otherwise.
func (j *ciJob) expand(values map[string]string) (map[string]string, error) {
	out, unknown := map[string]string{}, ""
	for name, value := range values {
		out[name] = expression.ReplaceAllStringFunc(value, func(found string) string {
			key := strings.Trim(strings.Join(expression.FindStringSubmatch(found)[1:], "."), ".")
			known, ok := j.ctx[key]
			if !ok {
				known = found
				if !strings.HasPrefix(found, "$(") {
					unknown = found
				}
			}
			return known
		})
	}
	if unknown != "" {
		return nil, fmt.Errorf("unknown expression %s", unknown)
	}
	return out, nil
}

// steps runs steps in order, until one fails.
func (j *ciJob) steps(steps []ciStep) error {
	for _, step := range steps {
		outputs, err := j.step(step)
		if err != nil {
			return fmt.Errorf("step %q: %w", step.ID+step.Name+step.DisplayName+step.Uses+step.Task, err)
		}
		for name, value := range outputs {
			j.ctx["steps."+step.ID+".outputs."+name] = value // GitHub
			j.ctx[step.Name+"."+name] = value                // Azure
		}
	}
	return nil
}

func (j *ciJob) step(step ciStep) (map[string]string, error) {
	if step.With == nil {
		step.With = step.Inputs
	}
	with, err := j.expand(step.With)
	if err != nil {
		return nil, err
	}
	env, err := j.expand(step.Env)
	if err != nil {
		return nil, err
	}
	strict := []string{"bash", "--noprofile", "--norc", "-eo", "pipefail"}
	switch name := step.Uses + step.Task + step.Checkout; {
	case name == "none":
		return nil, nil
	case step.Run != "" && step.Shell == "":
		return j.outputs(j.shell(step.Run, env, "bash", "-e"))
	case step.Run != "":
		return j.outputs(j.shell(step.Run, env, strict...))
	case step.Bash != "":
		text, err := j.expand(map[string]string{"": step.Bash})
		if err != nil {
			return nil, err
		}
		return j.outputs(j.shell(text[""], env, strict[:3]...))
	case step.Template != "":
		return nil, j.template(step)
	case strings.HasPrefix(name, "docker-multiarch/docker-multiarch@"):
		maps.Copy(with, j.inputs)
		return j.composite(with)
	case standIns[name] == "":
		return nil, fmt.Errorf("no stand-in for %q", name)
	default:
		for k, v := range with {
			env["INPUT_"+strings.ToUpper(k)] = v
		}
		return j.outputs(j.shell(standIns[name], env, strict...))
	}
}

var output = regexp.MustCompile(`(?ms)^##vso\[task\.setvariable variable=(\w+);isOutput=true\]([^\n]*)$|^(\w+)=([^\n]*)$|^(\w+)<<([\w-]+)\n(.*?)\n([\w-]+)$`)

// outputs returns the outputs of a step: those in the file of GitHub, and those that Azure reads on stdout.
func (j *ciJob) outputs(stdout string, err error) (map[string]string, error) {
	if err != nil {
		return nil, err
	}
	file, _ := os.ReadFile(j.vars["GITHUB_OUTPUT"])
	_ = os.Remove(j.vars["GITHUB_OUTPUT"])
	commands := slices.DeleteFunc(strings.Split(stdout, "\n"), func(line string) bool { return !strings.HasPrefix(line, "##vso") })
	found := map[string]string{}
	for _, m := range output.FindAllStringSubmatch(string(file)+strings.Join(commands, "\n"), -1) {
		if m[6] != m[8] {
			return nil, fmt.Errorf("got output that ends with %q, want %q", m[8], m[6])
		}
		found[m[1]+m[3]+m[5]] = m[2] + m[4] + m[7]
	}
	return found, nil
}

// legs returns the legs of a matrix, and one without values for a job that has none.
func legs(matrix []map[string]string) []map[string]string {
	if len(matrix) == 0 {
		return []map[string]string{{}}
	}
	return matrix
}

// decode reads YAML, and refuses fields that the tests do not know.
func decode(text string, v any) error {
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	return d.Decode(v)
}

// github runs a workflow of GitHub Actions, or only some of its jobs.
func (p *pipeline) github(only ...string) error {
	var file struct {
		Name, On         any
		Env, Permissions map[string]string
		Jobs             map[string]struct {
			Needs, Concurrency string
			RunsOn             string `yaml:"runs-on"`
			Permissions        map[string]string
			Strategy           struct {
				Matrix struct{ Include []map[string]string }
			}
			Steps []ciStep
		}
	}
	if err := decode(p.text, &file); err != nil {
		return err
	}
	depth := func(name string) (n int) {
		for ; name != ""; name = file.Jobs[name].Needs {
			n++
		}
		return n
	}
	names := slices.SortedFunc(maps.Keys(file.Jobs), func(a, b string) int { return depth(a) - depth(b) })
	for _, name := range names {
		job := file.Jobs[name]
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		for _, leg := range legs(job.Strategy.Matrix.Include) {
			ctx := map[string]string{"github.actor": loginUser, "github.token": loginSecret, "github.sha": "c0ffee", "github.action_path": p.action}
			for k, v := range leg {
				ctx["matrix."+k] = v
			}
			for k, v := range file.Env {
				ctx["env."+k] = v
			}
			j := p.newJob(job.RunsOn+leg["runner"], ctx, file.Env, map[string]string{
				"GITHUB_REF_NAME": "v1.2.3", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_WORKFLOW_REF": "team/app/.github/workflows/publish.yml@refs/tags/v1.2.3",
				"RUNNER_OS": "Linux", "RUNNER_ARCH": map[string]string{"amd64": "X64", "arm64": "ARM64"}[runtime.GOARCH],
			})
			if err := j.steps(job.Steps); err != nil {
				return fmt.Errorf("job %s: %w", name, err)
			}
		}
	}
	return nil
}

// composite runs action.yml.
func (j *ciJob) composite(with map[string]string) (map[string]string, error) {
	var file struct {
		Name, Description string
		Inputs            map[string]struct {
			Description, Default string
			Required             bool
		}
		Outputs map[string]struct{ Description, Value string }
		Runs    struct {
			Using string
			Steps []ciStep
		}
	}
	if err := decode(string(readFile(j.T, "../action.yml")), &file); err != nil {
		return nil, err
	}
	action := *j
	action.ctx = maps.Clone(j.ctx)
	for name, input := range file.Inputs {
		action.ctx["inputs."+name] = input.Default
	}
	for name, value := range with {
		if _, ok := file.Inputs[name]; !ok {
			return nil, fmt.Errorf("action.yml has no input %s", name)
		}
		action.ctx["inputs."+name] = value
	}
	if err := action.steps(file.Runs.Steps); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, output := range file.Outputs {
		values[name] = output.Value
	}
	return action.expand(values)
}

// gitlab runs a pipeline of GitLab CI.
func (p *pipeline) gitlab(vars map[string]string) error {
	type job struct {
		Stage, Image   string
		ResourceGroup  string `yaml:"resource_group"`
		Tags, Services []string
		BeforeScript   []string `yaml:"before_script"`
		Script         []string
		Parallel       struct{ Matrix []map[string]string }
	}
	var file struct {
		Stages    []string
		Variables map[string]string
		Jobs      map[string]yaml.Node `yaml:",inline"`
	}
	if err := decode(p.text, &file); err != nil {
		return err
	}
	for _, stage := range file.Stages {
		for name, node := range file.Jobs {
			var one job
			text, err := yaml.Marshal(&node)
			if err == nil {
				err = decode(string(text), &one)
			}
			if err != nil {
				return fmt.Errorf("job %s: %w", name, err)
			}
			if one.Stage != stage {
				continue
			}
			for _, leg := range legs(one.Parallel.Matrix) {
				j := p.newJob(leg["RUNNER"], nil, file.Variables, vars, leg)
				_, err := j.shell(checkout, nil, "sh")
				if err == nil {
					_, err = j.shell(strings.Join(append(one.BeforeScript, one.Script...), "\n"), nil, "sh", "-e")
				}
				if err != nil {
					return fmt.Errorf("job %s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// azure runs a pipeline of Azure Pipelines.
func (p *pipeline) azure(vars map[string]string) error {
	var file struct {
		Trigger   []string
		Variables map[string]string
		Jobs      []struct {
			Job       string
			DependsOn string `yaml:"dependsOn"`
			Strategy  struct{ Matrix map[string]map[string]string }
			Pool      struct {
				VMImage string `yaml:"vmImage"`
			}
			Variables map[string]string
			Steps     []ciStep
		}
	}
	if err := decode(p.text, &file); err != nil {
		return err
	}
	outputs := map[string]string{}
	for _, job := range file.Jobs { // which stand in the order of dependsOn
		for _, leg := range legs(slices.Collect(maps.Values(job.Strategy.Matrix))) {
			ctx := maps.Clone(outputs)
			j := p.newJob(job.Pool.VMImage+leg["vmImage"], ctx)
			for _, some := range []map[string]string{vars, file.Variables, leg, job.Variables} {
				values, err := j.expand(some)
				if err != nil {
					return err
				}
				for name, value := range values {
					ctx[name] = value
					j.vars[strings.ToUpper(strings.ReplaceAll(name, ".", "_"))] = value
				}
			}
			if err := j.steps(job.Steps); err != nil {
				return fmt.Errorf("job %s: %w", job.Job, err)
			}
			for name, value := range ctx {
				outputs[job.Job+"."+name] = value
			}
		}
	}
	return nil
}

// template runs the steps of a template with parameters.
func (j *ciJob) template(step ciStep) error {
	var file struct {
		Parameters []struct {
			Name, Type string
			Default    *string
		}
		Steps []ciStep
	}
	if err := decode(string(readFile(j.T, filepath.Join("../examples", step.Template))), &file); err != nil {
		return err
	}
	given, err := j.expand(step.Parameters)
	if err != nil {
		return err
	}
	maps.Copy(given, j.inputs)
	for _, p := range file.Parameters {
		value, ok := given[p.Name]
		if !ok && p.Default == nil {
			return fmt.Errorf("%s needs parameter %s", step.Template, p.Name)
		} else if !ok {
			value = *p.Default
		}
		j.ctx["parameters."+p.Name] = value
	}
	return j.steps(file.Steps)
}
