package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// The two tools, as words of TURNS in testdata/dropin/turn.sh.
const (
	docker = "manifest"
	ours   = "multiarch"
)

// dropinRun is one run of a script, with its own home and repositories.
type dropinRun struct {
	env   *harness.Env
	repos map[string]dropinRepo // by the variable that the script has for it
	steps []dropinStep
	// registry has a line for each tag of the repositories after the run.
	registry []string
}

// dropinRepo is a repository of a run.
type dropinRepo struct {
	registry *servers.Registry
	path     string
}

func (r dropinRepo) name() string { return r.registry.Host + "/" + r.path }

// dropinStep is the result of one command of a script. Repository names are replaced with the variables that the
// script has for them.
type dropinStep struct {
	command, stdout, stderr string
	code                    string
	store                   map[string]string // JSON without our own field, by path
}

// shown returns the step without stderr, which is not compared.
func (s dropinStep) shown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ %s\n%s", s.command, s.stdout)
	if s.stdout != "" && !strings.HasSuffix(s.stdout, "\n") {
		b.WriteString("\n")
	}
	if s.code != "0" {
		fmt.Fprintf(&b, "exit code %s\n", s.code)
	}
	return b.String()
}

// shownStore returns the local store after the step.
func (s dropinStep) shownStore() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(s.store)) {
		fmt.Fprintf(&b, "%s: %s\n", path, s.store[path])
	}
	return b.String()
}

// dropinRuns counts the runs: each has its own repositories.
var dropinRuns atomic.Int32

// runDropin runs a script; turns names the tool for each of its commands. The runs of one script are numbered by
// variant: those of a single tool, 0 and 1, use one kind of registry, the others the other kind.
func runDropin(t *testing.T, c dropinCase, variant int, turns []string) *dropinRun {
	t.Helper()
	here, elsewhere := harness.Registry(t, harness.V3), harness.Registry(t, harness.V28)
	if variant > 1 {
		here, elsewhere = elsewhere, here
	}
	base := fmt.Sprintf("%04d/%s/", dropinRuns.Add(1), c.name)
	r := &dropinRun{env: harness.NewEnv(t), repos: map[string]dropinRepo{
		"R": {here, base + "app"}, "O": {here, base + "other"}, "X": {elsewhere, base + "app"},
	}}
	r.seed(t, c.script)
	steps := t.TempDir()
	r.env.Set("STEPS", steps)
	r.env.Set("TURNS", strings.Join(turns, " "))
	for variable, repo := range r.repos {
		r.env.Set(variable, repo.name())
	}
	for name, image := range dropinImages() {
		r.env.Set(name, image.Digest().String())
	}
	folder, err := filepath.Abs(dropinFolder)
	if err != nil {
		t.Fatal(err)
	}
	harness.MustRun(t, r.env, "sh", "-euc", `. "$0"; set +e; . "$1"; :`, filepath.Join(folder, "turn.sh"), filepath.Join(folder, "cases", c.name+".sh"))
	r.readSteps(t, steps)
	for _, variable := range slices.Sorted(maps.Keys(r.repos)) {
		r.readRepo(t, variable)
	}
	return r
}

