package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// outputs writes files into a new folder of the scene and returns its path.
func (s *scene) outputs(files map[string]string) string {
	s.Helper()
	dir, err := os.MkdirTemp(s.Dir, "digests")
	if err != nil {
		s.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	return dir
}

// Digests that CI jobs wrote, in each form, become the same list in one command.
func TestDigestsOfBuilds(t *testing.T) {
	onEachRegistry(t, func(s *scene) {
		platforms := []ocispec.Platform{arm64, amd64, riscv64}
		empty, folders, metadata := map[string]string{}, map[string]string{}, map[string]string{".hidden": "junk"}
		imagetools := map[string]string{}
		bake := map[string]any{"buildx.build.warnings": []string{"x"}}
		typed := []string{"create", "--push", s.name("typed")}
		for _, p := range platforms {
			tag := p.Architecture
			d := s.put(s.repo, tag, images.Spec{Platform: p}).Digest()
			empty[d.Encoded()] = ""
			folders["digests-"+tag+"/digest.txt"] = d.String() + "\n"
			build := map[string]any{"containerimage.digest": d, "image.name": s.registry.Host + "/" + s.repo, "buildx.build.ref": "b/b/" + tag}
			raw, err := json.Marshal(build)
			if err != nil {
				s.Fatal(err)
			}
			metadata[tag+".json"] = string(raw)
			bake["app-"+tag] = build
			imagetools[tag+".json"] = fmt.Sprintf(`{"containerimage.descriptor":{"mediaType":%q,"digest":%q,"size":1},"image.name":%q}`,
				ocispec.MediaTypeImageIndex, d, s.registry.Host+"/"+s.repo)
		}
		typed = append(typed, s.name("amd64"), s.name("arm64"), s.name("riscv64"))
		s.multiarch(typed...)
		want := harness.Tags(s.T, s.registry, s.repo)["typed"]
		raw, err := json.Marshal(bake)
		if err != nil {
			s.Fatal(err)
		}
		for form, dir := range map[string]string{
			"empty files": s.outputs(empty), "folders": s.outputs(folders), "metadata": s.outputs(metadata), "imagetools": s.outputs(imagetools),
			"bake": filepath.Join(s.outputs(map[string]string{"bake.json": string(raw)}), "bake.json"),
		} {
			r := s.multiarch("create", "--push", s.list, "--digests", dir, "--exact", "linux/amd64,linux/arm64,linux/riscv64")
			s.noWarning(r.Stderr)
			if got := harness.Tags(s.T, s.registry, s.repo)["1"]; got != want {
				s.Errorf("%s: got list %s, want %s as of the tags", form, got, want)
			}
		}
		repository, dir := s.registry.Host+"/"+s.repo, s.outputs(empty)
		s.ends(0, nil, "verify", "--digests", dir, "--exact", "linux/amd64,linux/arm64,linux/riscv64", repository)
		s.ends(1, []string{"there is no image for linux/arm/v7, which --require requires", "invalid: " + repository},
			"verify", "--digests", dir, "--require", "linux/arm/v7", repository)
		s.ends(1, []string{"which --exact does not allow"}, "verify", "--exact", "linux/amd64,linux/riscv64", s.list)
		s.ends(2, []string{"single repository"}, "verify", "--digests", dir, repository, repository)
	})
}

// What buildx writes on each kind of daemon: with the containerd store a pushed build, otherwise the ID of an image
// that was not pushed.
func TestDigestsOfBuildx(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		containerd := s.daemon.Store == harness.Containerd
		push := "--push"
		if !containerd {
			push = "--load"
		}
		dir := s.outputs(nil)
		for _, p := range []string{"amd64", "arm64"} {
			for file, content := range map[string]string{"Dockerfile": "FROM scratch\nCOPY content /\nLABEL org.opencontainers.image.revision=" + p + "\n", "content": p} {
				if err := os.WriteFile(filepath.Join(s.Dir, file), []byte(content), 0o600); err != nil {
					s.Fatal(err)
				}
			}
			s.docker("buildx", "build", "-q", push, "--provenance=false", "--metadata-file", filepath.Join(dir, p+".json"), "--platform", "linux/"+p, "-t", s.name(p), s.Dir)
			s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), s.name(p)) })
			if !containerd {
				break
			}
		}
		args := []string{"create", "--push", s.list, "--digests", dir}
		if !containerd {
			r := s.refused([]string{"amd64.json: the registry does not have"}, args...)
			says(s.T, r.Stderr, "docker buildx build --push")
			return
		}
		r := s.multiarch(args...)
		says(s.T, r.Stderr, "built from revision amd64", "from arm64")
		s.holds("1", "linux/amd64", "linux/arm64")
	})
}

// Files that no build wrote, or one for another place, are refused before anything is sent.
func TestDigestsBadInput(t *testing.T) {
	s := newScene(t, harness.V3)
	lost, amd := images.Image(images.Spec{Seed: s.repo, Platform: arm64}).Digest(), s.put(s.repo, "amd64", images.Spec{Platform: amd64}).Digest()
	twice := s.put(s.repo, "twice", images.Spec{Platform: amd64}).Digest()
	fifo := filepath.Join(s.Dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	many := map[string]string{}
	for i := range 1001 {
		many[fmt.Sprint(i)] = amd.String()
	}
	for name, c := range map[string]struct {
		path string
		want []string
	}{
		"lost digest":      {s.outputs(map[string]string{"lost": lost.String()}), []string{"/lost: the registry does not have ", lost.String()}},
		"two of one":       {s.outputs(map[string]string{"a": amd.String(), "b": twice.String()}), []string{"/a)", "/b)", "both for linux/amd64"}},
		"another registry": {s.outputs(map[string]string{"x": "evil.example.com/app@" + amd.String()}), []string{"/x: ", "evil.example.com", "pass it as a SOURCE"}},
		"empty folder":     {s.outputs(nil), []string{"has no files"}},
		"absent":           {filepath.Join(s.Dir, "none"), []string{"none", "no such file"}},
		"FIFO":             {fifo, []string{"fifo is neither a file nor a folder"}},
		"too many":         {s.outputs(many), []string{"more than 1000 files"}},
		"too large":        {s.outputs(map[string]string{"large": strings.Repeat(" ", 1<<20+1)}), []string{"/large is larger than 1 MiB"}},
		"junk":             {s.outputs(map[string]string{"junk": "\x1b[31m{}"}), []string{"/junk: not the result of a build"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, request := range writes(harness.Requests(t, s.registry, func() {
				s.refused(c.want, "create", "--push", s.list, "--digests", c.path)
			})) {
				t.Errorf("got %s, want no write", request)
			}
		})
	}
	dir := s.outputs(map[string]string{"a": amd.String()})
	s.refused([]string{"no image for linux/arm64", "--exact"}, "create", "--push", "--exact", "linux/amd64,linux/arm64", s.list, "--digests", dir)
	s.refused([]string{"--from daemon"}, "create", "--from", "daemon", s.list, "--digests", dir)
	s.multiarch("create", s.list, "--digests", dir)
	s.multiarch("push", s.list)
	s.holds("1", "linux/amd64")
}
