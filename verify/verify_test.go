package verify

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/compression"
	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

// compiled is the start of a program for Linux.
func compiled(arch string) string {
	head := make([]byte, 64)
	copy(head, elf.ELFMAG+"\x02\x01")
	head[18] = byte(map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch])
	return string(head)
}

// tarOf is a layer with one file.
func tarOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))})
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(content)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// yard is a repository with a list of two images, of a layer each and one that they share, and an attestation.
type yard struct {
	*testing.T
	*fakes.Registry
	config   map[string]map[string]any // by architecture
	layers   map[string][]ocispec.Descriptor
	children []ocispec.Descriptor
	mediaType,
	listType string
}

func newYard(t *testing.T) *yard {
	y := &yard{T: t, Registry: fakes.NewRegistry(), config: map[string]map[string]any{}, layers: map[string][]ocispec.Descriptor{},
		mediaType: ocispec.MediaTypeImageManifest, listType: ocispec.MediaTypeImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		y.config[arch] = map[string]any{"os": "linux", "architecture": arch, "config": map[string]any{"Entrypoint": []string{"/app"}},
			"rootfs": map[string]any{"diff_ids": []string{}}}
		y.layer(arch, tarOf(t, "shared", "x"), zipped(t, tarOf(t, "shared", "x")))
		y.layer(arch, tarOf(t, "app", compiled(arch)), zipped(t, tarOf(t, "app", compiled(arch))))
	}
	return y
}

func (y *yard) layer(arch string, content, packed []byte) {
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromBytes(packed), Size: int64(len(packed))}
	y.Blobs[d.Digest] = packed
	y.layers[arch] = append(y.layers[arch], d)
	rootfs := y.config[arch]["rootfs"].(map[string]any)
	rootfs["diff_ids"] = append(rootfs["diff_ids"].([]string), digest.FromBytes(content).String())
}

// relayer replaces the second layer of an architecture.
func (y *yard) relayer(arch string, content, packed []byte) {
	y.layers[arch] = y.layers[arch][:1]
	rootfs := y.config[arch]["rootfs"].(map[string]any)
	rootfs["diff_ids"] = rootfs["diff_ids"].([]string)[:1]
	y.layer(arch, content, packed)
}

// image puts the image of an architecture and returns its entry.
func (y *yard) image(arch string) ocispec.Descriptor {
	y.Helper()
	config, err := json.Marshal(y.config[arch])
	if err != nil {
		y.Fatal(err)
	}
	c := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	y.Blobs[c.Digest] = config
	raw, err := json.Marshal(map[string]any{"mediaType": y.mediaType, "config": c, "layers": y.layers[arch]})
	if err != nil {
		y.Fatal(err)
	}
	d := y.Store(fakes.Named(y.T, "h.example.com/app:"+arch), y.mediaType, raw)
	return ocispec.Descriptor{MediaType: y.mediaType, Digest: d, Size: int64(len(raw)), Platform: &ocispec.Platform{OS: "linux", Architecture: arch}}
}

// list puts the list, after change has seen what it lists.
func (y *yard) list(change func([]ocispec.Descriptor) []ocispec.Descriptor) {
	y.Helper()
	amd64, arm64 := y.image("amd64"), y.image("arm64")
	y.children = change([]ocispec.Descriptor{amd64, arm64, y.attest(amd64.Digest)})
	raw, err := json.Marshal(map[string]any{"mediaType": y.listType, "manifests": y.children})
	if err != nil {
		y.Fatal(err)
	}
	y.Store(fakes.Named(y.T, "h.example.com/app:1"), y.listType, raw)
}

// attest puts an attestation as buildx makes it and returns its entry.
func (y *yard) attest(of digest.Digest) ocispec.Descriptor {
	y.Helper()
	statement := []byte("{}")
	d := ocispec.Descriptor{MediaType: "application/vnd.in-toto+json", Digest: digest.FromBytes(statement), Size: 2}
	y.Blobs[d.Digest] = statement
	y.layers["att"] = []ocispec.Descriptor{d}
	y.config["att"] = map[string]any{"os": "unknown", "architecture": "unknown", "rootfs": map[string]any{"diff_ids": []string{d.Digest.String()}}}
	out := y.image("att")
	out.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	out.Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest: of.String()}
	return out
}

func same(d []ocispec.Descriptor) []ocispec.Descriptor { return d }

