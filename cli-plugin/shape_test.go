package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/docker-multiarch/docker-multiarch/"

// allowed are the packages of this module that each package may import. Imports point one way:
// the plugin, the commands, the packages they use, the domain.
var allowed = map[string][]string{
	"cli-plugin":           {"commands"},
	"commands":             {"manifest", "manifest/inspect", "manifest/publish", "manifest/store", "repository", "transfer", "verify", "layout", "registry", "daemon", "credentials", "display", "task", "task/render", "task/run", "internal/lazyregexp"},
	"display":              {"manifest", "manifest/inspect", "manifest/publish", "manifest/store", "repository", "transfer", "verify", "task", "task/run", "internal/lazyregexp"},
	"internal/fakes":       {"manifest", "manifest/publish"},
	"manifest":             {"internal/lazyregexp", "internal/memo", "internal/pause"},
	"manifest/inspect":     {"manifest", "internal/memo"},
	"manifest/publish":     {"manifest", "internal/pause"},
	"internal/compression": {},
	"internal/lazyregexp":  {},
	"internal/memo":        {},
	"internal/pause":       {},
	"internal/throttle":    {},
	"verify/program":       {},
	"manifest/store":       {"manifest"},
	"registry":             {"manifest", "internal/lazyregexp", "internal/memo", "registry/transport"},
	"registry/transport":   {"internal/lazyregexp", "internal/memo", "internal/pause"},
	"layout":               {"manifest", "internal/compression"},
	"repository":           {"manifest", "manifest/publish", "internal/memo", "internal/pause"},
	"transfer":             {"manifest", "manifest/publish", "internal/memo"},
	"verify":               {"manifest", "verify/program", "internal/compression", "internal/memo"},
	"daemon":               {"manifest", "task", "task/run", "internal/lazyregexp", "internal/memo"},
	"credentials":          {"manifest", "internal/memo"},
	"docs/generate":        {"commands"},
	"release/image":        {},
	"task":                 {"manifest", "task/shell", "internal/lazyregexp"},
	"task/render":          {"manifest", "task", "internal/lazyregexp"},
	"task/run":             {"manifest", "task", "task/run/workspace", "task/shell", "internal/lazyregexp", "internal/memo", "internal/pause"},
	"task/run/workspace":   {"manifest", "internal/compression"},
	"task/shell":           {"internal/lazyregexp", "internal/pause"},
}

// only are modules that a single package may import, and those that the domain may not.
var only = map[string][]string{
	"github.com/docker/docker/":                   {"daemon"},
	"github.com/docker/cli/cli/manifest/":         {},
	"github.com/docker/distribution/":             {},
	"github.com/google/go-containerregistry/":     {},
	"github.com/docker/cli/":                      {"cli-plugin", "commands", "display", "daemon", "credentials", "docs/generate"},
	"github.com/containerd/containerd/v2/":        {"registry", "registry/transport"},
	"net/http":                                    {"layout", "registry", "registry/transport", "daemon", "internal/throttle"},
	"github.com/docker/docker-credential-helpers": {"credentials"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImports(t *testing.T) {
	all := packages(t)
	if len(all) != len(allowed) {
		t.Errorf("%d packages, but %d have rules", len(all), len(allowed))
	}
	for _, p := range all {
		name := strings.TrimPrefix(p.ImportPath, module)
		rule, ok := allowed[name]
		if !ok {
			t.Errorf("%s has no rule: what may it import?", name)
		}
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, module); ok && !slices.Contains(rule, ours) {
				t.Errorf("%s imports %s", name, ours)
			}
			for prefix, users := range only {
				if strings.HasPrefix(i+"/", prefix+"/") || strings.HasSuffix(prefix, "/") && strings.HasPrefix(i, prefix) {
					if !slices.Contains(users, name) {
						t.Errorf("%s imports %s", name, i)
					}
				}
			}
		}
	}
}

// wings are packages that each do one kind of work on what a registry has. None imports another, nor its subpackages.
var wings = []string{"repository", "transfer", "verify", "layout"}

func TestArrowsPointOneWay(t *testing.T) {
	wing := func(name string) string {
		root, _, _ := strings.Cut(name, "/")
		if slices.Contains(wings, root) {
			return root
		}
		return ""
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, i := range p.Imports {
			ours, ok := strings.CutPrefix(i, module)
			switch {
			case !ok:
			case wing(name) != "" && wing(ours) != "" && wing(name) != wing(ours):
				t.Errorf("the wing %s imports the wing %s", name, ours)
			case ours == "commands" && name != "cli-plugin" && name != "docs/generate":
				t.Errorf("%s imports commands; only the plugin and the generator of its documents may", name)
			case strings.HasPrefix(name+"/", "manifest/") && !strings.HasPrefix(ours+"/", "manifest/") && !strings.HasPrefix(ours, "internal/"):
				t.Errorf("%s, the domain, imports %s", name, ours)
			case strings.HasPrefix(name, "internal/") && name != "internal/fakes" && !strings.HasPrefix(ours, "internal/"):
				t.Errorf("%s, which all may import, imports %s", name, ours)
			}
		}
	}
}

// The daemon's API is negotiated by this pair of modules; a later docker/cli has another client.
func TestVersions(t *testing.T) {
	for path, want := range map[string]string{
		"github.com/docker/cli":    "v28.5.2+incompatible",
		"github.com/docker/docker": "v28.5.2+incompatible",
	} {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("%s is selected at %s, not %s", path, got, want)
		}
	}
}
