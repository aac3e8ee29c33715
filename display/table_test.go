package display

import (
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/mattn/go-runewidth"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

// tty is a terminal of a width; 0 is a pipe.
type tty struct {
	strings.Builder
	width uint
}

func (t *tty) GetTtySize() (height, width uint) { return 24, t.width }

// Whatever the cells are, no line of a table is wider than the terminal, and a pipe gets them whole.
func TestTableFitsTheTerminal(t *testing.T) {
	long := strings.Repeat("registry.example.com/", 10)
	for _, c := range []struct {
		name   string
		width  uint
		whole  bool
		rows   []string
		want   string // a line
		widest int
	}{
		{"short cells are not cut", 80, false, []string{"a\tb"}, "a         b", 10 + 3},
		{"the widest column is cut first", 40, false, []string{long + "\t012345678901"}, "registry.example.com/reg…   012345678901", 40},
		{"the last column", 30, false, []string{"a\t" + long}, "a         registry.example.co…", 30},
		{"two of one width", 33, false, []string{long + "\t" + long}, "registry.examp…   registry.examp…", 33},
		{"wide characters take two cells", 20, false, []string{"a\t" + strings.Repeat("漢", 20)}, "a         漢漢漢漢…", 20},
		{"characters that join take none", 20, false, []string{"a\t" + strings.Repeat("e\u0301", 10)}, "a         " + strings.Repeat("e\u0301", 10), 20},
		{"a pipe", 0, false, []string{long + "\tb"}, long + "   b", 300},
		{"not truncated", 40, true, []string{long + "\tb"}, long + "   b", 300},
		{"no room for anything", 3, false, []string{"abcdefgh\tabcdefgh"}, "ab…       ab…", 13},
		{"cells of strangers", 40, false, []string{"\\x1b[2J\t" + long}, `\x1b[2J   registry.example.com/registry…`, 40},
	} {
		out := &tty{width: c.width}
		row := func(s string) any { a, b, _ := strings.Cut(s, "\t"); return map[string]string{"A": a, "B": b} }
		if err := table(out, "table {{.A}}\t{{.B}}", c.whole, formatter.SubHeaderContext{"A": "A", "B": "B"}, slices.Values(c.rows), row); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		if lines[1] != c.want {
			t.Errorf("%s: got line\n%q, want\n%q", c.name, lines[1], c.want)
		}
		for _, line := range lines {
			if got := runewidth.StringWidth(line); got > c.widest {
				t.Errorf("%s: got a line of %d cells, want at most %d: %q", c.name, got, c.widest, line)
			}
		}
	}
}

// Attestations are not entries for people; scripts get the number of all.
func TestListsCountImages(t *testing.T) {
	name, err := manifest.ParseListName("app:1")
	if err != nil {
		t.Fatal(err)
	}
	image := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("1"), Platform: &ocispec.Platform{OS: "linux", Architecture: "amd64"}}
	attestation := ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("2"), Platform: &ocispec.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.Digest.String()},
	}
	list := store.Stored{List: manifest.List{Name: name, Entries: []manifest.Entry{{Source: name, Descriptor: image}, {Source: name, Descriptor: attestation}}}}
	list.List.Pushed = digest.FromString("pushed")
	for format, want := range map[string]string{"{{.Entries}}": "1\n", "{{.Platforms}}": "linux/amd64\n", "{{.State}}": "changed since\n",
		"json": `{"name":"app:1","platforms":["linux/amd64"],"entries":2,"pending":0,"state":"changed since","pushed":"` + list.List.Pushed.String() + `","created":"0001-01-01T00:00:00Z"}` + "\n"} {
		var out strings.Builder
		if err := Lists(&out, []store.Stored{list}, format, false, false); err != nil || out.String() != want {
			t.Errorf("%s: got %q and error %v, want %q", format, out.String(), err, want)
		}
	}
	var out strings.Builder
	if err := Lists(&out, []store.Stored{list}, "json", false, false); err != nil || !strings.Contains(out.String(), `"entries":2`) {
		t.Errorf("json: got %q and error %v, want 2 entries", out.String(), err)
	}
}
