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
	"maps"
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

// compiled returns the start of a program for Linux.
func compiled(arch string) string {
	head := make([]byte, 64)
	copy(head, elf.ELFMAG+"\x02\x01")
	head[16] = byte(elf.ET_EXEC)
	head[18] = byte(map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch])
	return string(head)
}

// tarOf returns a layer with one file.
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

// repo is the repository h.example.com/app with a list of two images and an attestation. Each image has a layer of
// its own and one that they share.
type repo struct {
	*testing.T
	*fakes.Registry
	config   map[string]map[string]any // by architecture
	layers   map[string][]ocispec.Descriptor
	children []ocispec.Descriptor
	mediaType,
	listType string
}

func newRepo(t *testing.T) *repo {
	r := &repo{T: t, Registry: fakes.NewRegistry(), config: map[string]map[string]any{}, layers: map[string][]ocispec.Descriptor{},
		mediaType: ocispec.MediaTypeImageManifest, listType: ocispec.MediaTypeImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		r.config[arch] = map[string]any{"os": "linux", "architecture": arch, "config": map[string]any{"Entrypoint": []string{"/app"}},
			"rootfs": map[string]any{"diff_ids": []string{}}}
		r.addLayer(arch, tarOf(t, "shared", "x"), zipped(t, tarOf(t, "shared", "x")))
		r.addLayer(arch, tarOf(t, "app", compiled(arch)), zipped(t, tarOf(t, "app", compiled(arch))))
	}
	return r
}

// addLayer adds a layer to the image of an architecture.
func (r *repo) addLayer(arch string, content, packed []byte) {
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromBytes(packed), Size: int64(len(packed))}
	r.Blobs[d.Digest] = packed
	r.layers[arch] = append(r.layers[arch], d)
	rootfs := r.config[arch]["rootfs"].(map[string]any)
	rootfs["diff_ids"] = append(rootfs["diff_ids"].([]string), digest.FromBytes(content).String())
}

// replaceLayer replaces the second layer of an architecture.
func (r *repo) replaceLayer(arch string, content, packed []byte) {
	r.layers[arch] = r.layers[arch][:1]
	rootfs := r.config[arch]["rootfs"].(map[string]any)
	rootfs["diff_ids"] = rootfs["diff_ids"].([]string)[:1]
	r.addLayer(arch, content, packed)
}

// putImage puts the image of an architecture and returns its entry.
func (r *repo) putImage(arch string) ocispec.Descriptor {
	r.Helper()
	config, err := json.Marshal(r.config[arch])
	if err != nil {
		r.Fatal(err)
	}
	c := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	r.Blobs[c.Digest] = config
	raw, err := json.Marshal(map[string]any{"mediaType": r.mediaType, "config": c, "layers": r.layers[arch]})
	if err != nil {
		r.Fatal(err)
	}
	d := r.Store(fakes.Named(r.T, "h.example.com/app:"+arch), r.mediaType, raw)
	return ocispec.Descriptor{MediaType: r.mediaType, Digest: d, Size: int64(len(raw)), Platform: &ocispec.Platform{OS: "linux", Architecture: arch}}
}

// putList puts the list, with its entries as change returns them.
func (r *repo) putList(change func([]ocispec.Descriptor) []ocispec.Descriptor) {
	r.Helper()
	amd64, arm64 := r.putImage("amd64"), r.putImage("arm64")
	r.children = change([]ocispec.Descriptor{amd64, arm64, r.putAttestation(amd64.Digest)})
	raw, err := json.Marshal(map[string]any{"mediaType": r.listType, "manifests": r.children})
	if err != nil {
		r.Fatal(err)
	}
	r.Store(fakes.Named(r.T, "h.example.com/app:1"), r.listType, raw)
}