// readSteps reads the files that turn.sh wrote.
func (r *dropinRun) readSteps(t *testing.T, folder string) {
	t.Helper()
	commands, err := filepath.Glob(filepath.Join(folder, "*.command"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		base := strings.TrimSuffix(command, "command")
		read := func(file string) string {
			data, err := os.ReadFile(base + file)
			if err != nil {
				t.Fatal(err)
			}
			return r.neutral(string(data))
		}
		step := dropinStep{
			command: strings.TrimSpace(read("command")), stdout: read("stdout"), stderr: read("stderr"),
			code: strings.TrimSpace(read("code")), store: r.readStore(t, base+"store"),
		}
		r.steps = append(r.steps, step)
	}
}

// neutral replaces the names of the run's repositories, which are also part of file and folder names.
func (r *dropinRun) neutral(s string) string {
	var pairs []string
	for variable, repo := range r.repos {
		name := repo.name()
		pairs = append(pairs, name, variable, inFileName.Replace(name), variable)
	}
	for _, variable := range slices.Sorted(maps.Keys(r.repos)) {
		repo := r.repos[variable]
		pairs = append(pairs, repo.registry.Host, "HOST-"+variable, repo.path, variable)
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

var inFileName = strings.NewReplacer(":", "-", "/", "_")

// readStore reads a local store, except for names with a leading dot, which docker manifest ignores.
func (r *dropinRun) readStore(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[r.neutral(name)] = r.neutral(withoutOurField(data))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// withoutOurField returns an entry file without the field that docker manifest does not know; a file that is not JSON
// is returned as it is.
func withoutOurField(data []byte) string {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return string(data)
	}
	delete(fields, "Multiarch")
	plain, err := json.Marshal(fields)
	if err != nil {
		return string(data)
	}
	return string(plain)
}

// readRepo records each tag of a repository, its digest, and whether all content below it exists.
func (r *dropinRun) readRepo(t *testing.T, variable string) {
	t.Helper()
	repo := r.repos[variable]
	tags := harness.Tags(t, repo.registry, repo.path)
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		line := variable + ":" + tag + " is " + tags[tag]
		if err := repo.registry.Check(t.Context(), repo.path, tag); err != nil {
			line += ", incomplete: " + r.neutral(err.Error())
		}
		r.registry = append(r.registry, line)
	}
}

// complaints returns what no run of either tool may do: fail without a message on stderr, or crash.
func (r *dropinRun) complaints() []string {
	var out []string
	for _, s := range r.steps {
		if s.code != "0" && strings.TrimSpace(s.stderr) == "" {
			out = append(out, s.shown()+"got no message on stderr")
		}
		if strings.Contains(s.stderr, "panic:") || strings.Contains(s.stderr, "goroutine ") || strings.Contains(s.stderr, "DATA RACE") {
			out = append(out, s.shown()+s.stderr)
		}
	}
	return out
}

// differences returns how the run differs from another run of the same script.
func (r *dropinRun) differences(other *dropinRun) []string {
	var out []string
	note := func(what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s:\ngot\n%s\nwant\n%s", what, a, b))
		}
	}
	note("commands", fmt.Sprint(len(r.steps)), fmt.Sprint(len(other.steps)))
	for i := range min(len(r.steps), len(other.steps)) {
		a, b := r.steps[i], other.steps[i]
		if a.shown() != b.shown() {
			note("output", a.shown()+a.stderr, b.shown()+b.stderr)
		}
		note("store after "+a.command, a.shownStore(), b.shownStore())
	}
	note("registry", strings.Join(r.registry, "\n"), strings.Join(other.registry, "\n"))
	return out
}

var (
	anyDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	anySize   = regexp.MustCompile(`"size":[0-9]+`)
	anyRaw    = regexp.MustCompile(`"Raw":"[^"]*"`)
	anyFile   = regexp.MustCompile(`sha256-[0-9a-f]{64}`)
)

// digestNames names digests after the images, and numbers the others.
type digestNames struct {
	names  map[string]string
	images int
}

func newDigestNames() digestNames {
	n := digestNames{names: map[string]string{}}
	for name, image := range dropinImages() {
		n.names[image.Digest().String()] = "{" + name + "}"
		for i, child := range image.Children {
			if child.Descriptor.Annotations != nil {
				n.names[child.Digest().String()] = fmt.Sprintf("{%s %d}", name, i+1)
			}
		}
	}
	n.images = len(n.names)
	return n
}

func (n digestNames) name(digest string) string {
	digest = strings.Replace(digest, "-", ":", 1)
	if _, ok := n.names[digest]; !ok {
		n.names[digest] = fmt.Sprintf("{#%d}", len(n.names)-n.images+1)
	}
	return n.names[digest]
}

// replace replaces digests in s with their names, and hides sizes and raw manifests.
func (n digestNames) replace(s string) string {
	s = anyFile.ReplaceAllStringFunc(anyDigest.ReplaceAllStringFunc(s, n.name), n.name)
	return anySize.ReplaceAllString(anyRaw.ReplaceAllString(s, `"Raw":"..."`), `"size":N`)
}

// compact returns s without white space if it is JSON.
func compact(s string) string {
	var out bytes.Buffer
	if json.Compact(&out, []byte(s)) != nil || out.Len() == 0 {
		return s
	}
	return out.String()
}

// transcript returns the run in the form of a script's comment: all that differences compares, with named digests,
// and the entries of the last local store.
func (r *dropinRun) transcript(names digestNames) string {
	var b strings.Builder
	for _, s := range r.steps {
		s.stdout = compact(s.stdout)
		b.WriteString(s.shown())
	}
	var store []string
	last := r.steps[len(r.steps)-1].store
	for _, path := range slices.Sorted(maps.Keys(last)) {
		store = append(store, names.replace(fmt.Sprintf("store %s: %s\n", path, shortEntry(last[path]))))
	}
	slices.Sort(store)
	text := names.replace(b.String()) + strings.Join(store, "")
	for _, line := range r.registry {
		text += names.replace("registry " + line + "\n")
	}
	return text
}

// shortEntry returns the relevant part of an entry file.
func shortEntry(data string) string {
	var e struct {
		Ref        string
		Descriptor json.RawMessage
	}
	if json.Unmarshal([]byte(data), &e) != nil {
		return strconv.Quote(data)
	}
	return strings.TrimSpace(e.Ref + " " + string(e.Descriptor))
}
