package e2e

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// newListScene returns a scene with a list of amd64 and arm64 in the local store.
func newListScene(t *testing.T) (s *scene, a, b images.Manifest) {
	t.Parallel()
	s = newScene(t, harness.V3)
	a = s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	b = s.put(s.repo, "arm64", images.Spec{Platform: arm64})
	s.multiarch("create", s.list, s.name("amd64"), s.name("arm64"))
	return s, a, b
}

// names returns the local lists that ls shows.
func (s *scene) names() []string {
	s.Helper()
	return strings.Fields(s.multiarch("ls", "-q").Stdout)
}

// Prune asks for confirmation as docker's own prune commands do: anything but yes declines, which is not an error.
func TestPruneAsks(t *testing.T) {
	s, _, _ := newListScene(t)
	s.multiarch("tag", s.list, s.name("2"))
	for answer, left := range map[string]int{"n\n": 2, "\n": 2, "": 2, "what\n": 2} {
		r := harness.RunInput(t, s.Env, strings.NewReader(answer), "docker", "multiarch", "prune")
		docker := harness.RunInput(t, s.Env, strings.NewReader(answer), "docker", "image", "prune")
		if r.Code != docker.Code || r.Stderr != docker.Stderr {
			t.Errorf("answer %q: got exit code %d and stderr %q, want %d and %q as from docker image prune", answer, r.Code, r.Stderr, docker.Code, docker.Stderr)
		}
		says(t, r.Stdout, "WARNING! This will remove all local manifest lists.\nAre you sure you want to continue? [y/N]")
		if names := s.names(); len(names) != left {
			t.Errorf("answer %q: got lists %v, want %d", answer, names, left)
		}
	}
	r := harness.RunInput(t, s.Env, strings.NewReader("y\n"), "docker", "multiarch", "prune")
	if r.Code != 0 || len(s.names()) != 0 {
		t.Errorf("got exit code %d and lists %v, want 0 and none", r.Code, s.names())
	}
	says(t, r.Stdout, "Deleted Manifest Lists:\n"+s.list+"\n"+s.name("2")+"\n")
	if r := s.multiarch("prune", "--force"); r.Stdout != "" {
		t.Errorf("got stdout %q with nothing to remove, want none", r.Stdout)
	}
	harness.Complete(t, s.registry, s.repo, "amd64")
}

// Ctrl-C at the prompt removes nothing.
func TestPruneInterruptedAtThePrompt(t *testing.T) {
	s, _, _ := newListScene(t)
	for name, interrupt := range receivers {
		cmd := s.Command(t.Context(), "docker", "multiarch", "prune")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAtLeast(stdout, make([]byte, 100), len("WARNING! This will remove all local manifest lists.")); err != nil {
			t.Fatal(err)
		}
		if err := interrupt(cmd); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		_ = stdin.Close()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("%s: got exit code %d, want 130", name, code)
		}
		if names := s.names(); len(names) != 1 {
			t.Errorf("%s: got lists %v, want one", name, names)
		}
	}
}

