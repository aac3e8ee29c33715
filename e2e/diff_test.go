package e2e

import (
	"encoding/json"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// diff of two builds of one Dockerfile with a changed file, of an amended list, and of equal lists.
func TestDiff(t *testing.T) {
	s := newBuildxScene(t)
	dockerfile := "FROM scratch\nCOPY same /\nCOPY changed /\nARG V\nENV V=$V\n"
	for _, v := range []string{"1", "2"} {
		s.write(map[string]string{"Dockerfile": dockerfile, "same": "same", "changed": v})
		s.docker("buildx", "build", "-q", "--provenance=false", "--platform", "linux/amd64,linux/arm64", "--build-arg", "V="+v, "-t", s.plain(v), s.Dir)
		s.multiarch("create", "--push", s.name(v), s.plain(v))
	}
	s.Set("BUILDKIT_PROGRESS", "quiet") // a line is due after two seconds
	r := s.ends(1, []string{
		"PLATFORM", "linux/amd64", "changed", "1 shared, 1 removed, 1 added", `linux/arm64: env V changed: "1" -> "2"`,
	}, "diff", s.name("1"), s.name("2"))
	if r.Stderr != "" {
		t.Errorf("got stderr %q, want none", r.Stderr)
	}
	s.ends(1, []string{"| `linux/amd64` | changed |", "- `linux/amd64`: `env V` changed: `1` -> `2`"}, "diff", "--format", "markdown", s.name("1"), s.name("2"))

	s.put(s.repo, "riscv64", images.Spec{Platform: riscv64})
	s.multiarch("tag", "--remote", s.name("1"), s.name("amended"))
	s.multiarch("create", "--push", "--amend", s.name("amended"), s.name("riscv64"))
	r = s.ends(1, nil, "diff", "--format", "json", s.name("1"), s.name("amended"))
	var got struct {
		Entries []struct{ Platform, State string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || len(got.Entries) != 3 {
		t.Fatalf("got %s (%v), want three entries", r.Stdout, err)
	}
	for i, want := range []string{"same", "same", "added"} {
		if e := got.Entries[i]; e.State != want {
			t.Errorf("entry %d: got %s %s, want %s", i, e.Platform, e.State, want)
		}
	}
	s.ends(0, []string{"same"}, "diff", s.name("1"), s.name("1"))
	s.multiarch("create", s.list+"-local", s.name("1"))
	s.ends(0, []string{"same"}, "diff", s.name("1"), s.list+"-local")
	s.ends(2, []string{"absent"}, "diff", s.name("1"), s.name("absent"))
	s.ends(2, []string{"requires 2 arguments"}, "diff", s.name("1"))
}
