package display

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

func TestDetail(t *testing.T) {
	for format, want := range map[string]repository.Detail{
		"":                                 repository.DetailPlatform,
		"table":                            repository.DetailPlatform,
		"json":                             repository.DetailPlatform,
		"{{json .}}":                       repository.DetailPlatform,
		"{{. | json}}":                     repository.DetailPlatform,
		"{{json .}} {{.Created}}":          repository.DetailCreated,
		"{{.Tag}}":                         repository.DetailName,
		"table {{.Tag}}":                   repository.DetailName,
		"{{json .Tag}}":                    repository.DetailName,
		"{{.Tag}} {{.Digest}}":             repository.DetailDigest,
		"{{.Tag}} {{.Size}}":               repository.DetailManifest,
		"{{.Platforms}}":                   repository.DetailPlatform,
		"{{with .Created}}{{.}}{{end}}":    repository.DetailCreated,
		"{{$x := .}}{{$x.Created}}":        repository.DetailCreated,
		"{{if eq .Kind `x`}}{{$.Created}}": repository.DetailCreated,
		"fixed":                            repository.DetailName,
	} {
		if got := (Listing{Format: format}).TagDetail(); got != want {
			t.Errorf("%q: got detail %d, want %d", format, got, want)
		}
	}
	if got := (Listing{Format: "json"}).ManifestDetail(); got != repository.DetailCreated {
		t.Errorf("manifests as json: got detail %d, want %d", got, repository.DetailCreated)
	}
	if got := (Listing{Format: "json", Quiet: true}).TagDetail(); got != repository.DetailName {
		t.Errorf("tags with --quiet: got detail %d, want %d", got, repository.DetailName)
	}
}

func tags() []repository.TagRecord {
	made := time.Date(2024, 5, 2, 9, 31, 5, 0, time.UTC)
	gone := repository.TagRecord{Tag: "gone"}
	gone.Err, gone.Error = errdefs.ErrNotFound, "not in the registry"
	bad := repository.TagRecord{Tag: "bad"}
	bad.Err, bad.Error = errdefs.ErrInvalidArgument, "bad\x1b[31m\u202e\U000e0001"
	return []repository.TagRecord{{Tag: "1", Record: repository.Record{
		Digest: digest.FromString("1"), MediaType: "application/vnd.oci.image.manifest.v1+json", Kind: manifest.KindImage, Size: 500, ImageSize: 12345678, Layers: 2,
		Platforms: []repository.PlatformRecord{{Platform: "linux/amd64\x1b[31m\n"}}, Created: &made,
	}}, gone, bad}
}

func TestTags(t *testing.T) {
	full := digest.FromString("1").String()
	for format, want := range map[string]string{
		"":                                 "TAG DIGEST KIND PLATFORMS SIZE\n1 " + full[7:19] + ` image linux/amd64\x1b[31m\n 12.3MB` + "\ngone (not in the registry)\nbad (cannot be read)\n",
		"{{.Tag}} {{.Digest}} {{.Layers}}": "1 " + full + " 2\ngone\nbad\n",
		"{{.Tag}}: {{.Created}}":           "1: 2024-05-02T09:31:05Z\ngone:\nbad:\n",
	} {
		var out strings.Builder
		if err := Tags(&out, tags(), Listing{Format: format}); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for line := range strings.Lines(out.String()) {
			got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
		}
		if got.String() != want {
			t.Errorf("%q: got\n%swant\n%s", format, got.String(), want)
		}
	}
	var out strings.Builder
	if err := Tags(&out, nil, Listing{}); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("no tags: got %q and error %v, want only the header", out.String(), err)
	}
}

// Text from outside is exact in JSON, and does not act on a terminal.
func TestTagsJSON(t *testing.T) {
	var out strings.Builder
	if err := Tags(&out, tags(), Listing{Format: "json"}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || strings.ContainsAny(out.String(), "\x1b\u202e\U000e0001") {
		t.Errorf("got %q, want three lines with control characters escaped", lines)
	}
	var got struct{ Tag, Error string }
	if err := json.Unmarshal([]byte(lines[2]), &got); err != nil || got.Error != tags()[2].Error || got.Tag != "bad" {
		t.Errorf("got %+v and error %v, want the tag bad with its error", got, err)
	}
}

func TestManifests(t *testing.T) {
	records := []repository.Record{
		{Digest: digest.FromString("1"), Tags: []string{"1", "latest"}, Kind: manifest.KindIndex},
		{Digest: digest.FromString("2"), Depth: 1, Kind: manifest.KindAttestation},
	}
	var out strings.Builder
	if err := Manifests(&out, slices.Values(records), Listing{NoTrunc: true}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if !strings.HasPrefix(lines[1], records[0].Digest.String()+" ") || !strings.Contains(lines[1], "1, latest") ||
		!strings.HasPrefix(lines[2], "  "+records[1].Digest.String()) || !strings.Contains(lines[2], " attestation ") {
		t.Errorf("got\n%swant the attestation indented under the index", out.String())
	}
	out.Reset()
	if err := Manifests(&out, slices.Values(records), Listing{Quiet: true}); err != nil || out.String() != records[0].Digest.String()+"\n"+records[1].Digest.String()+"\n" {
		t.Errorf("got %q and error %v, want both digests", out.String(), err)
	}
}

func TestRepositories(t *testing.T) {
	for format, want := range map[string]string{
		"": "a/b\n\\x1b[2J\n", "{{.Name}}": "h.example.com/a/b\nh.example.com/\\x1b[2J\n",
		"json": `{"name":"h.example.com/a/b","repository":"a/b"}` + "\n" + `{"name":"h.example.com/\\x1b[2J","repository":"\\x1b[2J"}` + "\n",
	} {
		var out strings.Builder
		if err := Repositories(&out, "h.example.com", []string{"a/b", "\x1b[2J"}, format); err != nil || out.String() != want {
			t.Errorf("%q: got %q and error %v, want %q", format, out.String(), err, want)
		}
	}
}

func TestShown(t *testing.T) {
	s := repository.Shown{Name: "h.example.com/app:1", Record: repository.Record{
		Digest: digest.FromString("1"), MediaType: "application/x", Kind: manifest.KindIndex, Size: 500, ImageSize: 1500,
		Platforms:            []repository.PlatformRecord{{Platform: "linux/amd64", Size: 300, ImageSize: 1200}},
		ChangeableAttributes: &manifest.Attributes{Read: true, List: true},
		Annotations:          map[string]string{"k": "v\x1b\n"},
	}, Referrers: []repository.Record{
		{Digest: digest.FromString("2"), Depth: 1, Kind: manifest.KindArtifact, ArtifactType: "application/x-sig", Subject: digest.FromString("1")},
		{Digest: digest.FromString("3"), Depth: 3, Kind: manifest.KindArtifact, Subject: digest.FromString("4")}, // whose parents are not shown
	}}
	var out strings.Builder
	if err := Shown(&out, s, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Digest:        " + s.Digest.String() + "\n", "Platform:      linux/amd64  1.2kB\n", "Size:          1.5kB\n", "Allowed:       list, read\n",
		`Annotation k:  v\x1b\n` + "\n", "\nReferrers:\nDIGEST", digest.FromString("2").Encoded()[:12] + "   artifact   (application/x-sig)",
		"\n" + digest.FromString("3").Encoded()[:12], digest.FromString("4").Encoded()[:12] + "\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "Manifests:") || strings.Contains(out.String(), "Tags:") {
		t.Errorf("got\n%s\nwant no empty parts", out.String())
	}
}
