package store

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerstore "github.com/docker/cli/cli/manifest/store"
	"github.com/docker/cli/cli/manifest/types"
	"github.com/docker/distribution/manifest/manifestlist"
	"github.com/docker/distribution/manifest/ocischema"
	"github.com/docker/distribution/manifest/schema2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// dockerImage is what docker manifest makes of the image that entry stands for.
func dockerImage(t testing.TB, entry manifest.Entry) types.ImageManifest {
	t.Helper()
	if entry.Descriptor.MediaType == ocispec.MediaTypeImageManifest {
		m := new(ocischema.DeserializedManifest)
		if err := m.UnmarshalJSON(entry.Raw); err != nil {
			t.Fatal(err)
		}
		return types.NewOCIImageManifest(entry.Ref, entry.Descriptor, m)
	}
	m := new(schema2.DeserializedManifest)
	if err := m.UnmarshalJSON(entry.Raw); err != nil {
		t.Fatal(err)
	}
	return types.NewImageManifest(entry.Ref, entry.Descriptor, m)
}

func dockerSave(t testing.TB, s *Store, list reference.Named, image types.ImageManifest) {
	t.Helper()
	if err := dockerstore.NewStore(s.root).Save(list, image.Ref, image); err != nil {
		t.Fatal(err)
	}
}