// putAttestation puts an attestation like those of buildx and returns its entry.
func (r *repo) putAttestation(of digest.Digest) ocispec.Descriptor {
	r.Helper()
	statement := []byte("{}")
	d := ocispec.Descriptor{MediaType: "application/vnd.in-toto+json", Digest: digest.FromBytes(statement), Size: 2}
	r.Blobs[d.Digest] = statement
	r.layers["att"] = []ocispec.Descriptor{d}
	r.config["att"] = map[string]any{"os": "unknown", "architecture": "unknown", "rootfs": map[string]any{"diff_ids": []string{d.Digest.String()}}}
	out := r.putImage("att")
	out.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	out.Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation, manifest.AnnotationReferenceDigest: of.String()}
	return out
}

func unchanged(d []ocispec.Descriptor) []ocispec.Descriptor { return d }

// remove removes a manifest.
func (r *repo) remove(d digest.Digest) { delete(r.Manifests, "h.example.com/app@"+d.String()) }

// texts returns the findings as text.
func texts(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s %s: %s", f.Severity, f.Platform, f.Message))
	}
	return out
}

// check checks the list.
func (r *repo) check(deep bool) Result {
	r.Helper()
	got, err := Check(r.Context(), r.Registry, []reference.Named{fakes.Named(r.T, "h.example.com/app:1")}, Options{Deep: deep})
	if err != nil || len(got) != 1 {
		r.Fatalf("got results %v, error %v, want one result", got, err)
	}
	return got[0]
}

// refusal is an error of a registry.
type refusal struct{ error }

func (refusal) Registry() string { return "h.example.com" }
func (r refusal) Unwrap() error  { return r.error }

type checkCase struct {
	// before changes the images, entries the entries of the list, and after the content of the registry.
	before  func(*repo)
	entries func([]ocispec.Descriptor) []ocispec.Descriptor
	after   func(*repo)
	state   State
	// findings are parts of the findings, one for each in their order.
	findings []string
	// deep are the findings of a deep check if they differ, and deepState is its state then.
	deep      []string
	deepState State
}

