package manifest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestParseCondition(t *testing.T) {
	for typed, want := range map[string]manifest.Condition{
		"": {}, "absent": {Absent: true}, one.String(): {Digest: one},
	} {
		if got, err := manifest.ParseCondition(typed, false); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", typed, got, err, want)
		}
	}
	if _, err := manifest.ParseCondition("latest", false); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), `"latest"`) {
		t.Errorf("got %v, want an error that quotes the value", err)
	}
}

// TestPublishConditions checks which states of the tags let a list be published, and that nothing is written otherwise.
func TestPublishConditions(t *testing.T) {
	for name, c := range map[string]struct {
		condition manifest.Condition
		existing  bool  // the name of the list points to another image
		err       error // of the lookup of tag 2
		want      string
	}{
		"none":                {existing: true},
		"none, unknown":       {err: errors.New("503")},
		"no clobber, free":    {condition: manifest.Condition{NoClobber: true}},
		"no clobber, taken":   {condition: manifest.Condition{NoClobber: true}, existing: true, want: "already points to"},
		"no clobber, unknown": {condition: manifest.Condition{NoClobber: true}, err: errors.New("503"), want: "looking up the tag h.example.com/app:2: 503"},
		"absent, free":        {condition: manifest.Condition{Absent: true}},
		"absent, taken":       {condition: manifest.Condition{Absent: true}, existing: true, want: "requires that it is absent"},
		"digest, absent":      {condition: manifest.Condition{Digest: one}, want: "h.example.com/app:2 does not exist"},
		"digest, another":     {condition: manifest.Condition{Digest: one}, existing: true, want: "but --if-digest requires " + one.String()},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakes.NewFixture()
			w.Registry.Image(t, repo+":amd64", ocispec.MediaTypeImageManifest, "linux/amd64")
			if c.existing {
				w.Registry.Image(t, repo+":1", ocispec.MediaTypeImageManifest, "linux/arm64")
			}
			w.Registry.Errs[repo+":2"] = c.err
			creation := fakes.Creation(t, repo+":1", repo+":amd64")
			creation.Tags, creation.Condition = []reference.NamedTagged{fakes.ListName(t, repo+":2")}, c.condition
			pushed, err := manifest.Publish(t.Context(), w.Clients(), creation)
			put := strings.Contains(strings.Join(w.Registry.Log, "\n"), "put ")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || put != (c.want == "") {
				t.Errorf("got %v and a write: %t, want %q", err, put, c.want)
			}
			moved := strings.Contains(strings.Join(w.Notes.Notes, "\n"), "moved "+repo+":1 from ")
			if moved != (c.existing && err == nil) {
				t.Errorf("got notes %q of %s, want one for the tag that moved", w.Notes.Notes, pushed.Descriptor.Digest)
			}
		})
	}
}
