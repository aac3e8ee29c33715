package task

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// The defaults of the format.
const (
	defaultTimeout     = 10 * time.Minute
	defaultRetryDelay  = 5 * time.Second
	defaultNetworkName = "acb_default_network"
	defaultDriver      = "bridge"
	defaultIDPrefix    = "acb_step_"
)

// maxSteps limits the comparisons between steps.
const maxSteps = 1000

// rootID is the id of the start of the run. A step that waits only for it waits for none.
const rootID = "acb_root"

// The keys of each mapping of the format.
var (
	fileKeys = strings.Fields("version alias env networks secrets stepTimeout steps totalTimeout volumes workingDirectory")
	stepKeys = strings.Fields("id cmd build push when timeout startDelay retries retryDelay retryOnErrors repeat ignoreErrors " +
		"exitedWith exitedWithout onError detach keep context workingDirectory disableWorkingDirectoryOverride env pull " +
		"cmdDownloadRetries cmdDownloadRetryDelay entryPoint user network isolation cpus privileged expose ports volumeMounts logins cache")
	networkKeys = strings.Fields("name driver ipv6 skipCreation isDefault")
	volumeKeys  = strings.Fields("name secret")
	mountKeys   = strings.Fields("name mountPath")
	secretKeys  = strings.Fields("id keyvault clientID")
)

var (
	namePattern   = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	volumePattern = lazyregexp.New(`^[a-zA-Z0-9_-]+$`)
	uuidPattern   = lazyregexp.New(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	envPattern    = lazyregexp.New(`^[^=\s]+=`)
)

// Parse returns a rendered file with all defaults, and errors and warnings.
func Parse(r Rendered) (File, []Finding) {
	p := parseFile(r)
	return p.file, slices.DeleteFunc(p.sorted(), func(f Finding) bool { return f.Severity == Lint })
}

// parser makes a File of the values of a decoder.
type parser struct {
	decoder
	file File
	// Defaults for all steps.
	timeout time.Duration
	dir     string
	env     []string
	network string
	// steps are the mappings of the steps, empty for one that is not a mapping.
	steps []fields
	ids   []string
	// index has the first step with each id.
	index map[string]int
}

func parseFile(r Rendered) *parser {
	p := &parser{decoder: decoder{rendered: r}, index: map[string]int{}}
	if root, ok := p.document(); ok {
		if top, ok := p.fields(root, fileKeys); ok {
			p.parse(top)
		}
	}
	return p
}

func (p *parser) parse(top fields) {
	p.file.Timeout = top.seconds("totalTimeout", 0)
	p.lintGiven(top, "totalTimeout", extension)
	p.timeout = top.seconds("stepTimeout", defaultTimeout)
	p.dir = p.directory(top)
	p.env = p.taskEnv(top)
	p.networks(top)
	p.volumes(top)
	p.secrets(top)
	items := top.list("steps")
	if len(items) == 0 && (!top.has("steps") || top.at("steps").node.Kind == yaml.SequenceNode) {
		if step, ok := top.values["step"]; ok {
			p.errorf(value{key: step.key, node: step.name}, "unknown key: did you mean steps?")
		} else {
			p.report(Warning, top.at("steps"), "the file has no steps")
		}
	}
	if len(items) > maxSteps {
		p.errorf(top.at("steps"), "expected at most %d steps, found %d", maxSteps, len(items))
		items = items[:maxSteps]
	}
	for i, item := range items {
		p.identify(i, item)
	}
	for i, s := range p.steps {
		p.file.Steps = append(p.file.Steps, p.step(i, s))
	}
}

// directory returns a workingDirectory, relative to the workspace.
func (p *parser) directory(f fields) string {
	dir := strings.Trim(path.Clean("./"+strings.TrimLeft(f.text("workingDirectory"), "/")), "/")
	switch {
	case dir == ".":
		return ""
	case dir == ".." || strings.HasPrefix(dir, "../"):
		p.errorf(f.at("workingDirectory"), "expected a folder below the workspace, found %s", show(f.text("workingDirectory")))
	}
	return dir
}

// taskEnv returns the env of the run, overridden by that of the file. One item may contain several variables, separated
// by commas.
func (p *parser) taskEnv(f fields) []string {
	env := slices.Clone(p.rendered.Env)
	for v, item := range p.strings(f.list("env")) {
		parts := strings.Split(item, ",")
		if slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(part, "=") }) {
			parts = []string{item}
		}
		for _, part := range parts {
			env = p.setEnv(env, v, strings.TrimSpace(part))
		}
	}
	return env
}