var checkCases = map[string]checkCase{
	"valid": {state: StateOK},
	"old entrypoint": {
		before: func(r *repo) { r.config["amd64"]["config"] = map[string]any{"Entrypoint": "/app"} }, state: StateOK,
	},
	"missing child": {
		after: func(r *repo) { r.remove(r.children[1].Digest) }, state: StateInvalid,
		findings: []string{"error linux/arm64: manifest sha256:"},
	},
	"other child": {
		after: func(r *repo) {
			r.Errs["h.example.com/app@"+r.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrDataLoss, "another digest")
		}, state: StateInvalid,
		findings: []string{"does not match its descriptor: another digest"},
	},
	"forbidden child": {
		after: func(r *repo) {
			r.Errs["h.example.com/app@"+r.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrPermissionDenied, "403 Forbidden\x1b")
		}, state: StateUnknown,
		findings: []string{`unknown linux/amd64: manifest sha256:`},
	},
	"refused child": {
		after: func(r *repo) {
			r.Errs["h.example.com/app@"+r.children[0].Digest.String()] = refusal{manifest.Errorf(errdefs.ErrInvalidArgument, "400 Bad Request")}
		}, state: StateUnknown,
		findings: []string{`unknown linux/amd64: manifest sha256:`},
	},
	"missing attestation": {
		after: func(r *repo) { r.remove(r.children[2].Digest) }, state: StateInvalid, findings: []string{"error : manifest"},
	},
	"missing config": {
		after: func(r *repo) {
			n, err := manifest.ParseNode(manifest.Content{Descriptor: r.children[0], Raw: r.Manifests["h.example.com/app@"+r.children[0].Digest.String()]})
			if err != nil {
				r.Fatal(err)
			}
			delete(r.Blobs, n.Config.Digest)
		}, state: StateInvalid, findings: []string{"error linux/amd64: config sha256:"},
	},
	"odd config": {
		before: func(r *repo) { r.config["amd64"]["config"] = "x" }, state: StateInvalid, findings: []string{"is not a valid image config"},
	},
	"missing layer": {
		after: func(r *repo) { delete(r.Blobs, r.layers["arm64"][1].Digest) }, state: StateInvalid,
		findings: []string{"is not in the repository h.example.com/app"},
		deep:     []string{"is not in the repository h.example.com/app", "info linux/arm64: the program that the image runs could not be checked: /app may be in a layer that could not be read"}, deepState: StateInvalid,
	},
	"missing shared layer": {
		after: func(r *repo) { delete(r.Blobs, r.layers["arm64"][0].Digest) }, state: StateInvalid,
		findings: []string{"error linux/amd64: layer", "error linux/arm64: layer"},
	},
	"larger layer": {
		before: func(r *repo) { r.layers["amd64"][1].Size++ }, state: StateInvalid,
		findings: []string{"error linux/amd64: layer"},
		deep:     []string{"error linux/amd64: layer", "may be in a layer that could not be read"}, deepState: StateInvalid,
	},
	"other layer": {
		after: func(r *repo) {
			d := r.layers["amd64"][1]
			r.Blobs[d.Digest] = bytes.Repeat([]byte("x"), int(d.Size))
		}, state: StateOK,
		deep: []string{"does not match its descriptor", "info"}, deepState: StateInvalid,
	},
	"foreign layer": {
		before: func(r *repo) {
			r.layers["amd64"][0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
			r.layers["arm64"][0].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar"
		},
		after: func(r *repo) { delete(r.Blobs, r.layers["arm64"][0].Digest) }, state: StateOK,
		findings: []string{"info linux/amd64: layer", "info linux/arm64: layer"},
	},
	"encrypted layer": {
		before: func(r *repo) { r.layers["amd64"][1].MediaType += "+encrypted" }, state: StateOK,
		deep: []string{"was not unpacked: it is encrypted", "the program that the image runs could not be checked"}, deepState: StateOK,
	},
	"broken layer": {
		before: func(r *repo) { r.replaceLayer("amd64", nil, []byte("\x1f\x8bjunk and more junk")) }, state: StateOK,
		deep: []string{"cannot be unpacked: ", "info"}, deepState: StateInvalid,
	},
	"truncated layer": {
		before: func(r *repo) {
			content := tarOf(r.T, "app", compiled("amd64"))
			r.replaceLayer("amd64", content, zipped(r.T, content[:530]))
		}, state: StateOK,
		deep: []string{"unknown linux/amd64: layer", "info"}, deepState: StateUnknown,
	},
	"wrong diff_id": {
		before: func(r *repo) { r.replaceLayer("amd64", []byte("x"), zipped(r.T, tarOf(r.T, "app", compiled("amd64")))) }, state: StateOK,
		deep: []string{"has the diff_id sha256:"}, deepState: StateInvalid,
	},
	"odd diff_id": {
		before: func(r *repo) { r.config["amd64"]["rootfs"].(map[string]any)["diff_ids"].([]string)[0] = "md5" }, state: StateOK,
		deep: []string{`has "md5" as the diff_id`}, deepState: StateInvalid,
	},
	"too few diff_ids": {
		before: func(r *repo) { r.config["amd64"]["rootfs"] = map[string]any{} }, state: StateInvalid,
		findings: []string{"has diff_ids of 0 layers, but the manifest has 2 layers"},
	},
	"program of another architecture": {
		before: func(r *repo) {
			content := tarOf(r.T, "app", compiled("amd64"))
			r.replaceLayer("arm64", content, zipped(r.T, content))
		}, state: StateOK, findings: []string{"info linux/arm64: linux/amd64 and linux/arm64 have all their layers in common"},
		deep: []string{"error linux/arm64: /app is a program for amd64 (ELF), but the image is for linux/arm64; in layer sha256:"}, deepState: StateInvalid,
	},
	"beside something else": {
		before: func(r *repo) {
			content := tarOf(r.T, "app", compiled("amd64"))
			r.replaceLayer("arm64", content, zipped(r.T, content))
			r.layers["arm64"][0].MediaType = "application/x"
		}, state: StateOK, findings: []string{"info linux/arm64: linux/amd64 and linux/arm64 have all their layers in common"},
		deep: []string{"error linux/arm64: /app is a program for amd64"}, deepState: StateInvalid,
	},
	"below something else": {
		before: func(r *repo) { r.layers["arm64"][1].MediaType = "application/x" }, state: StateOK,
		deep: []string{"info linux/arm64: the program that the image runs could not be checked: /app may be in a layer"}, deepState: StateOK,
	},
	"plain layer": {
		before: func(r *repo) {
			content := tarOf(r.T, "app", compiled("arm64"))
			r.replaceLayer("arm64", content, content)
		}, state: StateOK,
	},
	"command in a volume": {
		before: func(r *repo) {
			r.config["arm64"]["config"] = map[string]any{"Cmd": []string{"/data/run"}, "Volumes": map[string]any{"/data": map[string]any{}}}
		}, state: StateOK,
		deep: []string{"info linux/arm64: the program that the image runs could not be checked: /data/run would be in a directory that containers mount"}, deepState: StateOK,
	},
	"odd volumes": {
		before: func(r *repo) {
			r.config["arm64"]["config"] = map[string]any{"Entrypoint": []string{"/app"}, "Volumes": []string{"/data"}}
		}, state: StateOK,
	},
	"no command": {
		before: func(r *repo) { delete(r.config["arm64"], "config") }, state: StateOK,
		deep: []string{"info linux/arm64: the program that the image runs could not be checked: the image has no command"}, deepState: StateOK,
	},
	"swapped entries": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform, d[1].Platform = d[1].Platform, d[0].Platform
			return d
		}, state: StateInvalid,
		findings: []string{"is for linux/arm64, but its config says linux/amd64", "is for linux/amd64, but its config says linux/arm64"},
	},
	"aliases": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform = &ocispec.Platform{OS: "linux", Architecture: "x86_64"}
			d[1].Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
			return d
		}, state: StateOK,
	},
	"other variant": {
		before: func(r *repo) { r.config["amd64"]["variant"] = "v3" }, state: StateInvalid, findings: []string{"its config says linux/amd64/v3"},
	},
	"no operating system": { // not even the one that the test runs on
		before: func(r *repo) { r.config["amd64"]["os"] = "" },
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OS = runtime.GOOS
			return d
		}, state: StateInvalid, findings: []string{"its config says unknown/amd64"},
		deep: []string{"which cannot be compared with unknown/amd64", "its config says unknown/amd64"}, deepState: StateInvalid,
	},
	"other features": {
		before: func(r *repo) { r.config["amd64"]["os.features"] = []string{"a"} },
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OSFeatures = []string{"b"}
			return d
		}, state: StateInvalid, findings: []string{"its config says"},
	},
	"no platform": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform = nil
			return d
		}, state: StateOK, findings: []string{"info linux/amd64: index sha256:"},
	},
	"no platform in a Docker list": {
		before: func(r *repo) { r.listType = manifest.MediaTypeDockerList },
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform = nil
			return d
		}, state: StateInvalid, findings: []string{"has no platform for image"},
	},
	"windows without a version": {
		before: func(r *repo) {
			r.config["amd64"]["os"] = "windows"
			delete(r.config["amd64"], "config")
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OS = "windows"
			return d
		}, state: StateInvalid,
		findings: []string{"error windows/amd64: index"},
		deep:     []string{"the image has no command", "os.version"}, deepState: StateInvalid,
	},
	"other version of windows": {
		before: func(r *repo) {
			r.config["amd64"]["os"], r.config["amd64"]["os.version"] = "windows", "10.0.1"
			delete(r.config["amd64"], "config")
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Platform.OS, d[0].Platform.OSVersion = "windows", "10.0.2"
			return d
		}, state: StateInvalid,
		findings: []string{"its config says windows(10.0.1)/amd64"},
		deep:     []string{"the image has no command", "its config says windows(10.0.1)/amd64"}, deepState: StateInvalid,
	},
	"platform twice": {
		before: func(r *repo) {
			r.config["arm64"]["architecture"], r.config["arm64"]["author"] = "amd64", "another"
			content := tarOf(r.T, "app", compiled("amd64"))
			r.replaceLayer("arm64", content, zipped(r.T, content))
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[1].Platform.Architecture = "amd64"
			return d
		}, state: StateInvalid, findings: []string{"is for linux/amd64, and so is sha256:"},
	},
	"zstd and gzip": {
		before: func(r *repo) {
			r.config["arm64"]["architecture"], r.config["arm64"]["author"] = "amd64", "another"
			content := tarOf(r.T, "app", compiled("amd64"))
			r.replaceLayer("arm64", content, zipped(r.T, content))
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[1].Platform.Architecture, d[1].Annotations = "amd64", map[string]string{manifest.AnnotationZstd: "true"}
			return d
		}, state: StateOK,
	},
	"zstd and gzip without annotation": {
		before: func(r *repo) {
			r.config["arm64"]["architecture"], r.config["arm64"]["author"] = "amd64", "another"
			r.layers["arm64"][1].MediaType = ocispec.MediaTypeImageLayerZstd
		},
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[1].Platform.Architecture = "amd64"
			return d
		}, state: StateOK, deep: []string{"/app is a program for arm64"}, deepState: StateInvalid,
	},
	"artifacts": {
		after: func(r *repo) {
			r.children[1].ArtifactType = "application/x"
			lost := r.children[2]
			lost.Annotations = nil
			r.Index(r.T, "h.example.com/app:1", r.listType, r.children[0], lost, lost)
		}, state: StateOK,
	},
	"image twice": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor { return append(d, d[0]) }, state: StateOK, findings: []string{"twice"},
	},
	"wrong size": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].Size--
			return d
		}, state: StateInvalid, findings: []string{"error linux/amd64: index sha256:"},
	},
	"wrong media type": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[0].MediaType = manifest.MediaTypeDockerManifest
			return d
		}, state: StateInvalid, findings: []string{"is \"application/vnd.docker.distribution.manifest.v2+json\", but it is application/vnd.oci"},
	},
	"attestation of nothing": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor { return d[1:] }, state: StateInvalid, findings: []string{"which is not an image of index"},
	},
	"attestation without a link": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[2].Annotations = map[string]string{manifest.AnnotationReferenceType: manifest.ReferenceTypeAttestation}
			return d
		}, state: StateInvalid, findings: []string{`describes "", which is not an image`},
	},
	"attestation of itself": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			d[2].Annotations[manifest.AnnotationReferenceDigest] = d[2].Digest.String()
			return d
		}, state: StateInvalid, findings: []string{"which is not an image"},
	},
	"something else": {
		entries: func(d []ocispec.Descriptor) []ocispec.Descriptor {
			return append(d, ocispec.Descriptor{MediaType: "application/x", Digest: digest.FromString("x"), Size: 1})
		},
		after: func(r *repo) {
			r.Errs["h.example.com/app@"+digest.FromString("x").String()] = manifest.Errorf(errdefs.ErrInvalidArgument, "JSON of another kind")
		}, state: StateOK, findings: []string{"is not an image: JSON of another kind"},
	},
	"junk": {
		after: func(r *repo) {
			r.Errs["h.example.com/app@"+r.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrInvalidArgument, "no JSON object")
		}, state: StateInvalid, findings: []string{"no JSON object"},
	},
	"no list":        {after: func(r *repo) { delete(r.Manifests, "h.example.com/app:1") }, state: StateInvalid, findings: []string{"no such manifest: h.example.com/app:1: "}},
	"forbidden list": {after: func(r *repo) { r.Errs["h.example.com/app:1"] = manifest.Errorf(errdefs.ErrUnauthenticated, "401") }, state: StateUnknown, findings: []string{"unknown : h.example.com/app:1 could not be read: 401"}},
	"both": {
		after: func(r *repo) {
			r.Errs["h.example.com/app@"+r.children[0].Digest.String()] = manifest.Errorf(errdefs.ErrUnavailable, "no answer")
			r.remove(r.children[1].Digest)
		}, state: StateInvalid, findings: []string{"unknown linux/amd64", "error linux/arm64"},
	},
}