// lost removes a manifest.
func (y *yard) lost(d digest.Digest) { delete(y.Manifests, "h.example.com/app@"+d.String()) }

// inWords are the findings of a verification in words.
func inWords(v Verification) []string {
	var out []string
	for _, f := range v.Findings {
		out = append(out, fmt.Sprintf("%s %s: %s", f.Severity, f.Platform, f.Message))
	}
	return out
}

// verifyOne verifies the list.
func (y *yard) verifyOne(deep bool) Verification {
	y.Helper()
	got, err := Verify(y.Context(), y.Registry, []reference.Named{fakes.Named(y.T, "h.example.com/app:1")}, deep)
	if err != nil || len(got) != 1 {
		y.Fatal(got, err)
	}
	return got[0]
}

// refusal is an error of a registry.
type refusal struct{ error }

func (refusal) Registry() string { return "h.example.com" }
func (r refusal) Unwrap() error  { return r.error }

type verifyCase struct {
	// before changes what the list is made of, entries what it lists, after what the registry has then.
	before  func(*yard)
	entries func([]ocispec.Descriptor) []ocispec.Descriptor
	after   func(*yard)
	state   Soundness
	// says are parts of the findings, one for each and in their order.
	says []string
	// deep are those with deep when they differ.
	deep []string
	// deepState is the state then.
	deepState Soundness
}