// stepEnv returns the env of a step: that of the file, overridden by its own.
func (p *parser) stepEnv(f fields) []string {
	env := slices.Clone(p.env)
	for v, item := range p.strings(f.list("env")) {
		env = p.setEnv(env, v, item)
	}
	return env
}

// setEnv sets a variable in an env. Its value may be secret.
func (p *parser) setEnv(env []string, v value, item string) []string {
	if !envPattern().MatchString(item) {
		p.errorf(v, "expected KEY=VALUE with a KEY without spaces")
		return env
	}
	name, val, _ := strings.Cut(item, "=")
	item = name + "=" + unquoteValue(val)
	for i, other := range env {
		if other == name || strings.HasPrefix(other, name+"=") {
			env[i] = item
			return env
		}
	}
	return append(env, item)
}

// unquoteValue returns a value without surrounding quotes. ACR Tasks passes values to a shell, so that those with spaces
// are quoted.
func unquoteValue(s string) string {
	if strings.HasPrefix(s, `"`) || strings.HasPrefix(s, "'") {
		if all, err := words(s); err == nil && len(all) == 1 {
			return all[0]
		}
	}
	return s
}

func (p *parser) networks(top fields) {
	seen := map[string]bool{}
	for _, f := range top.mappings("networks", networkKeys) {
		n := Network{Name: f.text("name"), Driver: cmp.Or(f.text("driver"), defaultDriver),
			IPv6: f.flag("ipv6"), External: f.flag("skipCreation")}
		if !namePattern().MatchString(n.Name) {
			p.errorf(f.at("name"), "expected a name of letters, digits, _, . and -, found %s", show(n.Name))
		}
		p.unique(f.at("name"), "network", n.Name, seen)
		if f.flag("isDefault") {
			p.network = n.Name
		}
		p.file.Networks = append(p.file.Networks, n)
	}
	if !top.has("networks") || len(p.file.Networks) == 0 {
		p.network = defaultNetworkName
		p.file.Networks = []Network{{Name: defaultNetworkName, Driver: defaultDriver}}
	}
}

// unique reports a name that was seen before.
func (p *parser) unique(v value, what, name string, seen map[string]bool) {
	if seen[name] && name != "" {
		p.errorf(v, "duplicate %s %s", what, show(name))
	}
	seen[name] = true
}

func (p *parser) volumes(top fields) {
	seen := map[string]bool{}
	for _, f := range top.mappings("volumes", volumeKeys) {
		volume := Volume{Name: f.text("name")}
		if !volumePattern().MatchString(volume.Name) {
			p.errorf(f.at("name"), "expected a name of letters, digits, _ and -, found %s", show(volume.Name))
		}
		p.unique(f.at("name"), "volume", volume.Name, seen)
		if secret, ok := f.values["secret"]; ok {
			volume.Files = p.secretFiles(secret)
		}
		p.file.Volumes = append(p.file.Volumes, volume)
	}
}

// secretFiles returns the files of a secret volume. Findings do not contain their content.
func (p *parser) secretFiles(v value) map[string][]byte {
	files := map[string][]byte{}
	if v.node.Kind != yaml.MappingNode {
		p.errorf(v, "expected a mapping of file names to base64")
		return files
	}
	f, _ := p.fields(v, nil)
	for name, content := range f.values {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
			p.errorf(content, "expected the name of a file without folders")
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(content.node.Value))
		if content.node.Kind != yaml.ScalarNode || err != nil {
			p.errorf(content, "expected the content of the file in base64")
		}
		files[name] = raw
	}
	return files
}

func (p *parser) secrets(top fields) {
	seen := map[string]bool{}
	for _, f := range top.mappings("secrets", secretKeys) {
		secret, keyVault := f.text("id"), f.text("keyvault") // which is not accessed
		if secret == "" || strings.ContainsAny(secret, " \t\n") {
			p.errorf(f.at("id"), "expected an id without spaces, found %s", show(secret))
		}
		p.unique(f.at("id"), "secret", secret, seen)
		if u, err := url.Parse(keyVault); keyVault != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			p.errorf(f.at("keyvault"), "expected the URL of a secret in a key vault, as in https://myvault.vault.azure.net/secrets/name")
		}
		if id := f.text("clientID"); id != "" && !uuidPattern().MatchString(id) {
			p.errorf(f.at("clientID"), "expected a UUID, as in 00000000-0000-0000-0000-000000000000, found %s", show(id))
		}
		p.file.Secrets = append(p.file.Secrets, secret)
	}
}
