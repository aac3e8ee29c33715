package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.yaml.in/yaml/v3"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// examples are the files in examples/ and the tests that run them.
var examples = map[string]func(t *testing.T, file string){
	"github-actions.yml":  githubExample,
	"github-action.yml":   actionExample,
	"gitlab-ci.yml":       gitlabExample,
	"azure-pipelines.yml": azureExample,
	"azure-template.yml":  azureTemplate,
	"acr-task.yaml":       taskExample,
	"Makefile":            makefileExample,
}

// Each example publishes a complete list.
func TestExamples(t *testing.T) {
	files, err := os.ReadDir("../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			run := examples[file.Name()]
			if run == nil {
				t.Fatal("got a file that no test runs")
			}
			run(t, filepath.Join("../examples", file.Name()))
		})
	}
}

// Values reach shells in variables, never as text of the script.
func TestExamplesHaveNoExpressionsInScripts(t *testing.T) {
	files, err := filepath.Glob("../examples/*.y*ml")
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	var check func(file string, n *yaml.Node)
	check = func(file string, n *yaml.Node) {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 1 && (n.Content[i-1].Value == "run" || n.Content[i-1].Value == "bash") {
				scripts++
				if strings.Contains(child.Value, "${{") {
					t.Errorf("%s:%d: got an expression in a script:\n%s", file, child.Line, child.Value)
				}
			}
			check(file, child)
		}
	}
	for _, file := range append(files, "../action.yml") {
		var n yaml.Node
		if err := yaml.Unmarshal(readFile(t, file), &n); err != nil {
			t.Fatal(err)
		}
		check(file, &n)
	}
	if scripts < 10 {
		t.Errorf("got %d scripts, want at least 10", scripts)
	}
}

// newLoginScene is a scene with a registry that requires a login, which tests read with credentials of their own.
func newPipelineScene(t *testing.T, store int) *scene {
	t.Helper()
	t.Parallel()
	s := newScene(t, harness.V3)
	s.ownRegistry(withLogin)
	s.useDaemon(harness.Daemon(t, stores[store]))
	return s
}

func (s *scene) repoName() string { return s.registry.Host + "/" + s.repo }

// The stand-in for build-push-action pushes under a tag, since only the daemon with the containerd store pushes by digest.
func githubExample(t *testing.T, file string) {
	for i, store := range stores {
		t.Run(string(store), func(t *testing.T) {
			s := newPipelineScene(t, i)
			p := s.newPipeline(file, map[string]string{"ghcr.io/team/app": s.repoName(), "registry: ghcr.io": "registry: " + s.registry.Host})
			p.vars["LOST"] = "digests-arm64"
			err := p.github()
			if err == nil || !strings.Contains(err.Error(), "no image for linux/arm64") {
				t.Fatalf("got error %v with a missing leg, want one that names linux/arm64", err)
			}
			harness.Absent(t, s.registry, s.repo, "v1.2.3")
			p.vars["LOST"] = ""
			if err := p.github(); err != nil {
				t.Fatal(err)
			}
			want := []string{"linux/amd64", "linux/arm64"}
			if store == harness.Containerd { // for which buildx adds attestations
				want = append(want, "attestation", "attestation")
			}
			s.holds("v1.2.3", want...)
			tags := harness.Tags(t, s.registry, s.repo)
			if tags["latest"] != tags["v1.2.3"] {
				t.Errorf("got tags %v, want v1.2.3 and latest of one list", tags)
			}
			image := s.repoName() + "@" + tags["latest"]
			says(t, string(readFile(t, filepath.Join(p.vars["ARTIFACTS"], "cosign"))), "sign --yes --recursive "+image+"\n", "verify --cert", image+"\n")
			if err := p.github("publish"); err != nil { // again
				t.Error(err)
			}
			if now := harness.Tags(t, s.registry, s.repo); now["latest"] != tags["latest"] {
				t.Errorf("got %s after the job has run again, want %s", now["latest"], tags["latest"])
			}
		})
	}
}

// putLegs pushes an image for each platform, under tag-ARCH.
func (s *scene) putLegs(tag string) {
	s.Helper()
	for _, p := range []ocispec.Platform{amd64, arm64} {
		s.put(s.repo, tag+"-"+p.Architecture, images.Spec{Platform: p})
	}
}

