package display_test

import (
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

// Values of strangers forge neither lines nor Markdown.
func TestDiffOfStrangersValues(t *testing.T) {
	d := inspect.Difference{
		Old: inspect.DiffSide{Name: "r/app:1"}, New: inspect.DiffSide{Name: "r/app:2"}, State: inspect.DiffChanged,
		Entries: []inspect.DiffEntry{{
			Platform: "linux/amd64", Kind: manifest.KindImage, State: inspect.DiffChanged,
			OldImageSize: 1000, NewImageSize: 2_000_000, Layers: &inspect.DiffLayers{Shared: make([]inspect.DiffLayer, 2), Added: make([]inspect.DiffLayer, 1)},
			Changes: []inspect.DiffChange{{Field: "label `x|", New: "a\n| forged |\x1b[2J`<b>"}, {Field: "user", Old: "1"}, {Field: "env A", Old: "1", New: "2"}},
			Error:   "lost\nline",
		}, {Platform: "linux/arm64", Kind: manifest.KindAttestation, State: inspect.DiffAdded}},
	}
	for format, want := range map[string]string{
		"": "PLATFORM                  STATE     SIZE         LAYERS\n" +
			"linux/amd64               changed   1kB -> 2MB   2 shared, 0 removed, 1 added\n" +
			"attestation linux/arm64   added                  \n" +
			"linux/amd64: label `x| added: \"a\\n| forged |\\x1b[2J`<b>\"\n" +
			"linux/amd64: user removed: \"1\"\n" +
			"linux/amd64: env A changed: \"1\" -> \"2\"\n" +
			"linux/amd64: could not be compared: lost\\nline\n",
		"markdown": "`r/app:1` to `r/app:2`: **changed**\n\n" +
			"| Platform | State | Size | Layers |\n|---|---|---|---|\n" +
			"| `linux/amd64` | changed | 1kB -> 2MB | 2 shared, 0 removed, 1 added |\n" +
			"| `attestation linux/arm64` | added |  |  |\n\n" +
			"- `linux/amd64`: `label 'x|` added: `a | forged |\\x1b[2J'<b>`\n" +
			"- `linux/amd64`: `user` removed: `1`\n" +
			"- `linux/amd64`: `env A` changed: `1` -> `2`\n" +
			"- `linux/amd64`: could not be compared: `lost line`\n",
	} {
		var out strings.Builder
		if err := display.Diff(&out, d, format); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want {
			t.Errorf("format %q: got:\n%s\nwant:\n%s", format, got, want)
		}
	}
}