var verifyCases = map[string]verifyCase{
	"sound": {state: Sound},
	"old entrypoint": {
		before: func(y *yard) { y.config["amd64"]["config"] = map[string]any{"Entrypoint": "/app"} }, state: Sound,
	},
	"missing child": {
		after: func(y *yard) { y.lost(y.children[1].Digest) }, state: Unsound,
		says: []string{"unsound linux/arm64: manifest sha256:"},
	},
	"other child": {
		after: func(y *yard) {
			y.Errs["h.example.com/app@"+y.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrDataLoss, "another digest")
		}, state: Unsound,
		says: []string{"is not what it should be: another digest"},
	},
	"forbidden child": {
		after: func(y *yard) {
			y.Errs["h.example.com/app@"+y.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrPermissionDenied, "403 Forbidden\x1b")
		}, state: Untold,
		says: []string{`untold linux/amd64: manifest sha256:`},
	},
	"refused child": {
		after: func(y *yard) {
			y.Errs["h.example.com/app@"+y.children[0].Digest.String()] = refusal{manifest.Errorf(errdefs.ErrInvalidArgument, "400 Bad Request")}
		}, state: Untold,
		says: []string{`untold linux/amd64: manifest sha256:`},
	},
	"missing attestation": {
		after: func(y *yard) { y.lost(y.children[2].Digest) }, state: Unsound, says: []string{"unsound : manifest"},
	},
	"missing config": {
		after: func(y *yard) {
			n, err := manifest.ParseNode(manifest.Content{Descriptor: y.children[0], Raw: y.Manifests["h.example.com/app@"+y.children[0].Digest.String()]})
			if err != nil {
				y.Fatal(err)
			}
			delete(y.Blobs, n.Config.Digest)
		}, state: Unsound, says: []string{"unsound linux/amd64: config sha256:"},
	},
	"odd config": {
		before: func(y *yard) { y.config["amd64"]["config"] = "x" }, state: Unsound, says: []string{"is not valid JSON of an image"},
	},
	"missing layer": {
		after: func(y *yard) { delete(y.Blobs, y.layers["arm64"][1].Digest) }, state: Unsound,
		says: []string{"is not in the repository h.example.com/app"},
		deep: []string{"is not in the repository h.example.com/app", "note linux/arm64: what the image runs could not be compared with its platform: /app may be in a layer that could not be read"}, deepState: Unsound,
	},
	"missing shared layer": {
		after: func(y *yard) { delete(y.Blobs, y.layers["arm64"][0].Digest) }, state: Unsound,
		says: []string{"unsound linux/amd64: layer", "unsound linux/arm64: layer"},
	},
	"larger layer": {
		before: func(y *yard) { y.layers["amd64"][1].Size++ }, state: Unsound,
		says: []string{"unsound linux/amd64: layer"},
		deep: []string{"unsound linux/amd64: layer", "may be in a layer that could not be read"}, deepState: Unsound,
	},
	"other layer": {
		after: func(y *yard) {
			d := y.layers["amd64"][1]
			y.Blobs[d.Digest] = bytes.Repeat([]byte("x"), int(d.Size))
		}, state: Sound,
		deep: []string{"is not what it should be", "note"}, deepState: Unsound,
	},
	"foreign layer": {
		before: func(y *yard) {
			y.layers["amd64"][0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
			y.layers["arm64"][0].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar"
		},
		after: func(y *yard) { delete(y.Blobs, y.layers["arm64"][0].Digest) }, state: Sound,
		says: []string{"note linux/amd64: layer", "note linux/arm64: layer"},
	},
	"encrypted layer": {
		before: func(y *yard) { y.layers["amd64"][1].MediaType += "+encrypted" }, state: Sound,
		deep: []string{"was not unpacked: it is encrypted", "what the image runs could not be compared"}, deepState: Sound,
	},
	"broken layer": {
		before: func(y *yard) { y.relayer("amd64", nil, []byte("\x1f\x8bjunk")) }, state: Sound,
		deep: []string{"cannot be unpacked: ", "note"}, deepState: Unsound,
	},
	"wrong diff_id": {
		before: func(y *yard) { y.relayer("amd64", []byte("x"), zipped(y.T, tarOf(y.T, "app", compiled("amd64")))) }, state: Sound,
		deep: []string{"has the diff_id sha256:"}, deepState: Unsound,
	},
	"odd diff_id": {
		before: func(y *yard) { y.config["amd64"]["rootfs"].(map[string]any)["diff_ids"].([]string)[0] = "md5" }, state: Sound,
		deep: []string{`has "md5" as the diff_id`}, deepState: Unsound,
	},
	"too few diff_ids": {
		before: func(y *yard) { y.config["amd64"]["rootfs"] = map[string]any{} }, state: Unsound,
		says: []string{"has diff_ids of 0 layers, the manifest has 2 layers"},
	},
	"program of another architecture": {
		before: func(y *yard) {
			content := tarOf(y.T, "app", compiled("amd64"))
			y.relayer("arm64", content, zipped(y.T, content))
		}, state: Sound,
		deep: []string{"unsound linux/arm64: /app is a program for amd64 (ELF), but the image is for linux/arm64"}, deepState: Unsound,
	},
	"beside something else": {
		before: func(y *yard) {
			content := tarOf(y.T, "app", compiled("amd64"))
			y.relayer("arm64", content, zipped(y.T, content))
			y.layers["arm64"][0].MediaType = "application/x"
		}, state: Sound,
		deep: []string{"unsound linux/arm64: /app is a program for amd64"}, deepState: Unsound,
	},
	"below something else": {
		before: func(y *yard) { y.layers["arm64"][1].MediaType = "application/x" }, state: Sound,
		deep: []string{"note linux/arm64: what the image runs could not be compared with its platform: /app may be in a layer"}, deepState: Sound,
	},
	"plain layer": {
		before: func(y *yard) {
			content := tarOf(y.T, "app", compiled("arm64"))
			y.relayer("arm64", content, content)
		}, state: Sound,
	},
	"no command": {
		before: func(y *yard) { delete(y.config["arm64"], "config") }, state: Sound,
		deep: []string{"note linux/arm64: what the image runs could not be compared with its platform: the image has no command"}, deepState: Sound,
	},
	"swapped entries": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform, d[1].Platform = d[1].Platform, d[0].Platform
			return d
		}, state: Unsound,
		says: []string{"is for linux/arm64, its config says linux/amd64", "is for linux/amd64, its config says linux/arm64"},
	},
	"aliases": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform = &ocispec.Platform{OS: "linux", Architecture: "x86_64"}
			d[1].Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
			return d
		}, state: Sound,
	},
	"other variant": {
		before: func(y *yard) { y.config["amd64"]["variant"] = "v3" }, state: Unsound, says: []string{"its config says linux/amd64/v3"},
	},
	"no operating system": { // not even the one that the test runs on
		before: func(y *yard) { y.config["amd64"]["os"] = "" },
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OS = runtime.GOOS
			return d
		}, state: Unsound, says: []string{"its config says unknown/amd64"},
		deep: []string{"which cannot be compared with unknown/amd64", "its config says unknown/amd64"}, deepState: Unsound,
	},
	"other features": {
		before: func(y *yard) { y.config["amd64"]["os.features"] = []string{"a"} },
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OSFeatures = []string{"b"}
			return d
		}, state: Unsound, says: []string{"its config says"},
	},
	"no platform": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform = nil
			return d
		}, state: Sound, says: []string{"note linux/amd64: index sha256:"},
	},
	"no platform in a Docker list": {
		before: func(y *yard) { y.listType = manifest.MediaTypeDockerList },
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform = nil
			return d
		}, state: Unsound, says: []string{"no platform"},
	},
	"windows without a version": {
		before: func(y *yard) {
			y.config["amd64"]["os"] = "windows"
			delete(y.config["amd64"], "config")
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OS = "windows"
			return d
		}, state: Unsound,
		says: []string{"unsound windows/amd64: index"},
		deep: []string{"the image has no command", "os.version"}, deepState: Unsound,
	},
	"other version of windows": {
		before: func(y *yard) {
			y.config["amd64"]["os"], y.config["amd64"]["os.version"] = "windows", "10.0.1"
			delete(y.config["amd64"], "config")
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OS, d[0].Platform.OSVersion = "windows", "10.0.2"
			return d
		}, state: Unsound,
		says: []string{"its config says windows(10.0.1)/amd64"},
		deep: []string{"the image has no command", "its config says windows(10.0.1)/amd64"}, deepState: Unsound,
	},
	"platform twice": {
		before: func(y *yard) {
			y.config["arm64"]["architecture"], y.config["arm64"]["author"] = "amd64", "another"
			content := tarOf(y.T, "app", compiled("amd64"))
			y.relayer("arm64", content, zipped(y.T, content))
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[1].Platform.Architecture = "amd64"
			return d
		}, state: Unsound, says: []string{"is for linux/amd64, as sha256:"},
	},
	"image twice": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor { return append(d, d[0]) }, state: Sound, says: []string{"twice"},
	},
	"wrong size": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Size--
			return d
		}, state: Unsound, says: []string{"unsound linux/amd64: index sha256:"},
	},
	"wrong media type": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].MediaType = manifest.MediaTypeDockerManifest
			return d
		}, state: Unsound, says: []string{"is of media type \"application/vnd.docker.distribution.manifest.v2+json\", it is of application/vnd.oci"},
	},
	"attestation of nothing": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor { return d[1:] }, state: Unsound, says: []string{"which is no image of index"},
	},
	"attestation without a link": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[2].Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation}
			return d
		}, state: Unsound, says: []string{`describes "", which is no image`},
	},
	"attestation of itself": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[2].Annotations[manifest.AnnotationReferenceDigest] = d[2].Digest.String()
			return d
		}, state: Unsound, says: []string{"which is no image"},
	},
	"something else": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			return append(d, ocispec.Descriptor{MediaType: "application/x", Digest: digest.FromString("x"), Size: 1})
		},
		after: func(y *yard) {
			y.Errs["h.example.com/app@"+digest.FromString("x").String()] = manifest.Errorf(errdefs.ErrInvalidArgument, "JSON of another kind")
		}, state: Sound, says: []string{"is no image: JSON of another kind"},
	},
	"junk": {
		after: func(y *yard) {
			y.Errs["h.example.com/app@"+y.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrInvalidArgument, "no JSON object")
		}, state: Unsound, says: []string{"no JSON object"},
	},
	"no list":        {after: func(y *yard) { delete(y.Manifests, "h.example.com/app:1") }, state: Unsound, says: []string{"h.example.com/app:1 is not in the registry h.example.com"}},
	"forbidden list": {after: func(y *yard) { y.Errs["h.example.com/app:1"] = manifest.Errorf(errdefs.ErrUnauthenticated, "401") }, state: Untold, says: []string{"untold : h.example.com/app:1 could not be read: 401"}},
	"both": {
		after: func(y *yard) {
			y.Errs["h.example.com/app@"+y.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrUnavailable, "no answer")
			y.lost(y.children[1].Digest)
		}, state: Unsound, says: []string{"untold linux/amd64", "unsound linux/arm64"},
	},
}

