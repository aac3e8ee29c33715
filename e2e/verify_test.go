package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// pair returns two images of the test, for amd64 and arm64.
func (s *scene) pair(format images.Format) (images.Manifest, images.Manifest) {
	return images.Image(images.Spec{Seed: s.repo + "amd64", Platform: amd64, Format: format, Layers: 2}),
		images.Image(images.Spec{Seed: s.repo + "arm64", Platform: arm64, Format: format, Layers: 2})
}

// invalidLists put an invalid list under the tag 1, and return the words of its findings.
var invalidLists = map[string]func(s *scene) []string{
	"missing child": func(s *scene) []string {
		a, b := s.pair(images.Docker)
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.Docker, a, b))
		s.must(s.registry.Delete(s.Context(), s.repo, b.Digest()))
		return []string{"(linux/arm64/v8): error: manifest " + b.Digest().String(), "is not in the repository " + s.registry.Host + "/" + s.repo}
	},
	"missing layer": func(s *scene) []string {
		a, b := s.pair(images.OCI)
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.OCI, a, b))
		lost := b.Blobs[2].Descriptor.Digest
		s.must(s.registry.DeleteBlob(s.Context(), s.repo, lost))
		return []string{"(linux/arm64/v8): error: layer " + lost.String() + " is not in the repository"}
	},
	"missing config": func(s *scene) []string {
		a, b := s.pair(images.OCI)
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.OCI, a, b))
		s.must(s.registry.DeleteBlob(s.Context(), s.repo, a.ID()))
		return []string{"(linux/amd64): error: config " + a.ID().String() + " is not in the repository"}
	},
	"wrong size": func(s *scene) []string {
		a, b := s.pair(images.Docker)
		a.Descriptor.Size++
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.Docker, a, b))
		return []string{fmt.Sprintf("says that manifest %s has %d bytes, but it has %d", a.Digest(), len(a.Raw)+1, len(a.Raw))}
	},
	"wrong size of a layer": func(s *scene) []string {
		a, _ := s.pair(images.OCI)
		l := a.Blobs[1].Descriptor
		a.Raw = []byte(strings.Replace(string(a.Raw), fmt.Sprintf(`"size":%d`, l.Size), fmt.Sprintf(`"size":%d`, l.Size+7), 2))
		harness.Put(s.T, s.registry, s.repo, "1", a)
		return []string{"error: layer " + l.Digest.String(), fmt.Sprint(l.Size + 7)}
	},
	"platform twice": func(s *scene) []string {
		a, _ := s.pair(images.Docker)
		b := images.Image(images.Spec{Seed: s.repo + "other", Platform: amd64})
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.Docker, a, b))
		return []string{"image " + b.Digest().String(), "is for linux/amd64, and so is " + a.Digest().String() + " before it"}
	},
	"platforms swapped": func(s *scene) []string {
		a, b := s.pair(images.Docker)
		a.Descriptor.Platform, b.Descriptor.Platform = b.Descriptor.Platform, a.Descriptor.Platform
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.Docker, a, b))
		return []string{"is for linux/arm64/v8, but its config says linux/amd64", "is for linux/amd64, but its config says linux/arm64/v8"}
	},
	"broken attestation": func(s *scene) []string {
		a, b := s.pair(images.OCI)
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.OCI, a, images.Attestation(b)))
		return []string{"describes \"" + b.Digest().String() + "\", which is not an image of index"}
	},
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// Every problem of a list is found and printed, with and without --deep; nothing changes.
func TestVerifyFindsFaults(t *testing.T) {
	for name, prepare := range invalidLists {
		t.Run(name, func(t *testing.T) {
			onEachRegistry(t, func(s *scene) {
				words := prepare(s)
				for _, args := range [][]string{{"verify"}, {"verify", "--deep"}, {"verify", "--quiet"}} {
					r := s.ends(1, words, append(args, s.list)...)
					if args[len(args)-1] == "--quiet" && r.Stderr != "" {
						s.Errorf("got stderr %q with --quiet, want none", r.Stderr)
					} else if args[len(args)-1] != "--quiet" {
						says(s.T, r.Stderr, "invalid: "+s.list)
					}
					saysNot(s.T, r.Stdout+r.Stderr, loginSecret)
				}
			})
		})
	}
}

// verified is a part of the output of --format json.
type verified struct {
	Name      string
	Digest    digest.Digest
	State     string
	Manifests []struct{ Kind, Platform, Digest, State string }
	Findings  []struct{ Severity, Digest, Manifest, Platform, Message string }
}