func TestCheck(t *testing.T) {
	for name, tt := range checkCases {
		for _, deep := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " deep=", deep), func(t *testing.T) {
				r, state, want := newRepo(t), tt.state, tt.findings
				if deep && tt.deep != nil {
					state, want = tt.deepState, tt.deep
				}
				if tt.before != nil {
					tt.before(r)
				}
				if tt.entries == nil {
					tt.entries = unchanged
				}
				r.putList(tt.entries)
				if tt.after != nil {
					tt.after(r)
				}
				result := r.check(deep)
				got := texts(result.Findings)
				if result.State != state {
					t.Errorf("got state %s, want %s", result.State, state)
				}
				if !slices.EqualFunc(got, want, strings.Contains) {
					t.Errorf("got findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				if strings.Contains(fmt.Sprint(got), "\x1b") {
					t.Errorf("got a control character in %q", got)
				}
			})
		}
	}
}

// Each manifest, config and layer is requested once, whatever leads to it, also through nested indexes.
func TestCheckRequestsOnce(t *testing.T) {
	for _, deep := range []bool{false, true} {
		r := newRepo(t)
		r.putList(unchanged)
		inner := r.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, r.children...)
		r.Index(t, "h.example.com/app:outer", ocispec.MediaTypeImageIndex, inner)
		r.Log = nil
		names := []reference.Named{fakes.Named(t, "h.example.com/app:outer"), fakes.Named(t, "h.example.com/app:1"), fakes.Named(t, "h.example.com/app:arm64")}
		got, err := Check(t.Context(), r.Registry, names, Options{Deep: deep})
		if err != nil || len(got) != 3 {
			t.Fatalf("got results %v, error %v, want 3 results", got, err)
		}
		for i, want := range []string{
			"index:ok index:ok image:ok image:ok attestation:ok", "index:ok image:ok image:ok attestation:ok", "image:ok",
		} {
			var rows []string
			for _, m := range got[i].Manifests {
				rows = append(rows, m.Kind+":"+string(m.State))
			}
			if rows := strings.Join(rows, " "); rows != want || got[i].State != StateOK || len(got[i].Findings) != 0 {
				t.Errorf("%s: got %s, state %s and findings %v, want %s and state ok", names[i], rows, got[i].State, got[i].Findings, want)
			}
		}
		if got := got[2].Manifests[0].Platform; got != "linux/arm64" {
			t.Errorf("got platform %q for the image of the tag, want linux/arm64", got)
		}
		// 3 configs and 4 layers; the image of the tag is also below the index.
		if got := strings.Count(strings.Join(r.Log, "\n"), "blob"); got != 7 || len(r.Log) > 7+7 {
			t.Errorf("got %d requests for blobs and %d in total, want 7 and at most 14: %q", got, len(r.Log), r.Log)
		}
	}
}

