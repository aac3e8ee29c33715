package task

import (
	"cmp"
	"fmt"
	"math/big"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/go-connections/nat"
	"go.yaml.in/yaml/v3"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

var contextPattern = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.+-]*$`)

// dockerNetworks exist on every daemon.
var dockerNetworks = []string{"bridge", "host", "none"}

// identify reads the mapping of a step and its id, before any step is parsed.
func (p *parser) identify(i int, item value) {
	f := fields{decoder: &p.decoder, value: item}
	if item.null() {
		p.errorf(item, "empty step: expected a mapping with one of cmd, build and push")
	} else {
		f, _ = p.fields(item, stepKeys)
	}
	id := cmp.Or(f.text("id"), fmt.Sprint(defaultIDPrefix, i))
	p.steps, p.ids = append(p.steps, f), append(p.ids, id)
	switch {
	case id == rootID:
		p.errorf(f.at("id"), "the id %s is reserved for the start of the run", rootID)
	case !namePattern().MatchString(id):
		p.errorf(f.at("id"), "expected an id of letters, digits, _, . and - that starts with a letter or digit, found %s", show(id))
	}
	if other, twice := p.index[id]; twice {
		p.errorf(f.at("id"), "duplicate id %s, also used by %s", show(id), p.steps[other].key)
		return
	}
	p.index[id] = i
}

func (p *parser) step(i int, f fields) Step {
	s := Step{
		Position:      p.position(f.value),
		ID:            p.ids[i],
		Env:           p.stepEnv(f),
		After:         p.after(i, f),
		Timeout:       f.seconds("timeout", p.timeout),
		StartDelay:    f.seconds("startDelay", 0),
		Retries:       f.number("retries"),
		RetryDelay:    f.seconds("retryDelay", defaultRetryDelay),
		RetryOnErrors: f.texts("retryOnErrors"),
		Repeat:        f.number("repeat"),
		IgnoreErrors:  f.flag("ignoreErrors"),
		ExitedWith:    f.numbers("exitedWith"),
		ExitedWithout: f.numbers("exitedWithout"),
		CancelRest:    p.oneOf(f, "onError", "wait", "cancel") == "cancel",
		Detach:        f.flag("detach"),
		Keep:          f.flag("keep"),
		Context:       f.text("context"),
		NoDir:         f.flag("disableWorkingDirectoryOverride"),
		Dir:           p.dir,
	}
	if f.has("workingDirectory") {
		s.Dir = p.directory(f)
	}
	if s.Context != "" && !contextPattern().MatchString(s.Context) {
		p.errorf(f.at("context"), "expected the name of a docker context, found %s: 'docker context ls' lists them", show(s.Context))
	}
	p.lintGiven(f, "context logins onError exitedWith exitedWithout", extension)
	if f.node.Kind == yaml.MappingNode {
		s.Action = p.action(f, s.Env)
		p.ineffective(f, s.Action)
	}
	if _, push := s.Action.(Push); push { // which has its own retries
		s.Retries, s.RetryOnErrors, s.Repeat, s.Detach = 0, nil, 0, false
	}
	p.container(f, &s)
	if script, ok := s.Action.(Script); ok && s.Detach && script.container {
		p.errorf(f.at("detach"), "further commands cannot follow a container in the background: expected them in a step of their own")
	}
	if c, ok := s.Action.(Container); ok {
		s.Detach = s.Detach || c.Flags.Detach
		s.Pull = s.Pull || c.Flags.Pull
		if c.Flags.Network != "" {
			s.Network = p.existingNetwork(f.at("cmd"), c.Flags.Network)
		}
	}
	return s
}

// container reads the properties of a step's container.
func (p *parser) container(f fields, s *Step) {
	s.Pull = f.flag("pull")
	s.PullRetries, s.PullRetryDelay = f.number("cmdDownloadRetries"), f.seconds("cmdDownloadRetryDelay", 0)
	s.EntryPoint, s.User = f.text("entryPoint"), f.text("user")
	s.Network = p.network
	if name := f.text("network"); name != "" {
		s.Network = p.existingNetwork(f.at("network"), name)
	}
	s.Isolation = p.oneOf(f, "isolation", "default", "process", "hyperv")
	s.CPUs = p.cpus(f)
	s.Privileged = f.flag("privileged")
	s.Expose = p.ports(f, "expose", "PORT[-PORT][/PROTOCOL]")
	s.Ports = p.ports(f, "ports", "[[IP:]HOST-PORT:]PORT[/PROTOCOL]")
	s.Mounts = p.mounts(f)
	for v, registry := range p.strings(f.listOrOne("logins")) {
		if !IsRegistry(registry) {
			p.errorf(v, "expected the host name of a registry, found %s", show(registry))
		}
		s.Logins = append(s.Logins, registry)
	}
	s.Cache = p.oneOf(f, "cache", "enabled", "disabled") == "enabled"
}

// IsRegistry reports whether s is a registry in the form of an image name.
func IsRegistry(s string) bool {
	named, err := reference.ParseNormalizedNamed(s + "/a/a")
	return err == nil && reference.Domain(named) == s
}

// oneOf returns the value of a field in lower case, which is one of allowed, or "" if the field is missing.
func (p *parser) oneOf(f fields, name string, allowed ...string) string {
	given := strings.ToLower(f.text(name))
	if given != "" && !slices.Contains(allowed, given) {
		p.errorf(f.at(name), "expected %s, found %s", strings.Join(allowed, " or "), show(f.text(name)))
	}
	return given
}

// after returns the indexes of the steps that the i-th one waits for.
func (p *parser) after(i int, f fields) []int {
	items := f.listOrOne("when")
	if len(items) == 0 && i > 0 {
		return []int{i - 1}
	}
	var after []int
	for v, id := range p.strings(items) {
		if id == rootID {
			continue
		}
		if id == "-" {
			if len(items) > 1 {
				p.errorf(v, "- means that the step waits for no other: expected it as the only item")
			}
			continue
		}
		if other, ok := p.waited(i, id, v); ok && !slices.Contains(after, other) {
			after = append(after, other)
		}
	}
	slices.Sort(after)
	return after
}

// waited returns the index of the step with an id that the i-th one waits for.
func (p *parser) waited(i int, id string, v value) (int, bool) {
	other, ok := p.index[id]
	switch {
	case !ok:
		p.errorf(v, "no step has the id %s%s", show(id), manifest.DidYouMean(id, p.ids[:i]))
	case other == i:
		p.errorf(v, "the step waits for itself: expected the id of an earlier step")
	case other > i:
		p.errorf(v, "%s is a later step, at line %d: expected the id of an earlier one", show(id), p.position(p.steps[other].value).Line)
	default:
		return other, true
	}
	return 0, false
}

// action returns the action of a step, nil after an error.
func (p *parser) action(f fields, env []string) Action {
	switch p.kind(f) {
	case "push":
		return p.push(f)
	case "build":
		return p.build(f.values["build"])
	case "cmd":
		return p.command(f.values["cmd"], env)
	}
	return nil
}

// kind returns which of cmd, build and push a step has, "" for none or several.
func (p *parser) kind(f fields) string {
	var kinds []string
	for _, kind := range []string{"cmd", "build", "push"} {
		if v, ok := f.values[kind]; ok && (v.node.Kind != yaml.ScalarNode || strings.TrimSpace(v.node.Value) != "") {
			kinds = append(kinds, kind)
		}
	}
	switch len(kinds) {
	case 0:
		p.errorf(f.value, "expected one of cmd, build and push, found none")
	case 1:
		return kinds[0]
	default:
		p.errorf(f.at(kinds[1]), "expected one of cmd, build and push, found %s: use separate steps", strings.Join(kinds, " and "))
	}
	return ""
}

// build returns a build, nil if its text has no words.
func (p *parser) build(v value) Action {
	text, ok := p.string(v)
	if !ok {
		return nil
	}
	all, err := words(text)
	if err != nil {
		p.errorf(v, "%v", err)
		return nil
	}
	build, errs := parseBuild(all)
	for _, err := range errs {
		p.errorf(v, "%v", err)
	}
	return build
}

// command returns the action of a cmd in a step with this env, nil after an error.
func (p *parser) command(v value, env []string) Action {
	text, ok := p.string(v)
	if !ok {
		return nil
	}
	parsed, err := parseText(text)
	if err != nil {
		p.errorf(v, "%v", err)
		return nil
	}
	for _, name := range parsed.Unset(env) {
		p.lintf(v, "$%s has no value here and is left unchanged: ACR Tasks would replace it with an empty text", name)
	}
	action, err := parseCommand(parsed, env, p.rendered.Commands, p.rendered.Registry)
	if err != nil {
		p.errorf(v, "%v", err)
	}
	if err := notOurs(action); err != nil {
		p.report(Warning, v, "this runs in a container, without your logins: docker multiarch has no equivalent command (%v)", err)
	}
	return action
}

func (p *parser) push(f fields) Action {
	var images []reference.NamedTagged
	seen := map[string]bool{}
	items := f.listOrOne("push")
	if len(items) == 0 && f.values["push"].node.Kind == yaml.SequenceNode {
		p.errorf(f.at("push"), "empty list: expected the images to push")
	}
	for v, s := range p.strings(items) {
		name, err := pushed(s)
		if err != nil {
			p.errorf(v, "%v", err)
			continue
		}
		if !seen[name.String()] {
			images = append(images, name)
		}
		seen[name.String()] = true
	}
	return Push{images}
}

// existingNetwork returns the name of a network that is used at v. A predefined network of docker is added to those of the
// file.
func (p *parser) existingNetwork(v value, name string) string {
	is := func(n Network) bool { return n.Name == name }
	switch {
	case slices.ContainsFunc(p.file.Networks, is):
	case slices.Contains(dockerNetworks, name):
		p.file.Networks = append(p.file.Networks, Network{Name: name, Driver: name, External: true})
	default:
		known := slices.Clone(dockerNetworks)
		for _, n := range p.file.Networks {
			known = append(known, n.Name)
		}
		p.errorf(v, "the file has no network %s%s", show(name), manifest.DidYouMean(name, known))
	}
	return name
}

// cpus returns the number of CPUs of a container, as in docker run --cpus.
func (p *parser) cpus(f fields) string {
	s := f.text("cpus")
	if s == "" {
		return ""
	}
	n, ok := new(big.Rat).SetString(s)
	if !ok || n.Sign() < 0 || !new(big.Rat).Mul(n, big.NewRat(1e9, 1)).IsInt() {
		p.errorf(f.at("cpus"), "expected a number of CPUs, as in 1.5, found %s", show(s))
	}
	return s
}

// ports returns the ports of a field, in a form that docker run accepts.
func (p *parser) ports(f fields, name, form string) []string {
	var out []string
	for v, s := range p.strings(f.list(name)) {
		_, err := nat.ParsePortSpec(s)
		if err != nil || name == "expose" && strings.Contains(s, ":") {
			p.errorf(v, "expected %s, found %s", form, show(s))
		}
		out = append(out, s)
	}
	return out
}

func (p *parser) mounts(f fields) []Mount {
	if f.has("volumeMounts") && f.has("push") {
		p.errorf(f.at("volumeMounts"), "a push has no container, so volumeMounts is not allowed")
	}
	var out []Mount
	seen := map[string]bool{}
	for _, m := range f.mappings("volumeMounts", mountKeys) {
		mount := Mount{m.text("name"), m.text("mountPath")}
		p.mountedVolume(m, mount.Volume)
		if !path.IsAbs(mount.Path) {
			p.errorf(m.at("mountPath"), "expected an absolute path in the container, found %s", show(mount.Path))
		}
		p.unique(m.at("mountPath"), "mount at", path.Clean(mount.Path), seen)
		out = append(out, mount)
	}
	return out
}

// mountedVolume checks the name of the volume of a mount.
func (p *parser) mountedVolume(m fields, name string) {
	known := make([]string, len(p.file.Volumes))
	for i, volume := range p.file.Volumes {
		known[i] = volume.Name
	}
	switch {
	case name == DockerSocket:
		p.lintf(m.at("name"), "mounting %s has an effect only in docker multiarch: ACR Tasks always mounts it", DockerSocket)
	case name == "":
		p.errorf(m.at("name"), "expected the name of a volume of the file")
	case !slices.Contains(known, name):
		p.errorf(m.at("name"), "the file has no volume %s%s", show(name), manifest.DidYouMean(name, known))
	}
}
