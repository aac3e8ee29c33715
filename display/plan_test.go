package display

import (
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/repository"
)

// JSON has whole digests and values, and leaves out what is not known.
func TestPlanJSON(t *testing.T) {
	d, made := digest.FromString("1"), time.Date(2024, 5, 2, 11, 31, 5, 0, time.FixedZone("", 7200))
	rows := []repository.Row{
		{Step: repository.Step{Digest: d, Tags: []string{"1", "2"}}, Held: repository.Held{MediaType: "application/vnd.oci.image.index.v1+json", Time: made}},
		{Step: repository.Step{Digest: d, Tags: []string{"3"}, Lone: true}},
		{Step: repository.Step{Digest: d}, Held: repository.Held{Subjects: []digest.Digest{d}}},
	}
	want := `{"action":"delete","digest":"` + d.String() + `","kind":"index","tags":["1","2"],"time":"2024-05-02T09:31:05Z"}
{"action":"untag","digest":"` + d.String() + `","kind":"image","tags":["3"]}
{"action":"delete","digest":"` + d.String() + `","kind":"referrer"}
`
	var out strings.Builder
	if err := Plan(&out, rows, "json", true); err != nil || out.String() != want {
		t.Errorf("%s, %v\nwant\n%s", out.String(), err, want)
	}
}