// transfers are the blobs whose progress was reported, with the number of requests for blobs before.
type transfers struct {
	*fakes.Registry
	blobs map[digest.Digest]int
}

func (t transfers) Count(manifest.Counted, int) {}

func (t transfers) Blob(b manifest.Transfer) {
	t.blobs[b.Blob.Digest] = strings.Count(strings.Join(t.Log, "\n"), "blob")
}

// A deep check reports all layers before it reads the first, so that their total is known. It does not expect foreign ones.
func TestCheckReportsLayers(t *testing.T) {
	for _, deep := range []bool{false, true} {
		r := newRepo(t)
		r.layers["arm64"][1].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		r.putList(unchanged)
		got, want := transfers{r.Registry, map[digest.Digest]int{}}, map[digest.Digest]int{}
		if deep {
			want = map[digest.Digest]int{r.layers["amd64"][0].Digest: 0, r.layers["amd64"][1].Digest: 0, r.layers["att"][0].Digest: 0}
		}
		if _, err := Check(t.Context(), r.Registry, []reference.Named{fakes.Named(t, "h.example.com/app:1")}, Options{Deep: deep, Progress: got}); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got.blobs, want) {
			t.Errorf("deep %v: got layers %v, want %v", deep, got.blobs, want)
		}
	}
}

