package display

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
	"github.com/docker-multiarch/docker-multiarch/repository"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

// evil is what must reach no terminal: escape sequences, DEL, and characters that hide or turn text.
const evil = "a<\x1b[2J\x7f\u202e\U000e0001\n\"é"

// jsonOf are the ways to JSON, each with a text of a stranger and the key it stands under.
var jsonOf = map[string]struct {
	write func(out io.Writer, text string) error
	key   string
}{
	"inspect": {func(out io.Writer, text string) error { return execute(out, inspect.View{Name: text}) }, "name"},
	"show":    {func(out io.Writer, text string) error { return execute(out, repository.Shown{Name: text}) }, "name"},
	"verify": {func(out io.Writer, text string) error {
		return Verified(out, []verify.Result{{Name: text}}, "json", false, true)
	}, "name"},
	"purge": {func(out io.Writer, text string) error {
		step := repository.Step{Digest: digest.FromString("1"), Repo: appRepo, Tags: []string{text}}
		return Plan(out, []repository.Step{step}, "json", false, true)
	}, "tags"},
	"tags": {func(out io.Writer, text string) error {
		return Tags(out, []repository.TagRecord{{Tag: text}}, Listing{Format: "json"})
	}, "tag"},
}

func execute(out io.Writer, v any) error {
	t, err := ParseTemplate("json")
	if err != nil {
		return err
	}
	return Execute(out, t, v)
}

// JSON is valid on one line, says what strangers said, and acts on no terminal.
func TestJSON(t *testing.T) {
	for name, tt := range jsonOf {
		var out strings.Builder
		if err := tt.write(&out, evil); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSuffix(out.String(), "\n")
		got := map[string]any{}
		if err := json.Unmarshal([]byte(line), &got); err != nil || strings.Trim(fmt.Sprint(got[tt.key]), "[]") != evil {
			t.Errorf("%s: got %q in %s (%v), want %q", name, got[tt.key], line, err, evil)
		}
		if !strings.Contains(line, `a<\u001b[2J\u007f\u202e\udb40\udc01\n\"é`) || strings.ContainsAny(line, "\x1b\x7f\u202e\U000e0001\n") {
			t.Errorf("%s: got %q, want its control characters escaped", name, line)
		}
	}
}

// What is not JSON is escaped as Go does.
func TestTemplate(t *testing.T) {
	template, err := ParseTemplate("{{.Name}} {{json .Name}}\t{{len .Name}}\n")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Execute(&out, template, inspect.View{Name: "\x1b\x7f\U000e0001"}); err != nil {
		t.Fatal(err)
	}
	if want := `\x1b\x7f\U000e0001 "\u001b\u007f\udb40\udc01"` + "\t6\n\n"; out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
}

// No text of a stranger acts on a terminal, in any format of any listing, whichever fields it uses.
func TestFormatsEscape(t *testing.T) {
	for _, format := range []string{"", "table", "table {{.}}", "{{.}}", "{{json .}}", "{{println .}}"} {
		for name, write := range map[string]func(out io.Writer, format string) error{
			"tags": func(out io.Writer, format string) error {
				r := repository.TagRecord{Tag: evil}
				r.ArtifactType, r.MediaType, r.Annotations = evil, evil, map[string]string{evil: evil}
				return Tags(out, []repository.TagRecord{r}, Listing{Format: format})
			},
			"manifests": func(out io.Writer, format string) error {
				r := repository.Record{ArtifactType: evil, MediaType: evil, Tags: []string{evil}, Annotations: map[string]string{evil: evil}}
				return Manifests(out, slices.Values([]repository.Record{r}), Listing{Format: format})
			},
			"repositories": func(out io.Writer, format string) error {
				return Repositories(out, "r.example.com", []string{evil}, format)
			},
			"verify": func(out io.Writer, format string) error {
				r := verify.Result{Name: evil, Manifests: []verify.Manifest{{Kind: evil, Platform: evil, MediaType: evil}}}
				return Verified(out, []verify.Result{r}, format, false, true)
			},
			"purge": func(out io.Writer, format string) error {
				return Plan(out, []repository.Step{{Repo: appRepo, Kind: evil, Digest: digest.FromString("1"), Tags: []string{evil}}}, format, true, false)
			},
		} {
			var out strings.Builder
			if err := write(&out, format); err != nil {
				t.Errorf("%s, %q: got error %v", name, format, err)
			}
			if strings.ContainsAny(out.String(), "\x1b\x7f\u202e\U000e0001") {
				t.Errorf("%s, %q: got %q, want its control characters escaped", name, format, &out)
			}
		}
	}
}
