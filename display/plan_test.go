package display

import (
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/repository"
)

// JSON has full digests and values, and omits what is not known.
func TestPlanJSON(t *testing.T) {
	d, created := digest.FromString("1"), time.Date(2024, 5, 2, 11, 31, 5, 0, time.FixedZone("", 7200))
	steps := []repository.Step{
		{Digest: d, Tags: []string{"1", "2"}, Kind: "index", Created: created, Updated: created},
		{Digest: d, Tags: []string{"3"}, Kind: "image", Untag: true},
		{Digest: d, Kind: "attestation"},
	}
	want := `{"action":"delete","digest":"` + d.String() + `","kind":"index","tags":["1","2"],"created":"2024-05-02T09:31:05Z","updated":"2024-05-02T09:31:05Z"}
{"action":"untag","digest":"` + d.String() + `","kind":"image","tags":["3"]}
{"action":"delete","digest":"` + d.String() + `","kind":"attestation"}
`
	var out strings.Builder
	if err := Plan(&out, steps, "json", true); err != nil || out.String() != want {
		t.Errorf("got error %v and\n%swant\n%s", err, out.String(), want)
	}
}