func TestDockerReadsOurs(t *testing.T) {
	s := New(t.TempDir())
	entries := []manifest.Entry{image(t, "h.io/app:a"), ociImage(t, "h.io/app:b"), pendingImage(t, "h.io/app:c")}
	list := mustPut(t, s, "h.io/app:1", entries...)
	docker := dockerstore.NewStore(s.root)
	for _, e := range entries {
		got, err := docker.Get(list.Name, e.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if got.Ref.String() != e.Ref.String() || !reflect.DeepEqual(got.Descriptor, e.Descriptor) || string(got.Raw) != string(e.Raw) {
			t.Errorf("docker reads %+v\nwant %+v", got, e)
		}
		if !e.IsPending() && len(got.Blobs()) != 1 {
			t.Errorf("docker finds the blobs %v in %s", got.Blobs(), e.Ref)
		}
	}
	if got, err := docker.GetList(list.Name); err != nil || len(got) != 3 {
		t.Errorf("docker reads %d entries, %v", len(got), err)
	}
}

// But for the one field more, our files are docker's, byte for byte.
func TestOurFilesAreDockers(t *testing.T) {
	for _, e := range []manifest.Entry{image(t, "h.io/app:a"), ociImage(t, "h.io/app:b")} {
		want, err := json.Marshal(dockerImage(t, e))
		if err != nil {
			t.Fatal(err)
		}
		data, err := encode(e, extra{List: "h.io/app:1", Position: 1}, fields{})
		if err != nil {
			t.Fatal(err)
		}
		got := string(data[:len(want)-1]) + "}"
		if rest := string(data[len(want)-1:]); got != string(want) || rest != `,"Multiarch":{"List":"h.io/app:1","Position":1}}` {
			t.Errorf("got  %s\nwant %s", data, want)
		}
	}
}

func TestWeReadDockers(t *testing.T) {
	s := New(t.TempDir())
	name := named(t, "h.io/app:1")
	b, a := ociImage(t, "h.io/app:b"), image(t, "h.io/app:a")
	dockerSave(t, s, name, dockerImage(t, b))
	dockerSave(t, s, name, dockerImage(t, a))
	wantList(t, mustGet(t, s, "h.io/app:1"), manifest.List{Name: name, Entries: []manifest.Entry{a, b}, Pushed: manifest.PushedUnknown})
	for stored, err := range s.All() {
		if err != nil || stored.List.Name != nil || stored.Folder != "h.io_app-1" || len(stored.List.Entries) != 2 {
			t.Errorf("got %+v, %v", stored, err)
		}
	}
}

// A list of docker manifest's belongs to whoever asks for it, until we write it.
func TestDockersListHasNoNameUntilWritten(t *testing.T) {
	s := New(t.TempDir())
	dockerSave(t, s, named(t, "h.io/a_b:1"), dockerImage(t, image(t, "h.io/app:a")))
	if got := mustGet(t, s, "h.io/a/b:1"); len(got.Entries) != 1 {
		t.Errorf("got %+v", got)
	}
	if err := s.Update(t.Context(), named(t, "h.io/a/b:1"), add(image(t, "h.io/app:b"))); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(named(t, "h.io/a_b:1"))
	wantError(t, err, errdefs.IsNotFound)
}

func TestDockerSaveDropsOurFieldsOfThatEntry(t *testing.T) {
	s := New(t.TempDir())
	z, y, x := image(t, "h.io/app:z"), image(t, "h.io/app:y"), image(t, "h.io/app:x")
	for _, e := range []*manifest.Entry{&z, &y, &x} {
		e.Source = named(t, "h.io/source:1")
	}
	list := manifest.List{Name: named(t, "h.io/app:1"), Annotations: map[string]string{"k": "v"}, Entries: []manifest.Entry{z, y, x}}
	if err := s.Replace(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	docker := dockerstore.NewStore(s.root)
	image, err := docker.Get(list.Name, z.Ref)
	if err != nil {
		t.Fatal(err)
	}
	image.Descriptor.Platform.Variant = "v9"
	dockerSave(t, s, list.Name, image)

	z.Source, z.Descriptor.Platform = z.Ref, &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v9"}
	list.Entries, list.Pushed = []manifest.Entry{z, y, x}, manifest.PushedUnknown
	wantList(t, mustGet(t, s, "h.io/app:1"), list)

	if err := docker.Remove(list.Name); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(list.Name)
	wantError(t, err, errdefs.IsNotFound, dockerNotFound(t, docker, list.Name))
}

func dockerNotFound(t *testing.T, docker dockerstore.Store, name reference.Named) string {
	t.Helper()
	_, err := docker.GetList(name)
	if err == nil {
		t.Fatal("docker finds a list that is not there")
	}
	return err.Error()
}

// A manifest that docker manifest cannot read in its field would make it fail on the whole list.
func TestManifestsThatDockerRefusesStayOutOfItsFields(t *testing.T) {
	for name, raw := range map[string]string{
		"no media type":    `{"schemaVersion":2,"config":{},"layers":[]}`,
		"other media type": `{"schemaVersion":2,"mediaType":"application/x","config":{},"layers":[]}`,
		"other shape":      `{"schemaVersion":"2","config":[]}`,
		"not JSON":         `]`,
		"JSON null":        `null`,
	} {
		for _, mediaType := range []string{manifest.MediaTypeDockerManifest, ocispec.MediaTypeImageManifest, "application/x"} {
			t.Run(name+" "+mediaType, func(t *testing.T) {
				s := New(t.TempDir())
				e := image(t, "h.io/app:a")
				e.Raw = []byte(raw)
				e.Descriptor.MediaType, e.Descriptor.Digest = mediaType, digest.FromString(raw)
				e.Descriptor.Size = int64(len(raw))
				list := mustPut(t, s, "h.io/app:1", e)
				wantList(t, mustGet(t, s, "h.io/app:1"), list)
				got, err := dockerstore.NewStore(s.root).GetList(list.Name)
				if err != nil || len(got) != 1 || string(got[0].Raw) != raw {
					t.Errorf("docker reads %+v, %v", got, err)
				}
			})
		}
	}
}

// oldFile is an entry file from before Descriptor, with the manifest as it is given.
func oldFile(field, payload string, d digest.Digest) string {
	return fmt.Sprintf(`{"Ref":"h.io/app:a","Digest":%q,%q: %s ,"Platform":{"architecture":"arm","os":"linux",`+
		`"os.version":"1","os.features":["f"],"variant":"v7","features":["sse4"]}}`, d, field, payload)
}

func TestOldFormat(t *testing.T) {
	a, b := image(t, "h.io/app:a"), ociImage(t, "h.io/app:a")
	for name, data := range map[string]string{
		"docker":          oldFile("SchemaV2Manifest", string(a.Raw), a.Descriptor.Digest),
		"oci":             oldFile("OCIManifest", string(b.Raw), b.Descriptor.Digest),
		"digest mismatch": oldFile("SchemaV2Manifest", string(a.Raw), b.Descriptor.Digest),
		"no manifest":     oldFile("Other", string(a.Raw), a.Descriptor.Digest),
		"null manifest":   oldFile("SchemaV2Manifest", "null", a.Descriptor.Digest),
		"no platform":     fmt.Sprintf(`{"Ref":"h.io/app:a","Digest":%q,"OCIManifest":%s}`, b.Descriptor.Digest, b.Raw),
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t.TempDir())
			writeTestFile(t, s, "h.io_app-1", "h.io_app-a", data)
			list, err := s.Get(named(t, "h.io/app:1"))
			want, dockerErr := dockerstore.NewStore(s.root).GetList(named(t, "h.io/app:1"))
			if dockerErr != nil || err != nil {
				if dockerErr == nil {
					t.Errorf("only we fail: %v", err)
				}
				wantError(t, err, errdefs.IsDataLoss, filepath.Join("h.io_app-1", "h.io_app-a"))
				return
			}
			got := list.Entries[0]
			if !reflect.DeepEqual(got.Descriptor, want[0].Descriptor) || digest.FromBytes(got.Raw) != got.Descriptor.Digest {
				t.Errorf("got  %+v\nwant %+v", got, want[0])
			}
		})
	}
}

