package repository

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func recordedLine(t testing.TB, name, raw string) string {
	t.Helper()
	line, err := json.Marshal(Recorded{name, digest.FromString(raw), "m", []byte(raw)})
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func TestReadRecorded(t *testing.T) {
	good := recordedLine(t, "example.com/app:1", "a")
	got, err := ReadRecorded(strings.NewReader(good + "\n" + good + "\n" + good[:20]))
	if err != nil || len(got) != 2 || got[0].Name != "example.com/app:1" {
		t.Errorf("got %v and error %v, want two lines, without the incomplete one", got, err)
	}
	for name, line := range map[string]string{
		"junk":     "{",
		"no name":  recordedLine(t, "", "a"),
		"bad name": recordedLine(t, "a b", "a"),
		"other":    strings.Replace(good, digest.FromString("a").Encoded(), digest.FromString("b").Encoded(), 1),
		"digest":   strings.Replace(good, "sha256:", "md5:", 1),
		"too long": recordedLine(t, "example.com/app:1", strings.Repeat("a", maxRecorded)),
	} {
		if _, err := ReadRecorded(strings.NewReader(good + "\n" + line + "\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2") {
			t.Errorf("%s: got error %v, want one of line 2", name, err)
		}
	}
}

func FuzzReadRecorded(f *testing.F) {
	f.Add(recordedLine(f, "example.com/app:1", "a") + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		recorded, err := ReadRecorded(strings.NewReader(s))
		for _, r := range recorded {
			if _, nameErr := manifest.ParseName(r.Name); err == nil && (nameErr != nil || r.Digest.Algorithm().FromBytes(r.Manifest) != r.Digest) {
				t.Fatalf("got %+v with the name error %v, want a valid line", r, nameErr)
			}
		}
	})
}

// A tag that points to something else now is kept, and its manifest is restored without it; what exists is not changed.
func TestRestore(t *testing.T) {
	r := newTestRepo(t)
	recorded := []Recorded{
		{app + ":2", digest.FromString("old"), "m", []byte("old")},
		{app + ":1", r.digest("1"), "m", r.Registry.Manifests[app+":1"]},
		{app + ":gone", digest.FromString("gone"), "m", []byte("gone")},
	}
	var restored []string
	err := Restore(t.Context(), r.Registry, r.Notes, recorded, func(name reference.Named) { restored = append(restored, manifest.Familiar(name)) })
	if err != nil || strings.Join(restored, " ") != app+":gone "+app+"@"+digest.FromString("old").String() || string(r.Registry.Manifests[app+":gone"]) != "gone" {
		t.Errorf("got %q restored and error %v, want %s:gone and the old manifest of %[3]s:2", restored, err, app)
	}
	if len(r.Notes.Warnings) != 1 || !strings.Contains(r.Notes.Warnings[0], app+":2 now points to") {
		t.Errorf("got warnings %q, want one of %s:2", r.Notes.Warnings, app)
	}
	r = newTestRepo(t)
	r.Registry.Errs["put "+app+":gone"] = errors.New("no layers")
	r.fails(Restore(t.Context(), r.Registry, r.Notes, recorded[2:], func(reference.Named) {}), "restoring "+app+":gone: no layers")
}
