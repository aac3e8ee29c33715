package publish_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

const repo = "h.example.com/app"

var (
	one = digest.FromString("one")
	two = digest.FromString("two")
)

func TestParseOutput(t *testing.T) {
	at := func(repo string, d digest.Digest) string { return repo + "@" + d.String() }
	build := func(names string, d, config digest.Digest) string {
		return fmt.Sprintf(`{"containerimage.config.digest":%q,"containerimage.digest":%q,"image.name":%q,"buildx.build.ref":"b/b/x"}`, config, d, names)
	}
	for name, c := range map[string]struct {
		file, raw string
		want      []string // the sources
		note      string
	}{
		"name of digest":        {"digests/" + one.String(), "", []string{at(repo, one)}, ""},
		"name of hexadecimal":   {"digests/" + one.Encoded(), "\n", []string{at(repo, one)}, ""},
		"line of digest":        {"d.txt", one.String() + "\r\n", []string{at(repo, one)}, ""},
		"line of reference":     {"d.txt", repo + ":1-arm64\n", []string{repo + ":1-arm64"}, ""},
		"another repository":    {"d.txt", at("h.example.com/staging", one), []string{at("h.example.com/staging", one)}, "another repository"},
		"descriptor":            {"d.json", fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":3}`, ocispec.MediaTypeImageManifest, one), []string{at(repo, one)}, ""},
		"build":                 {"m.json", build(repo, one, two), []string{at(repo, one)}, ""},
		"several names":         {"m.json", build("other.example.com/x:1, "+repo+":latest", one, two), []string{at(repo, one)}, ""},
		"no name":               {"m.json", build("", one, two), []string{at(repo, one)}, ""},
		"name in the registry":  {"m.json", build("h.example.com/staging:1", one, two), []string{at("h.example.com/staging", one)}, "another repository"},
		"imagetools":            {"m.json", fmt.Sprintf(`{"containerimage.descriptor":{"digest":%q,"size":3},"image.name":%q}`, one, repo+","+repo+":2"), []string{at(repo, one)}, ""},
		"digest beside another": {"m.json", fmt.Sprintf(`{"containerimage.digest":%q,"containerimage.descriptor":{"digest":%q}}`, one, two), []string{at(repo, one)}, ""},
		"bake": {"m.json", fmt.Sprintf(`{"app-arm64":%s,"app-amd64":%s,"docs":%s,"buildx.build.warnings":[{"a":1}]}`,
			build(repo, one, ""), build(repo+":x", two, ""), build("h.example.com/docs", one, "")), []string{at(repo, two), at(repo, one)}, "without a name in h.example.com/app: docs"},
	} {
		t.Run(name, func(t *testing.T) {
			sources, diagnostics, err := publish.ParseOutput(c.file, []byte(c.raw), fakes.Named(t, repo+":1"))
			var got []string
			for _, s := range sources {
				got = append(got, s.Ref.String())
				if s.Output != c.file || s.Plain {
					t.Errorf("got %+v, want the file %s and a source that only its registry is asked for", s, c.file)
				}
			}
			if err != nil || !slices.Equal(got, c.want) || c.note == "" && len(diagnostics) > 0 || !strings.Contains(fmt.Sprint(diagnostics), c.note) {
				t.Errorf("got %v, %v, %v, want %v, a note with %q", got, diagnostics, err, c.want, c.note)
			}
		})
	}
	for name, c := range map[string]struct{ file, raw, want, hint string }{
		"empty":              {"digests/readme", "", "not the result of a build", "a digest as its name"},
		"two lines":          {"d.txt", one.String() + "\n" + two.String(), "not the result of a build", ""},
		"junk":               {"d.txt", "\x00\x01", "not the result of a build", ""},
		"not JSON":           {"m.json", `{"a":`, "not the result of a build", ""},
		"another shape":      {"m.json", `{"schemaVersion":2,"manifests":[]}`, "not the result of a build", ""},
		"odd digest":         {"m.json", `{"containerimage.digest":"sha256:12"}`, `invalid digest "sha256:12"`, ""},
		"not pushed":         {"m.json", build(repo, one, one), "the build was not pushed", "--push"},
		"no output":          {"m.json", `{"buildx.build.ref":"default/default/x"}`, "the build was not pushed", "--push"},
		"bake, one not":      {"m.json", fmt.Sprintf(`{"a":%s,"b":{"image.name":%q,"buildx.build.ref":"b/b/y"}}`, build(repo, one, two), repo), "the build was not pushed", "--push"},
		"bake without names": {"m.json", `{"a":{"buildx.build.ref":"b/b/x"},"b":{"buildx.build.ref":"b/b/y"}}`, "no target has a name in h.example.com/app: a and b", ""},
		"another registry":   {"d.txt", at("evil.example.com/app", one), "in the registry evil.example.com", "pass it as a SOURCE: evil.example.com/app@" + one.String()},
		"name in a registry": {"m.json", build("evil.example.com/app:1", one, two), "in the registry evil.example.com", "as a SOURCE"},
		"bake of others":     {"m.json", fmt.Sprintf(`{"docs":%s,"web":%[1]s}`, build("h.example.com/docs", one, "")), "no target has a name in h.example.com/app: docs and web", ""},
		"bake not pushed":    {"m.json", fmt.Sprintf(`{"app":%s}`, build(repo, one, one)), "the build was not pushed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := publish.ParseOutput(c.file, []byte(c.raw), fakes.Named(t, repo+":1"))
			if !errdefs.IsInvalidArgument(err) || !strings.HasPrefix(err.Error(), c.file+": ") || !strings.Contains(err.Error(), c.want) || !strings.Contains(manifest.Hint(err), c.hint) {
				t.Errorf("got %v (%s), want %s: %s (%s)", err, manifest.Hint(err), c.file, c.want, c.hint)
			}
		})
	}
}