// A valid list passes, in every form of output.
func TestVerifyValidList(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		s.Set("BUILDKIT_PROGRESS", "quiet") // a line is due after two seconds
		a, b := s.pair(images.OCI)
		list := images.Attested(a, b)
		harness.Put(s.T, s.registry, s.repo, "1", list)
		at := s.registry.Host + "/" + s.repo + "@" + b.Digest().String()
		for _, deep := range []string{"--deep=false", "--deep"} {
			r := s.ends(0, []string{"NAME", "PLATFORM", "DIGEST", "STATE", "linux/amd64", "attestation", a.Digest().Encoded()[:12], at}, "verify", deep, s.list, at)
			if strings.Count(r.Stdout, " ok\n") != 6 || r.Stderr != "" {
				s.Errorf("got stdout and stderr, want 6 valid manifests:\n%s%s", r.Stdout, r.Stderr)
			}
			if r := s.ends(0, nil, "verify", deep, "--quiet", s.list); r.Stdout+r.Stderr != "" {
				s.Errorf("got %q and %q with --quiet, want no output", r.Stdout, r.Stderr)
			}
			var got verified
			s.must(json.Unmarshal([]byte(s.ends(0, nil, "verify", deep, "--format", "json", s.list).Stdout), &got))
			if got.Name != s.list || got.State != "ok" || got.Digest != list.Digest() || len(got.Manifests) != 5 || got.Manifests[2].Platform != "linux/arm64/v8" || got.Manifests[3].Kind != "attestation" {
				s.Errorf("got %+v, want the valid list %s and its 4 children", got, list.Digest())
			}
			if n := len(got.Findings); deep == "--deep" && n != 2 || deep != "--deep" && n != 0 { // images without a command
				s.Errorf("got findings %+v, want one for each image with --deep, otherwise none", got.Findings)
			}
			if r := s.ends(0, nil, "verify", deep, "--format", "{{.State}} {{len .Manifests}}", s.list, at); r.Stdout != "ok 5\nok 1\n" {
				s.Errorf("got %q, want two valid states", r.Stdout)
			}
		}
		if r := s.ends(0, nil, "verify", "--format", "table {{.Kind}}\t{{.State}}", s.list); !strings.HasPrefix(r.Stdout, "KIND") {
			s.Errorf("got %q, want a table", r.Stdout)
		}
	})
}

// programs returns small static programs for Linux, by architecture.
var programs = map[string]func() (string, error){"amd64": compileFor("amd64"), "arm64": compileFor("arm64")}

func compileFor(arch string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "dm-program-")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(dir)
		for name, content := range map[string]string{"go.mod": "module app\n", "main.go": "package main\n\nfunc main() { println(\"hello\") }\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				return "", err
			}
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "app", ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		content, err := os.ReadFile(filepath.Join(dir, "app"))
		return string(content), err
	})
}

func (s *scene) program(arch string) string {
	s.Helper()
	content, err := programs[arch]()
	if err != nil {
		s.Fatal(err)
	}
	return content
}

// An image with the program of another architecture is found.
func TestVerifyDeepFindsSwappedPrograms(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		build := func(p ocispec.Platform, arch string) images.Manifest {
			return images.Image(images.Spec{Seed: s.repo, Platform: p, Files: map[string]string{"usr/bin/app": s.program(arch)}, Entrypoint: []string{"app"}})
		}
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.Docker, build(amd64, "amd64"), build(arm64, "arm64")))
		if r := s.ends(0, nil, "verify", "--deep", s.list); strings.Contains(r.Stdout, "info:") {
			s.Errorf("got findings, want none:\n%s", r.Stdout)
		}
		harness.Put(s.T, s.registry, s.repo, "2", images.Index(images.Docker, build(amd64, "arm64"), build(arm64, "amd64")))
		s.ends(0, nil, "verify", s.name("2"))
		r := s.ends(1, []string{
			"(linux/amd64): error: /usr/bin/app is a program for arm64 (ELF), but the image is for linux/amd64",
			"(linux/arm64/v8): error: /usr/bin/app is a program for amd64 (ELF), but the image is for linux/arm64/v8",
		}, "verify", "--deep", s.list, s.name("2"))
		says(s.T, r.Stderr, "invalid: "+s.name("2"))
		saysNot(s.T, r.Stderr, s.list)
	})
}