// --filter until= keeps lists that changed later.
func TestPruneUntil(t *testing.T) {
	s, _, _ := newListScene(t)
	s.multiarch("tag", s.list, s.name("old"))
	old := time.Now().Add(-48 * time.Hour)
	folders, err := filepath.Glob(filepath.Join(s.Config, "manifests", "*-old*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("got folders %v (error %v), want one", folders, err)
	}
	files, err := filepath.Glob(filepath.Join(folders[0], "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, folders[0]) {
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, filter := range []string{"until=nonsense", "label=a", "until=", "2020"} {
		s.refusedWith(125, []string{"until"}, "prune", "-f", "--filter", filter)
	}
	says(t, harness.RunInput(t, s.Env, strings.NewReader("n\n"), "docker", "multiarch", "prune", "--filter", "until=24h").Stdout,
		"all local manifest lists last changed before 2")
	s.multiarch("prune", "-f", "--filter", "until=72h")
	if names := s.names(); len(names) != 2 {
		t.Errorf("until=72h: got lists %v, want 2", names)
	}
	s.multiarch("prune", "-f", "--filter", "until="+time.Now().Add(-24*time.Hour).Format(time.RFC3339))
	if names := s.names(); !slices.Equal(names, []string{s.list}) {
		t.Errorf("got lists %v, want %s", names, s.list)
	}
}

// ls has all its forms, also for a list made by docker manifest.
func TestLsFormats(t *testing.T) {
	s, _, _ := newListScene(t)
	s.docker("manifest", "create", "--insecure", s.name("theirs"), s.name("arm64"))
	folder := strings.NewReplacer(":", "-", "/", "_").Replace(s.name("theirs"))
	table := s.multiarch("ls").Stdout
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 3 || !slices.Equal(strings.Fields(lines[0]), []string{"NAME", "PLATFORMS", "ENTRIES", "PENDING", "STATE", "AGE"}) {
		t.Fatalf("got table, want a header and 2 lists:\n%s", table)
	}
	says(t, table, s.list, folder, "linux/amd64, linux/arm64/v8", " ago")
	for args, want := range map[string]string{
		"ls --quiet": s.list + "\n" + folder + "\n",
		"ls --format {{.Name}}={{.Entries}}/{{.Pending}}": s.list + "=2/0\n" + folder + "=1/0\n",
		"list -q --no-trunc":                              s.list + "\n" + folder + "\n",
		"ls --format {{.State}}":                          "never pushed\n\n",
		"ls --no-trunc --format {{.Platforms}}":           "linux/amd64, linux/arm64/v8\nlinux/arm64/v8\n",
	} {
		if got := s.multiarch(strings.Fields(args)...).Stdout; got != want {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
	var row map[string]any
	first, _, _ := strings.Cut(s.multiarch("ls", "--format", "json").Stdout, "\n")
	if err := json.Unmarshal([]byte(first), &row); err != nil || row["name"] != s.list || row["entries"] != 2.0 {
		t.Errorf("got JSON %v (error %v), want %s with 2 entries", row, err, s.list)
	}
	s.multiarch("push", s.list)
	if got := s.multiarch("ls", "--format", "{{.State}}").Stdout; got != "pushed\n\n" {
		t.Errorf("got states %q after the push, want that of the first list only: pushed", got)
	}
	harness.MustFail(t, s.Env, 125, []string{"template"}, "docker", "multiarch", "ls", "--format", "{{.Nope")
}

// tag copies a list, with the same bytes, and refuses to overwrite one.
func TestTagCopiesList(t *testing.T) {
	s, _, _ := newListScene(t)
	s.multiarch("annotate", s.list, "--index-annotation", "k=v")
	s.multiarch("tag", s.list, s.name("2"), s.name("3"))
	for _, name := range []string{s.name("2"), s.name("3")} {
		if got, want := s.docker("multiarch", "inspect", name), s.docker("multiarch", "inspect", s.list); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	s.refused([]string{s.name("2"), "exists", "docker multiarch rm"}, "tag", s.list, s.name("4"), s.name("2"))
	s.multiarch("push", s.name("2"))
	s.holds("2", "linux/amd64", "linux/arm64/v8")
}

// tag adds tags to a local image.
func TestTagNamesLocalImage(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.load(s.plain("a"), arm64)
		for _, name := range []string{s.name("b"), s.plain("c")} {
			s.Cleanup(func() { _ = s.daemon.RemoveImage(s.Context(), name) })
		}
		s.multiarch("tag", s.plain("a"), s.name("b"), s.plain("c"))
		tags := s.daemonTags()
		if len(tags) != 3 || tags[s.name("b")] != tags[s.plain("a")] || tags[s.plain("c")] != tags[s.plain("a")] {
			s.Errorf("got tags %v in the daemon, want 3 of one image", tags)
		}
		s.refused([]string{s.plain("none"), "neither a local list nor a local image"}, "tag", s.plain("none"), s.name("d"))
	})
}

// drop selects entries by source, platform and digest; the last entry cannot be dropped.
func TestDropEntries(t *testing.T) {
	s, a, b := newListScene(t)
	for i, selector := range []string{s.name("amd64"), "linux/amd64", a.Digest().String()} {
		name := s.name("drop" + string(rune('a'+i)))
		s.multiarch("tag", s.list, name)
		s.multiarch("drop", name, selector)
		out := s.docker("multiarch", "inspect", name)
		says(t, out, b.Digest().String())
		saysNot(t, out, a.Digest().String())
	}
	s.refused([]string{"docker multiarch rm " + s.list}, "drop", s.list, "linux/amd64", "linux/arm64")
	s.refused([]string{"linux/s390x", s.list}, "drop", s.list, "linux/s390x")
	s.refused([]string{"No such manifest", s.name("none")}, "drop", s.name("none"), "linux/amd64")
}

// inspect has forms for people and for scripts, for a local list and for the same list in the registry.
func TestInspectForms(t *testing.T) {
	s, a, b := newListScene(t)
	s.multiarch("push", s.list)
	local := s.docker("multiarch", "inspect", s.list)
	digests := s.docker("multiarch", "inspect", "--format", "{{range .Manifests}}{{.Platform}} {{.Digest}} {{end}}", s.list)
	if want := "linux/amd64 " + a.Digest().String() + " linux/arm64/v8 " + b.Digest().String() + " \n"; digests != want {
		t.Errorf("got digests %q, want %q", digests, want)
	}
	tree := s.docker("multiarch", "inspect", "--tree", s.list)
	says(t, tree, s.list, "├── linux/amd64  "+a.Digest().String(), "└── linux/arm64/v8  "+b.Digest().String(), s.name("arm64"))
	entry := s.docker("multiarch", "inspect", s.list, s.name("arm64"))
	says(t, entry, b.ID().String())
	s.multiarch("rm", s.list)
	if remote := s.docker("multiarch", "inspect", s.list); remote != local {
		t.Errorf("got %s from the registry, want %s as from the local list", remote, local)
	}
	var view struct {
		Digest string
		Local  bool
	}
	out := s.docker("multiarch", "inspect", "--format", "json", s.list)
	want := harness.Get(t, s.registry, s.repo, "1").Digest.String()
	if err := json.Unmarshal([]byte(out), &view); err != nil || view.Digest != want || view.Local {
		t.Errorf("got JSON %s (error %v), want digest %s, not local", out, err, want)
	}
	s.refused([]string{"--verbose", "--format", "--tree"}, "inspect", "--tree", "--format", "json", s.list)
	s.refusedWith(125, []string{"template"}, "inspect", "--format", "{{.Nope}", s.list)
}

// Files get the digest and the metadata of a push, in the form of buildx imagetools create.
func TestResultFiles(t *testing.T) {
	s, _, _ := newListScene(t)
	s.multiarch("push", "--quiet", "-t", "latest", "--digest-file", "digest", "--metadata-file", "meta.json", s.list)
	m := harness.Get(t, s.registry, s.repo, "1")
	digest, err := os.ReadFile(filepath.Join(s.Dir, "digest"))
	if err != nil || string(digest) != m.Digest.String() {
		t.Errorf("got digest file %q (error %v), want %s", digest, err, m.Digest)
	}
	var meta map[string]any
	data, err := os.ReadFile(filepath.Join(s.Dir, "meta.json"))
	if err != nil || json.Unmarshal(data, &meta) != nil {
		t.Fatalf("got metadata %s (error %v), want a JSON object", data, err)
	}
	descriptor, _ := meta["containerimage.descriptor"].(map[string]any)
	want := map[string]any{"mediaType": m.MediaType, "digest": m.Digest.String(), "size": float64(len(m.Raw))}
	if !maps.Equal(descriptor, want) || meta["image.name"] != s.list+","+s.name("latest") {
		t.Errorf("got metadata %s, want the descriptor %v and both tags", data, want)
	}
	if r := s.multiarch("push", "-q", "--digest-file", "/dev/stdout", s.list); r.Stdout != m.Digest.String()+"\n"+m.Digest.String() || r.Stderr != "" {
		t.Errorf("got stdout %q and stderr %q, want the digest twice and no stderr", r.Stdout, r.Stderr)
	}
	s.refused([]string{"none/digest"}, "push", "--digest-file", "none/digest", s.list)
	items, err := os.ReadDir(s.Dir)
	if err != nil || len(items) != 2 {
		t.Errorf("got files %v (error %v), want 2", items, err)
	}
}
