package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// A standard output that cannot be written is an error of every command that has a result; in those whose exit code is an
// answer it is 2.
func TestFullStandardOutput(t *testing.T) {
	s, _, _ := newListScene(t)
	source := s.name("arm64")
	for _, tag := range []string{"old-1", "old-2", "old-3"} {
		s.put(s.repo, tag, images.Spec{Platform: amd64})
	}
	s.multiarch("tag", "--remote", s.name("old-3"), s.name("old-4"))
	s.multiarch("create", s.name("other"), source)
	s.multiarch("create", s.name("more"), source, s.name("old-1"))
	s.write(map[string]string{"acb.yaml": "version: v1.1.0\nsteps:\n- cmd: docker multiarch version\n"})
	repo := s.registry.Host + "/" + s.repo
	record := filepath.Join(s.Dir, "record")
	rows := []struct {
		command, args string
		code          int
	}{
		{"annotate", s.list + " " + source + " --os linux", 0},
		{"create", "--replace " + s.list + " " + source, 1},
		{"create", "--push " + s.list + " " + source, 1},
		{"create", "--push --dry-run " + s.list + " " + source, 1},
		{"diff", source + " " + s.name("old-1"), 2},
		{"drop", s.name("more") + " " + source, 0},
		{"exists", source, 0},
		{"import", source + " " + repo + ":imported", 1},
		{"import", "--dry-run " + source + " " + repo + ":imported", 1},
		{"inspect", source, 1},
		{"inspect", "--tree " + s.list, 1},
		{"ls", "", 1},
		{"push", s.list, 1},
		{"repo ls", s.registry.Host, 1},
		{"repo manifests", repo, 1},
		{"repo purge", "--filter old-2 " + repo, 1},
		{"repo purge", "-f --record " + record + " --filter old-2 " + repo, 1},
		{"repo restore", record, 1},
		{"repo rm", "-f " + s.name("old-1"), 1},
		{"repo show", source, 1},
		{"repo tags", repo, 1},
		{"repo untag", s.name("old-4"), 1},
		{"rm", s.name("other"), 0},
		{"prune", "-f", 1},
		{"tag", "--remote " + source + " " + s.name("new"), 1},
		{"task graph", "", 1},
		{"task render", "", 1},
		{"task run", "", 1},
		{"task validate", "--format json", 0},
		{"verify", source, 2},
		{"version", "", 1},
	}
	plugin, err := harness.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	covered := map[string]bool{}
	for _, row := range rows {
		covered[row.command] = true
		command := row.command + " " + row.args
		r := harness.Run(t, s.Env, "sh", "-c", plugin+" "+command+" >/dev/full")
		if r.Code != row.code || (r.Code != 0) != strings.Contains(r.Stderr, "no space left on device") {
			t.Errorf("%s: got exit code %d and stderr %q, want %d and why if it fails", command, r.Code, r.Stderr, row.code)
		}
	}
	pages, err := os.ReadDir("../docs/reference")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		name := strings.TrimPrefix(strings.TrimSuffix(page.Name(), ".md"), "docker_multiarch")
		if name = strings.ReplaceAll(strings.TrimPrefix(name, "_"), "_", " "); name != "" && name != "repo" && name != "task" && !covered[name] {
			t.Errorf("%s has no row in this test", name)
		}
	}
}

// The files for a result are written although nobody reads standard output, and no temporary files remain.
func TestClosedStandardOutput(t *testing.T) {
	s, _, _ := newListScene(t)
	plugin, err := harness.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"push " + s.list, "tag --remote " + s.name("amd64") + " new", "import " + s.name("amd64") + " " + s.name("imported")} {
		dir := t.TempDir()
		reader, writer, err := os.Pipe()
		s.must(errors.Join(err, reader.Close()))
		args := append(strings.Fields(command), "--digest-file", dir+"/digest", "--metadata-file", dir+"/metadata")
		cmd := s.Command(t.Context(), plugin, args...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = writer, &stderr
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: got %v, want exit code 1", command, err)
		}
		s.must(writer.Close())
		files, err := filepath.Glob(dir + "/*")
		hidden, _ := filepath.Glob(dir + "/.*")
		if err != nil || len(files) != 2 || len(hidden) != 0 || !strings.Contains(stderr.String(), "broken pipe") {
			t.Errorf("%s: got files %q and %q, stderr %q, want only the digest and the metadata, and why it failed", command, files, hidden, &stderr)
		}
	}
}