// A multi-stage build by buildx passes, with its entrypoint behind a symlink and its attestations.
func TestVerifyDeepOfBuildx(t *testing.T) {
	s := newBuildxScene(t)
	for file, content := range map[string]string{
		"Dockerfile":    "FROM scratch AS build\nARG TARGETARCH\nCOPY $TARGETARCH/ /out/\n\nFROM scratch\nCOPY --from=build /out/ /opt/\nWORKDIR /opt\nENV PATH=/none:/opt/bin\nENTRYPOINT [\"app\"]\n",
		"amd64/lib/app": s.program("amd64"), "arm64/lib/app": s.program("arm64"),
	} {
		write(t, filepath.Join(s.Dir, file), content, 0o755)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		s.must(os.Mkdir(filepath.Join(s.Dir, arch, "bin"), 0o700))
		s.must(os.Symlink("/opt/lib/app", filepath.Join(s.Dir, arch, "bin", "app")))
	}
	s.docker("buildx", "build", "-q", "--platform", "linux/amd64,linux/arm64", "-t", s.list, s.Dir)
	s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), s.list) })
	s.multiarch("push", s.list)
	r := s.ends(0, []string{"linux/amd64", "linux/arm64", "attestation"}, "verify", "--deep", s.list)
	if strings.Contains(r.Stdout, "info:") {
		t.Errorf("got findings, want none:\n%s", r.Stdout)
	}
}

// Every object is requested once, whatever names and lists lead to it.
func TestVerifyRequestsOnce(t *testing.T) {
	t.Parallel()
	for _, deep := range []string{"--deep=false", "--deep"} {
		s := newScene(t, harness.V3)
		s.registry = harness.NewRegistry(t, harness.RegistryOptions{})
		s.list = s.registry.Host + "/" + s.repo + ":1"
		a, b := s.pair(images.OCI)
		harness.Put(t, s.registry, s.repo, "1", images.Attested(a, b))
		harness.Put(t, s.registry, s.repo, "2", images.Index(images.OCI, b, a))
		requests := harness.Requests(t, s.registry, func() { s.ends(0, nil, "verify", deep, s.list, s.name("2"), s.list) })
		seen := map[string]bool{}
		for _, r := range requests {
			if seen[r.Path] && !strings.HasSuffix(r.Path, "manifests/1") { // that name is given twice
				t.Errorf("got %s twice, want it once", r)
			}
			seen[r.Path] = true
		}
		// 2 lists and 4 manifests below them, 4 configs, 4 layers and 2 statements.
		if len(seen) > 2+4+4+4+2 || len(requests) > len(seen)+1 {
			t.Errorf("got %d requests, want 16 and one for the repeated name:\n%v", len(requests), requests)
		}
	}
}

// What cannot be determined has exit code 2, and an invalid list takes precedence over it.
func TestVerifyUnknown(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.put(s.repo, "1", images.Spec{Platform: amd64})
	guarded := harness.NewRegistry(t, harness.RegistryOptions{User: loginUser, Password: loginSecret})
	secret := guarded.Host + "/app:1"
	for _, command := range []string{"verify", "exists"} {
		s.ends(2, []string{"401", "docker login " + guarded.Host}, command, secret)
		s.ends(2, []string{"127.0.0.1:1"}, command, "--retry-timeout=0", "127.0.0.1:1/app:1")
		s.ends(2, []string{"not a reference"}, command, "App")
		s.ends(2, []string{"requires"}, command)
		s.ends(2, []string{"unknown flag: --nope"}, command, "--nope", s.list)
	}
	s.ends(2, []string{"cannot be combined"}, "verify", "--quiet", "--format", "json", s.list)
	s.ends(2, []string{"template parsing error"}, "verify", "--format", "{{", s.list)
	s.ends(2, []string{"did you mean linux/amd64"}, "exists", "--platform", "linux/amd46", s.list)
	s.ends(2, []string{secret + ": unknown: ", "could not be verified: " + secret}, "verify", s.list, secret)
	s.ends(1, []string{"could not be verified: " + secret, "no such manifest: " + s.name("none")}, "verify", secret, s.name("none"), s.list)
}

// exists answers by its exit code only, and prints the reason on stderr.
func TestExists(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		a, b := s.pair(images.Docker)
		harness.Put(s.T, s.registry, s.repo, "1", images.Index(images.Docker, a, b))
		s.put(s.repo, "image", images.Spec{Platform: riscv64})
		at := s.registry.Host + "/" + s.repo + "@"
		for _, test := range []struct {
			code int
			args []string
			word string
		}{
			{0, []string{s.list}, ""},
			{0, []string{at + a.Digest().String()}, ""},
			{0, []string{"--platform", "linux/amd64,linux/arm64", s.list}, ""},
			{0, []string{"--platform", "linux/riscv64", s.name("image")}, ""},
			{1, []string{s.name("none")}, "no such manifest: " + s.name("none")},
			{1, []string{at + digest.FromString("x").String()}, "no such manifest"},
			{1, []string{"--platform", "linux/amd64", "--platform", "linux/riscv64", s.list}, "has no image for linux/riscv64 (it has: linux/amd64, linux/arm64/v8)"},
			{1, []string{"--platform", "linux/amd64", s.name("image")}, "has no image for linux/amd64 (it has: linux/riscv64)"},
			{1, []string{s.registry.Host + "/none/app:1"}, "no such manifest"},
		} {
			r := s.ends(test.code, []string{test.word}, append([]string{"exists"}, test.args...)...)
			if r.Stdout != "" || strings.Count(r.Stderr, "\n") != test.code+strings.Count(r.Stderr, "\nhint: ") {
				s.Errorf("%v: got stdout %q and stderr %q, want no stdout and %d lines, and hints", test.args, r.Stdout, r.Stderr, test.code)
			}
		}
		s.must(s.registry.Delete(s.Context(), s.repo, b.Digest()))
		s.ends(0, nil, "exists", s.list)
		s.ends(1, []string{"lists " + b.Digest().String()}, "exists", "--platform", "linux/arm64", s.list)
	})
}