func TestVerify(t *testing.T) {
	for name, tt := range verifyCases {
		for _, deep := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", deep), func(t *testing.T) {
				y, state, says := newYard(t), tt.state, tt.says
				if deep && tt.deep != nil {
					state, says = tt.deepState, tt.deep
				}
				if tt.before != nil {
					tt.before(y)
				}
				if tt.entries == nil {
					tt.entries = same
				}
				y.list(tt.entries)
				if tt.after != nil {
					tt.after(y)
				}
				v := y.verifyOne(deep)
				got := inWords(v)
				ok := v.State == state && len(got) == len(says)
				for i := range min(len(got), len(says)) {
					ok = ok && strings.Contains(got[i], says[i])
				}
				if !ok {
					t.Errorf("%s, not %s:\n%s", v.State, state, strings.Join(got, "\n"))
				}
				if strings.Contains(fmt.Sprint(got), "\x1b") {
					t.Errorf("%q", got)
				}
			})
		}
	}
}

// A manifest, config or layer is asked for once, whatever leads to it; nested indexes are followed.
func TestVerifyAsksOnce(t *testing.T) {
	for _, deep := range []bool{false, true} {
		y := newYard(t)
		y.list(same)
		inner := y.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, y.children...)
		y.Index(t, "h.example.com/app:outer", ocispec.MediaTypeImageIndex, inner)
		y.Log = nil
		names := []reference.Named{fakes.Named(t, "h.example.com/app:outer"), fakes.Named(t, "h.example.com/app:1"), fakes.Named(t, "h.example.com/app:arm64")}
		got, err := Verify(t.Context(), y.Registry, names, deep)
		if err != nil || len(got) != 3 {
			t.Fatal(got, err)
		}
		for i, want := range []string{
			"index:sound index:sound image:sound image:sound attestation:sound", "index:sound image:sound image:sound attestation:sound", "image:sound",
		} {
			var rows []string
			for _, m := range got[i].Manifests {
				rows = append(rows, m.Kind+":"+string(m.State))
			}
			if strings.Join(rows, " ") != want || got[i].State != Sound || len(got[i].Findings) != 0 {
				t.Errorf("%v: %v", names[i], got[i])
			}
		}
		if got[2].Manifests[0].Platform != "linux/arm64" {
			t.Errorf("%v", got[2])
		}
		slices.Sort(y.Log)
		// 3 configs and 4 layers; the image under the tag is met below the index, too.
		if blobs := strings.Count(strings.Join(y.Log, "\n"), "blob"); blobs != 7 || len(y.Log) > 7+7 {
			t.Errorf("%d of blobs: %q", blobs, y.Log)
		}
	}
}