// Between the two formats, docker manifest wrote a Descriptor but no Raw; its manifest has lost the
// spaces that the digest was made of, and must not be lost as well.
func TestManifestWithoutRawIsKept(t *testing.T) {
	s := New(t.TempDir())
	name := named(t, "h.io/app:1")
	e := image(t, "h.io/app:a")
	middle := dockerImage(t, e)
	middle.Raw = nil
	dockerSave(t, s, name, middle)
	e.Raw = nil
	wantList(t, mustGet(t, s, "h.io/app:1"), manifest.List{Name: name, Entries: []manifest.Entry{e}, Pushed: manifest.PushedUnknown})

	err := s.Update(t.Context(), name, func(l manifest.List) (manifest.List, error) {
		return l.With(image(t, "h.io/app:b")).Annotate(0, manifest.Annotation{Platform: ocispec.Platform{Variant: "v9"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := dockerstore.NewStore(s.root).Get(name, e.Ref)
	if err != nil || len(got.Blobs()) != 1 || got.Descriptor.Platform.Variant != "v9" {
		t.Errorf("docker reads %+v, %v", got, err)
	}
}

func TestPlatformSpecIsThatOfDistribution(t *testing.T) {
	spec := manifestlist.PlatformSpec{Architecture: "a", OS: "o", OSVersion: "v", OSFeatures: []string{"f"}, Variant: "w"}
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var got ocispec.Platform
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(&got, types.OCIPlatform(&spec)) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFileModesAreDockers(t *testing.T) {
	ours, dockers := New(filepath.Join(t.TempDir(), "m")), New(filepath.Join(t.TempDir(), "m"))
	e := image(t, "h.io/app:a")
	list := manifest.List{Name: named(t, "h.io/app:1"), Entries: []manifest.Entry{e}}
	if err := ours.Update(t.Context(), list.Name, add(e)); err != nil {
		t.Fatal(err)
	}
	dockerSave(t, dockers, list.Name, dockerImage(t, e))
	for _, path := range []string{"", "h.io_app-1", "h.io_app-1/h.io_app-a"} {
		want, wantErr := os.Stat(dockers.path(path))
		got, gotErr := os.Stat(ours.path(path))
		if wantErr != nil || gotErr != nil || got.Mode() != want.Mode() {
			t.Errorf("%q: got %v, want %v (%v, %v)", path, got.Mode(), want.Mode(), gotErr, wantErr)
		}
	}
}