// exists needs one HEAD request, if the registry answers that.
func TestExistsTakesOneRequest(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.registry = harness.NewRegistry(t, harness.RegistryOptions{})
	s.put(s.repo, "1", images.Spec{Platform: amd64})
	requests := harness.Requests(t, s.registry, func() { s.ends(0, nil, "exists", s.name("1")) })
	if len(requests) != 1 || requests[0].Method != http.MethodHead {
		t.Errorf("got requests %v, want one HEAD", requests)
	}
}

// An interrupted command prints no result.
func TestInterruptDuringVerify(t *testing.T) {
	for name, interrupt := range receivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.put(s.repo, "1", images.Spec{Platform: amd64})
			for _, args := range [][]string{{"verify"}, {"verify", "--deep"}, {"exists"}} {
				g := newGate(t, s.registry, func(r *http.Request) bool { return args[0] == "exists" || strings.Contains(r.URL.Path, "/blobs/") })
				r := s.start(append(args, g.Host+"/"+s.repo+":1")...)
				s.await(g)
				s.must(interrupt(r.cmd))
				r.ends(130)
				says(t, r.stderr.String(), "interrupted")
			}
		})
	}
}

// Every answer of a registry is reported, without control characters.
func TestVerifyMisbehavingRegistry(t *testing.T) {
	image := images.Image(images.Spec{Seed: "misbehaving", Platform: ocispec.Platform{OS: evil, Architecture: "amd64"}})
	list := images.Index(images.Docker, image)
	for name, test := range map[string]struct {
		answer
		code int
	}{
		"html":          {answer{contentType: "text/html", body: "<html>Log in</html>"}, 2},
		"evil platform": {answer{contentType: images.DockerList, body: string(list.Raw)}, 1},
		"evil config":   {answer{contentType: images.DockerManifest, body: string(image.Raw), blob: string(image.Blobs[0].Data)}, 1},
		"evil message":  {answer{status: 403, body: refusal("DENIED", evil)}, 2},
		"teapot":        {answer{status: 418, body: evil}, 2},
		"nothing":       {answer{status: 204}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			bad := strings.TrimPrefix(server.URL, "http://") + "/app:1"
			for _, args := range [][]string{{"verify"}, {"verify", "--deep"}, {"verify", "--quiet"}, {"verify", "--format", "json"}, {"verify", "--format", "{{.}}"}} {
				r := s.ends(test.code, []string{bad}, append(args, bad)...)
				if i := strings.IndexAny(r.Stdout+r.Stderr, "\x1b\x07\r\u202e"); i >= 0 {
					t.Errorf("%v: got a control character at byte %d: %q", args, i, r.Stdout+r.Stderr)
				}
			}
		})
	}
}

// Twenty concurrent verifications of one list do not disturb each other.
func TestVerifyTwentyAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	a, b := s.pair(images.OCI)
	harness.Put(t, s.registry, s.repo, "1", images.Attested(a, b))
	outputs := make([]string, 20)
	var group sync.WaitGroup
	for i := range outputs {
		group.Go(func() {
			r := harness.Run(t, s.Env, "docker", "multiarch", "verify", "--deep", s.list)
			outputs[i] = fmt.Sprint(r.Code, r.Stdout) // a line of progress is due after two seconds
		})
	}
	group.Wait()
	if all := slices.Compact(outputs); len(all) != 1 || !strings.HasPrefix(all[0], "0") {
		t.Errorf("got outputs %q, want one with exit code 0", all)
	}
}

func TestVerifyCompletion(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	s.multiarch("create", s.list, s.name("amd64"))
	s.offers([]string{s.list}, "verify", "")
	s.offers([]string{s.list}, "exists", "")
	s.offers([]string{"json", "table"}, "verify", "--format", "")
	s.offers([]string{"linux/amd64"}, "exists", "--platform", "")
}