func actionExample(t *testing.T, file string) {
	s := newPipelineScene(t, 0)
	s.putLegs("c0ffee")
	p := s.newPipeline(file, map[string]string{"ghcr.io/team/app": s.repoName(), "registry: ghcr.io": "registry: " + s.registry.Host})
	if err := p.github(); err != nil {
		t.Fatal(err)
	}
	index := s.holds("v1.2.3", "linux/amd64", "linux/arm64/v8")
	if got := index.Annotations[ocispec.AnnotationVersion]; got != "v1.2.3" {
		t.Errorf("got annotation %q, want v1.2.3", got)
	}
	if tags := harness.Tags(t, s.registry, s.repo); tags["latest"] != tags["v1.2.3"] {
		t.Errorf("got latest %s, want %s", tags["latest"], tags["v1.2.3"])
	}
	p.action = s.TempDir()
	write := func(sums string) {
		if err := os.WriteFile(filepath.Join(p.action, "action.sums"), []byte(sums), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const binary = "docker-multiarch-linux-amd64"
	listed := map[string]string{"version": "v0.1.0", "sha256": ""}
	for _, c := range []struct { // in this order: the last one moves the tag
		name, sums string
		inputs     map[string]string
		want       string
	}{
		{"listed", "v0.1.0 SUM docker-multiarch-linux-arm64x\nv0.1.0 " + p.vars["SUM"] + " " + binary + "\n", listed, ""},
		{"not listed", "v0.0.9 " + p.vars["SUM"] + " " + binary + "\n", listed, "action.sums does not list " + binary + " of version v0.1.0"},
		{"wrong sum", "", map[string]string{"sha256": strings.Repeat("1", 64)}, "nothing was installed"},
		{"no plugin", "", map[string]string{"url": "", "sha256": ""}, "multiarch"},
		{"no tags", "", map[string]string{"tags": " \n\r\n"}, "the input tags is empty"},
		{"other list", "", map[string]string{"no-clobber": "true", "sources": s.name("c0ffee-amd64"), "exact": ""}, "already points to"},
		{"hostile tag", "", map[string]string{"tags": "$(touch " + p.action + "/ran)"}, "error parsing name"},
		{"hostile flag", "", map[string]string{"tags": "--help"}, "error parsing name"},
		{"other flags", "", map[string]string{"annotations": "", "amend": "true", "insecure": "true", "require": "linux/amd64\nlinux/arm64", "if-digest": harness.Tags(t, s.registry, s.repo)["latest"]}, ""},
		{"hostile entry", "", map[string]string{"annotations": "a=b'\"`touch ran`\n c=$(touch ran) \r\n"}, ""},
	} {
		write(c.sums)
		p.inputs = c.inputs
		err := p.github()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(p.action, "ran")); err == nil {
		t.Error("got a command of an input that ran")
	}
}

func gitlabExample(t *testing.T, file string) {
	for i, store := range stores {
		t.Run(string(store), func(t *testing.T) {
			s := newPipelineScene(t, i)
			p := s.newPipeline(file, map[string]string{})
			vars := map[string]string{
				"CI_REGISTRY": s.registry.Host, "CI_REGISTRY_USER": loginUser, "CI_REGISTRY_PASSWORD": loginSecret,
				"CI_REGISTRY_IMAGE": s.repoName(), "CI_COMMIT_SHA": "c0ffee", "CI_COMMIT_REF_SLUG": "main",
			}
			for range 2 {
				if err := p.gitlab(vars); err != nil {
					t.Fatal(err)
				}
				s.holdsLegs("main")
			}
		})
	}
}

// holdsLegs checks a list of the daemon's builds for amd64 and arm64.
func (s *scene) holdsLegs(tag string) {
	s.Helper()
	want := []string{"linux/amd64", "linux/arm64"}
	if s.daemon.Store == harness.Containerd { // for which buildx adds attestations
		want = []string{"linux/amd64", "attestation", "linux/arm64", "attestation"}
	}
	s.holds(tag, want...)
}

func azureExample(t *testing.T, file string) {
	onEachStore(t, func(s *scene) {
		other := harness.NewRegistry(s.T, withLogin)
		p := s.newPipeline(file, map[string]string{"test.azurecr.io/team/app": s.repoName(), "production.azurecr.io": other.Host})
		p.vars["USERNAME"], p.vars["PASSWORD"] = loginUser, loginSecret
		vars := map[string]string{"Build.BuildId": "17", "Build.BuildNumber": "20261128.1", "Build.SourceVersion": "c0ffee"}
		if err := p.azure(vars); err != nil {
			s.Fatal(err)
		}
		s.holdsLegs("20261128.1")
		want := harness.Tags(s.T, s.registry, s.repo)["20261128.1"]
		if got := harness.Tags(s.T, other, "team/app")["20261128.1"]; got != want {
			s.Errorf("got %q in production, want %s", got, want)
		}
		harness.Complete(s.T, other, "team/app", want)
	})
}

func azureTemplate(t *testing.T, _ string) {
	s := newScene(t, harness.V3)
	t.Parallel()
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	s.putLegs("1")
	p := s.newPipeline("../examples/azure-template.yml", map[string]string{})
	p.text = `
jobs:
- job: publish
  pool: { vmImage: ubuntu-24.04 }
  steps:
  - template: azure-template.yml
    parameters:
      url: ` + p.vars["URL"] + `
      sha256: ` + p.vars["SUM"] + `
      tags: |
        $(image):2
        $(image):latest
      sources: |
        $(image):1-amd64
        $(image):1-arm64
      exact: linux/amd64,linux/arm64
      noClobber: true
      annotations: a=b
  - bash: docker multiarch verify "$IMAGE@$DIGEST"
    env: { DIGEST: $(publish.digest) }
`
	vars := map[string]string{"image": s.repoName(), "Agent.OS": "Linux", "Agent.OSArchitecture": "X64"}
	for range 2 {
		if err := p.azure(vars); err != nil {
			t.Fatal(err)
		}
		s.holds("2", "linux/amd64", "linux/arm64/v8")
	}
	for want, inputs := range map[string]map[string]string{
		"nothing was installed":       {"sha256": strings.Repeat("1", 64)},
		"the parameter tags is empty": {"tags": "\n"},
		"already points to":           {"exact": "", "sources": s.name("1-amd64")},
	} {
		p.inputs = inputs
		if err := p.azure(vars); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got error %v, want %q", inputs, err, want)
		}
	}
}

func taskExample(t *testing.T, file string) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		p := s.newPipeline(file, map[string]string{"team/app": s.repo})
		s.write(map[string]string{"acr-task.yaml": p.text, "Dockerfile": "FROM scratch\nCOPY content /\n", "content": s.repo})
		s.multiarch("task", "run", "--strict", "--registry", s.registry.Host, "--file", "acr-task.yaml", "--id", s.runID(), ".")
		s.holdsLegs(s.runID())
	})
}