// TestCreateOfOutputs adds what builds wrote after the sources that were typed, in an order that does not depend on the files.
func TestCreateOfOutputs(t *testing.T) {
	w := fakes.NewFixture()
	typed := w.Registry.Image(t, repo+":windows", ocispec.MediaTypeImageManifest, "windows/amd64")
	var outputs []publish.Source
	var want []digest.Digest
	for _, p := range []string{"linux/386", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/s390x"} {
		d := w.Registry.Image(t, repo+":x", ocispec.MediaTypeImageManifest, p)
		outputs = append(outputs, publish.Source{Ref: manifest.AtDigest(fakes.Named(t, repo), d.Digest), Output: p})
		want = append(want, d.Digest)
	}
	attested := w.Registry.Image(t, repo+":x", ocispec.MediaTypeImageManifest, "linux/riscv64")
	attestation := w.Registry.Attestation(t, repo+":y", attested.Digest)
	index := w.Registry.Index(t, repo+":index", ocispec.MediaTypeImageIndex, attested, attestation)
	outputs = append(outputs, publish.Source{Ref: manifest.AtDigest(fakes.Named(t, repo), index.Digest), Output: "riscv64"})
	want = append([]digest.Digest{typed.Digest}, append(want[:4:4], attested.Digest, want[4], attestation.Digest)...)
	for range 20 {
		rand.Shuffle(len(outputs), func(i, j int) { outputs[i], outputs[j] = outputs[j], outputs[i] })
		c := fakes.Creation(t, repo+":1", repo+":windows")
		c.Sources = append(c.Sources, outputs...)
		list, err := publish.Assemble(t.Context(), w.Clients(), c)
		if err != nil {
			t.Fatal(err)
		}
		var got []digest.Digest
		for _, e := range list.Entries {
			got = append(got, e.Descriptor.Digest)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// TestOutputsNameTheirFile names the file in the errors for a lost digest and for two images of one platform.
func TestOutputsNameTheirFile(t *testing.T) {
	w := fakes.NewFixture()
	amd64 := w.Registry.Image(t, repo+":a", ocispec.MediaTypeImageManifest, "linux/amd64")
	again := w.Registry.Image(t, repo+":b", ocispec.MediaTypeImageManifest, "linux/amd64", "again")
	source := func(d digest.Digest, file string) publish.Source {
		return publish.Source{Ref: manifest.AtDigest(fakes.Named(t, repo), d), Output: file}
	}
	for name, c := range map[string]struct {
		sources []publish.Source
		exact   string
		want    []string
	}{
		"lost":           {[]publish.Source{source(one, "lost.json")}, "", []string{"lost.json", one.String()}},
		"twice":          {[]publish.Source{source(amd64.Digest, "a.json"), source(again.Digest, "b.json")}, "", []string{"a.json", "b.json", "both for linux/amd64"}},
		"another one":    {[]publish.Source{source(amd64.Digest, "a.json")}, "linux/arm64", []string{"linux/amd64", "a.json", "--exact"}},
		"one is missing": {[]publish.Source{source(amd64.Digest, "a.json")}, "linux/amd64,linux/arm64", []string{"no image for linux/arm64", "--exact"}},
	} {
		t.Run(name, func(t *testing.T) {
			creation := fakes.Creation(t, repo+":1")
			creation.Sources = c.sources
			if c.exact != "" {
				creation.Exact, _ = manifest.ParsePlatforms(strings.Split(c.exact, ","))
			}
			_, err := publish.CreateAndPush(t.Context(), w.Clients(), creation)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}
