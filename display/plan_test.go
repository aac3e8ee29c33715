package display

import (
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"
)

var appRepo, _ = manifest.ParseRepository("h.io/app")

// JSON has full digests and values, and omits what is not known.
func TestPlanJSON(t *testing.T) {
	d, created := digest.FromString("1"), time.Date(2024, 5, 2, 11, 31, 5, 0, time.FixedZone("", 7200))
	steps := []repository.Step{
		{Repo: appRepo, Digest: d, Tags: []string{"1", "2"}, Kind: "index", Platforms: []string{"linux/amd64"}, Size: 500, ImageSize: 1500, Created: created, Updated: created},
		{Repo: appRepo, Digest: d, Tags: []string{"3"}, Kind: "image", Untag: true},
		{Repo: appRepo, Digest: d, Kind: "attestation"},
	}
	want := `{"repository":"h.io/app","action":"delete","digest":"` + d.String() + `","kind":"index","tags":["1","2"],"platforms":["linux/amd64"],"size":500,"imageSize":1500,"created":"2024-05-02T09:31:05Z","updated":"2024-05-02T09:31:05Z"}
{"repository":"h.io/app","action":"untag","digest":"` + d.String() + `","kind":"image","tags":["3"]}
{"repository":"h.io/app","action":"delete","digest":"` + d.String() + `","kind":"attestation"}
`
	var out strings.Builder
	if err := Plan(&out, steps, "json", false, true); err != nil || out.String() != want {
		t.Errorf("got error %v and\n%swant\n%s", err, out.String(), want)
	}
	out.Reset()
	if want := "h.io/app:1\nh.io/app:2\nh.io/app@" + d.String() + "\nh.io/app:3\n"; PlanNames(&out, steps[:2]) != nil || out.String() != want {
		t.Errorf("names: got\n%swant\n%s", out.String(), want)
	}
	if got, want := Removal(steps[:1]), "  the index h.io/app@"+d.String()+" (linux/amd64, 1.5kB), tagged h.io/app:1, h.io/app:2\n"; got != want {
		t.Errorf("prompt: got %q, want %q", got, want)
	}
	out.Reset()
	if err := Plan(&out, steps[1:2], "", true, true); err != nil || !strings.HasPrefix(out.String(), "REPOSITORY   ACTION") || !strings.Contains(out.String(), "h.io/app     untag") || strings.Contains(out.String(), "CREATED") {
		t.Errorf("several repositories: got error %v and\n%swant a table with the repository, without times", err, out.String())
	}
	out.Reset()
	if err := Plan(&out, steps[:2], "", false, true); err != nil || !strings.Contains(out.String(), "CREATED") || !strings.Contains(out.String(), "N/A") {
		t.Errorf("one time is known: got error %v and\n%swant a table with times", err, out.String())
	}
}