// One platform in two nested indexes is no duplicate: a client chooses within one index.
func TestCheckNestedPlatforms(t *testing.T) {
	m := fakes.NewRegistry()
	a := m.Image(t, "h.example.com/app:a", ocispec.MediaTypeImageManifest, "linux/amd64", "a")
	b := m.Image(t, "h.example.com/app:b", ocispec.MediaTypeImageManifest, "linux/amd64", "b")
	inner := m.Index(t, "h.example.com/app:inner", ocispec.MediaTypeImageIndex, b)
	m.Index(t, "h.example.com/app:1", ocispec.MediaTypeImageIndex, a, inner)
	got, err := Check(t.Context(), m, []reference.Named{fakes.Named(t, "h.example.com/app:1")}, Options{})
	if err != nil || got[0].State != StateOK || len(got[0].Findings) != 0 {
		t.Errorf("got %v, error %v, want no finding", got, err)
	}
}

// A name that the registry does not have is absent also if an index or another name has led to it before.
func TestCheckAbsentTwice(t *testing.T) {
	at := fakes.Named(t, "h.example.com/app@"+digest.FromString("gone").String())
	got, err := Check(t.Context(), fakes.NewRegistry(), []reference.Named{at, at}, Options{})
	if err != nil || got[0].Absent() == nil || got[1].Absent() == nil {
		t.Errorf("got %v, error %v, want both absent", got, err)
	}
}