// One platform in two indexes that are nested is one too many.
func TestVerifyNestedPlatforms(t *testing.T) {
	m := fakes.NewRegistry()
	a := m.Image(t, "h.example.com/app:a", ocispec.MediaTypeImageManifest, "linux/amd64", "a")
	b := m.Image(t, "h.example.com/app:b", ocispec.MediaTypeImageManifest, "linux/amd64", "b")
	inner := m.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, b)
	m.Index(t, "h.example.com/app:1", ocispec.MediaTypeImageIndex, a, inner)
	got, err := Verify(t.Context(), m, []reference.Named{fakes.Named(t, "h.example.com/app:1")}, false)
	if err != nil || got[0].State != Unsound || len(got[0].Findings) != 1 || !strings.Contains(got[0].Findings[0].Message, "as "+a.Digest.String()) {
		t.Errorf("%v, %v", got, err)
	}
}

// An artifact has neither platform nor file system.
func TestVerifyArtifact(t *testing.T) {
	m := fakes.NewRegistry()
	content := []byte("anything")
	d := digest.FromBytes(content)
	m.Blobs[d] = content
	raw := fmt.Appendf(nil, `{"mediaType":%q,"config":{"mediaType":"application/x","digest":%q,"size":8},"layers":[{"mediaType":"application/y","digest":%q,"size":8}]}`,
		ocispec.MediaTypeImageManifest, d, d)
	m.Store(fakes.Named(t, "h.example.com/app:1"), ocispec.MediaTypeImageManifest, raw)
	for _, deep := range []bool{false, true} {
		got, err := Verify(t.Context(), m, []reference.Named{fakes.Named(t, "h.example.com/app:1")}, deep)
		if err != nil || got[0].State != Sound || len(got[0].Findings) != 0 || got[0].Manifests[0].Kind != "artifact" {
			t.Errorf("%v, %v", got, err)
		}
	}
}