// The daemon of a context builds each architecture.
func makefileExample(t *testing.T, file string) {
	t.Parallel()
	s := newScene(t, harness.V3)
	p := s.newPipeline(file, map[string]string{"registry.example.com/team/app": s.repoName()})
	s.daemon = harness.Daemon(t, harness.Containerd)
	j := p.newJob("", nil)
	for i, arch := range []string{"amd64", "arm64"} {
		harness.MustRun(t, j.env, "docker", "context", "create", arch, "--docker", "host="+harness.Daemon(t, stores[i]).Host)
	}
	if _, err := j.shell(checkout, nil, "sh"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := j.shell(p.text, nil, "env", "-u", "DOCKER_HOST", "make", "publish", "VERSION=1.0", "-f"); err != nil {
			t.Fatal(err)
		}
		s.holds("1.0", "linux/amd64", "linux/arm64", "attestation")
	}
}

// A pipeline with a step, a field or an expression that the tests cannot run as its CI does fails.
func TestExamplesRunWhole(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.useDaemon(harness.Daemon(t, harness.GraphDriver))
	p := s.newPipeline("../examples/github-action.yml", map[string]string{})
	for step, want := range map[string]string{
		"uses: team/action@v1": `no stand-in for "team/action@v1"`,
		"uses: docker-multiarch/docker-multiarch@v0.1.0\n        with: { tag: 1 }": "action.yml has no input tag",
		"run: \"true\"\n        if: always()":                                      "field if not found",
		"run: echo $X\n        env: { X: \"${{ github.event.title }}\" }":          "unknown expression ${{ github.event.title }}",
		"run: \"false\"": "got exit code 1",
	} {
		p.text = "jobs:\n  publish:\n    runs-on: ubuntu-24.04\n    steps:\n      - " + step + "\n"
		if err := p.github(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", step, err, want)
		}
	}
}