// An artifact has neither a platform nor a file system. Its blobs are checked, also those of a superseded manifest.
func TestCheckArtifact(t *testing.T) {
	content := []byte("anything")
	d := digest.FromBytes(content)
	for mediaType, blobs := range map[string]string{
		ocispec.MediaTypeImageManifest:                        `"config":{"mediaType":"application/x","digest":%q,"size":8},"layers":[{"mediaType":"application/y","digest":%[1]q,"size":8}]`,
		"application/vnd.oci.artifact.manifest.v1+json":       `"blobs":[{"mediaType":"application/y","digest":%q,"size":8}]`,
		"application/vnd.cncf.oras.artifact.manifest.v1+json": `"artifactType":"a/b","blobs":[{"mediaType":"application/y","digest":%q,"size":8}]`,
	} {
		m := fakes.NewRegistry()
		m.Blobs[d] = content
		name := fakes.Named(t, "h.example.com/app:1")
		m.Store(name, mediaType, fmt.Appendf(nil, `{"mediaType":%q,`+fmt.Sprintf(blobs, d)+`}`, mediaType))
		for _, deep := range []bool{false, true} {
			got, err := Check(t.Context(), m, []reference.Named{name}, Options{Deep: deep})
			if err != nil || got[0].State != StateOK || len(got[0].Findings) != 0 || got[0].Manifests[0].Kind != "artifact" {
				t.Errorf("%s, deep=%t: got %v, error %v, want a valid artifact", mediaType, deep, got, err)
			}
		}
		delete(m.Blobs, d)
		got, err := Check(t.Context(), m, []reference.Named{name}, Options{})
		if err != nil || got[0].State != StateInvalid || len(got[0].Findings) == 0 {
			t.Errorf("%s: got %v, error %v, want the missing blob", mediaType, got, err)
		}
	}
}