// What a layer is read as depends on who has it, and not on who had it first.
func TestVerifySharedLayer(t *testing.T) {
	content := tarOf(t, "app", compiled("amd64"))
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(content), Size: int64(len(content))}
	cases := []struct{ config, suffix, os, want string }{
		{ocispec.MediaTypeImageConfig, "", "linux", "[/app] []"},
		{"application/x", "", "linux", "[] []"},
		{ocispec.MediaTypeImageConfig, "", "windows", "[] []"},
		{ocispec.MediaTypeImageConfig, "+encrypted", "linux", "[] [note : layer " + d.Digest.String() + " was not unpacked: it is encrypted]"},
	}
	for first := range cases {
		m, repo := fakes.NewRegistry(), fakes.Named(t, "h.example.com/app")
		m.Blobs[d.Digest] = content
		v := &verifier{from: m, deep: true}
		v.layers = layers{left: map[layerKey]int{}, slots: make(chan struct{}, 1), budget: program.NewBudget(maxFiles), most: maxContent}
		var keys []layerKey
		for _, c := range append(cases[first:len(cases):len(cases)], cases[:first]...) {
			of, n := d, manifest.Node{Config: &ocispec.Descriptor{MediaType: c.config}, Layers: []ocispec.Descriptor{d}}
			of.MediaType += c.suffix
			keys = append(keys, keyOfLayer(repo, n, of))
			v.layers.left[keys[len(keys)-1]]++
			got := v.layer(t.Context(), repo, n, 0, of, func() (config imageConfig) {
				config.OS, config.RootFS.DiffIDs = c.os, []digest.Digest{d.Digest}
				return config
			})
			paths := []string{}
			if got.layer != nil {
				found, _ := program.Find(t.Context(), program.Command{OS: c.os, Args: []string{"/app"}}, []*program.Layer{got.layer})
				for _, f := range found {
					paths = append(paths, f.Path)
				}
			}
			if got := fmt.Sprint(paths, inWords(Verification{Findings: got.findings})); got != c.want {
				t.Errorf("%v: %s", c, got)
			}
		}
		for _, key := range keys {
			v.layers.release(key)
		}
		if len(v.layers.made) > 0 {
			t.Errorf("%v are not released", v.layers.made)
		}
	}
}

// What there is too much of is not looked at, and no fault; the digests are known nevertheless.
func TestVerifyLimits(t *testing.T) {
	y := newYard(t)
	l := layers{slots: make(chan struct{}, 1), budget: program.NewBudget(1), most: 2048}
	for _, tt := range []struct {
		content string
		crowded bool
		broken  error
	}{
		{string(tarOf(t, "app", compiled("amd64"))), true, nil},                // a file and its program, in 2048 bytes
		{"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00", false, compression.ErrWindow}, // a window of 128 MiB
		{string(zipped(t, make([]byte, 2049))), false, program.ErrLimit},
		{string(zipped(t, tarOf(t, "app", strings.Repeat("x", 9000)))), false, program.ErrLimit},
	} {
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString(tt.content), Size: int64(len(tt.content))}
		y.Blobs[d.Digest] = []byte(tt.content)
		u := l.read(t.Context(), y.Registry, fakes.Named(t, "h.example.com/app"), d, true, false)
		if u.crowded != tt.crowded || !errors.Is(u.broken, tt.broken) || u.err != nil || u.size != d.Size || u.layer != nil {
			t.Errorf("%+v", u)
		}
		if found := u.compare(d, digest.FromString(tt.content)); tt.broken == nil && len(found) > 0 || tt.broken != nil && found[0].Severity != Remark {
			t.Errorf("%v", found)
		}
	}
}

func TestVerifyIsInterrupted(t *testing.T) {
	y := newYard(t)
	y.list(same)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := Verify(ctx, y.Registry, []reference.Named{fakes.Named(t, "h.example.com/app:1")}, true); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	l := layers{budget: program.NewBudget(maxFiles), most: maxContent}
	if u := l.unpack(ctx, bytes.NewReader(tarOf(t, "app", "x")), true, false); !errors.Is(u.broken, context.Canceled) {
		t.Errorf("%+v", u)
	}
}