// How a layer is read depends on the image that has it, not on which image is read first.
func TestCheckSharedLayer(t *testing.T) {
	content := tarOf(t, "app", compiled("amd64"))
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(content), Size: int64(len(content))}
	cases := []struct{ config, suffix, os, want string }{
		{ocispec.MediaTypeImageConfig, "", "linux", "[/app] []"},
		{"application/x", "", "linux", "[] []"},
		{ocispec.MediaTypeImageConfig, "", "windows", "[] []"},
		{ocispec.MediaTypeImageConfig, "+encrypted", "linux", "[] [info : layer " + d.Digest.String() + " was not unpacked: it is encrypted]"},
	}
	for first := range cases {
		m, repo := fakes.NewRegistry(), fakes.Named(t, "h.example.com/app")
		m.Blobs[d.Digest] = content
		v := &verifier{from: m, options: Options{Deep: true}, layers: newLayers(1, program.NewBudget(maxFiles), maxContent)}
		var keys []layerKey
		for _, c := range append(cases[first:len(cases):len(cases)], cases[:first]...) {
			layer, n := d, manifest.Node{Config: &ocispec.Descriptor{MediaType: c.config}, Layers: []ocispec.Descriptor{d}}
			layer.MediaType += c.suffix
			keys = append(keys, keyOfLayer(repo, n, layer))
			v.layers.users[keys[len(keys)-1]]++
			result := v.layer(t.Context(), repo, n, 0, layer, func() (config imageConfig) {
				config.OS, config.RootFS.DiffIDs = c.os, []digest.Digest{d.Digest}
				return config
			})
			paths := []string{}
			if result.layer != nil {
				found, _ := program.Find(t.Context(), program.Command{OS: c.os, Args: []string{"/app"}}, []*program.Layer{result.layer})
				for _, f := range found {
					paths = append(paths, f.Path)
				}
			}
			if got := fmt.Sprint(paths, texts(result.findings)); got != c.want {
				t.Errorf("%v: got %s, want %s", c, got, c.want)
			}
		}
		for _, key := range keys {
			v.layers.release(key)
		}
		for _, key := range keys {
			for _, key.windows = range []bool{false, true} {
				if _, kept := v.layers.read.Load(key); kept {
					t.Errorf("layer %v is still in memory after its last release", key)
				}
			}
		}
	}
}

// Content beyond the limits is not read, and is not an error; the digest of the blob is still checked.
func TestCheckLimits(t *testing.T) {
	r := newRepo(t)
	l := newLayers(1, program.NewBudget(1), 2048)
	for name, tt := range map[string]struct {
		content      string
		tooManyFiles bool
		err          error
	}{
		"files":      {string(tarOf(t, "app", compiled("amd64"))), true, nil},                // a file and its program, in 2048 bytes
		"window":     {"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00", false, compression.ErrWindow}, // 128 MiB
		"content":    {string(zipped(t, make([]byte, 2049))), false, program.ErrLimit},
		"large file": {string(zipped(t, tarOf(t, "app", strings.Repeat("x", 9000)))), false, program.ErrLimit},
	} {
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString(tt.content), Size: int64(len(tt.content))}
		r.Blobs[d.Digest] = []byte(tt.content)
		u, err := l.get(t.Context(), r.Registry, fakes.Named(t, "h.example.com/app"), d, layerKey{contentKey: contentKey{digest: d.Digest}, image: true})
		if u.tooManyFiles != tt.tooManyFiles || !errors.Is(u.err, tt.err) || err != nil || u.size != d.Size || u.layer != nil {
			t.Errorf("%s: got %+v, error %v, want tooManyFiles %t, err %v", name, u, err, tt.tooManyFiles, tt.err)
		}
		found := u.compare(d, digest.FromString(tt.content))
		if tt.err == nil && len(found) > 0 || tt.err != nil && found[0].Severity != SeverityUnknown {
			t.Errorf("%s: got findings %v, want only that it is unknown", name, found)
		}
	}
}

func TestCheckInterrupted(t *testing.T) {
	r := newRepo(t)
	r.putList(unchanged)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := Check(ctx, r.Registry, []reference.Named{fakes.Named(t, "h.example.com/app:1")}, Options{Deep: true})
	if !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("got %v, error %v, want no result and %v", got, err, context.Canceled)
	}
	l := newLayers(1, program.NewBudget(maxFiles), maxContent)
	if u := l.unpack(ctx, bytes.NewReader(tarOf(t, "app", "x")), ocispec.Descriptor{}, false); !errors.Is(u.err, context.Canceled) {
		t.Errorf("got error %v from unpacking, want %v", u.err, context.Canceled)
	}
}