func TestExists(t *testing.T) {
	m := fakes.NewRegistry()
	amd64 := m.Image(t, "h.example.com/app:amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
	arm64 := m.Image(t, "h.example.com/app:arm64", ocispec.MediaTypeImageManifest, "linux/arm64")
	bare := m.Image(t, "h.example.com/app:bare", ocispec.MediaTypeImageManifest, "linux/riscv64")
	bare.Platform = nil
	lost := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("lost"), Size: 4, Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}}
	forbidden := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("no"), Size: 4, Platform: &ocispec.Platform{OS: "linux", Architecture: "386"}}
	m.Errs["h.example.com/app@"+forbidden.Digest.String()] = manifest.Errorf(errdefs.ErrPermissionDenied, "403")
	inner := m.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, arm64)
	half := arm64 // the index gives half of a platform, the config all of it
	half.Platform = &ocispec.Platform{OS: "linux"}
	m.Index(t, "h.example.com/app:partial", ocispec.MediaTypeImageIndex, half)
	m.Index(t, "h.example.com/app:1", ocispec.MediaTypeImageIndex, amd64, inner, m.Attestation(t, "h.example.com/app:att", amd64.Digest), bare, lost, forbidden)
	many := m.Index(t, "h.example.com/app:many1", ocispec.MediaTypeImageIndex, slices.Repeat([]ocispec.Descriptor{lost}, manifest.MaxEntries/2)...)
	other := m.Index(t, "h.example.com/app:many2", ocispec.MediaTypeImageIndex, slices.Repeat([]ocispec.Descriptor{lost}, manifest.MaxEntries/2)...)
	m.Index(t, "h.example.com/app:many", ocispec.MediaTypeImageIndex, many, other)
	odd := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("odd"), Size: 4}
	m.Errs["h.example.com/app@"+odd.Digest.String()] = manifest.Errorf(errdefs.ErrUnavailable, "502")
	m.Index(t, "h.example.com/app:odd", ocispec.MediaTypeImageIndex, odd, amd64, inner)
	m.Errs["h.example.com/app:secret"] = manifest.Errorf(errdefs.ErrUnauthenticated, "401")
	for _, tt := range []struct {
		name, platforms, want string
		kind                  error
	}{
		{"app:1", "", "", nil},
		{"app:none", "", "h.example.com/app:none is not in the registry h.example.com", errdefs.ErrNotFound},
		{"app:none", "linux/amd64", "h.example.com/app:none is not in the registry h.example.com", errdefs.ErrNotFound},
		{"app:secret", "", "401", errdefs.ErrUnauthenticated},
		{"app:secret", "linux/amd64", "401", errdefs.ErrUnauthenticated},
		{"app:1", "linux/amd64 linux/arm64/v8 linux/riscv64", "", nil},
		{"app:1", "linux/amd64 linux/ppc64le", "h.example.com/app:1 has no image for linux/ppc64le, but for linux/amd64, linux/arm64", errdefs.ErrNotFound},
		{"app:1", "linux/s390x", "lists " + lost.Digest.String() + " for linux/s390x, which is not in the registry", errdefs.ErrNotFound},
		{"app:1", "linux/386", "403", errdefs.ErrPermissionDenied},
		{"app:1", "linux/386 linux/s390x", "which is not in the registry", errdefs.ErrNotFound},
		{"app:odd", "linux/amd64 linux/arm64", "", nil},
		{"app:odd", "linux/amd64 linux/s390x", "502", errdefs.ErrUnavailable},
		{"app:arm64", "linux/arm64", "", nil},
		{"app:arm64", "linux/amd64", "has no image for linux/amd64, but for linux/arm64", errdefs.ErrNotFound},
		{"app@" + amd64.Digest.String(), "linux/amd64", "", nil},
		{"app@" + lost.Digest.String(), "", "is not in the registry", errdefs.ErrNotFound},
		{"app:partial", "linux/arm64", "", nil},
		{"app:many", "linux/s390x", "more than 4096 entries in all", errdefs.ErrInvalidArgument},
	} {
		want, err := manifest.ParsePlatforms(strings.Fields(tt.platforms))
		if err != nil {
			t.Fatal(err)
		}
		err = Exists(t.Context(), m, fakes.Named(t, "h.example.com/"+tt.name), want)
		if tt.kind == nil && err != nil || tt.kind != nil && (!errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s %s: %v", tt.name, tt.platforms, err)
		}
	}
	if m.Blobs = nil; !errdefs.IsNotFound(Exists(t.Context(), m, fakes.Named(t, "h.example.com/app:arm64"), []manifest.Platform{{}})) {
		t.Error("an image without its config is said to be for a platform")
	}
}
