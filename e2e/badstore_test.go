package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// entryFile is the file of the list's arm64 image in the local store.
func (s *scene) entryFile() string {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.Config, "manifests", "*-1", "*-arm64"))
	if err != nil || len(files) != 1 {
		s.Fatalf("got files %v (error %v), want one", files, err)
	}
	return files[0]
}

// A file that is not an entry is an error that names it and the next command; the list can be removed and created
// again, and other lists are not affected.
func TestBrokenStoreFile(t *testing.T) {
	for name, spoil := range map[string]func(file string, data []byte) error{
		"empty":     func(file string, _ []byte) error { return os.WriteFile(file, nil, 0o600) },
		"cut off":   func(file string, data []byte) error { return os.WriteFile(file, data[:len(data)/2], 0o600) },
		"not JSON":  func(file string, _ []byte) error { return os.WriteFile(file, []byte("hello\x1b[31m"), 0o600) },
		"null":      func(file string, _ []byte) error { return os.WriteFile(file, []byte("null"), 0o600) },
		"list":      func(file string, _ []byte) error { return os.WriteFile(file, []byte("[]"), 0o600) },
		"no object": func(file string, _ []byte) error { return os.WriteFile(file, []byte("{}"), 0o600) },
		"folder": func(file string, _ []byte) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Mkdir(file, 0o700)
		},
		"wrong digest": func(file string, data []byte) error {
			return os.WriteFile(file, []byte(strings.Replace(string(data), `"digest":"sha256:`, `"digest":"sha256:0000`, 1)), 0o600)
		},
		"other bytes": func(file string, data []byte) error {
			return os.WriteFile(file, []byte(strings.Replace(string(data), `"Raw":"ey`, `"Raw":"eya`, 1)), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := newListScene(t)
			s.multiarch("tag", s.list, s.name("sound"))
			file := s.entryFile()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := spoil(file, data); err != nil {
				t.Fatal(err)
			}
			words := []string{filepath.Base(file), s.list, "docker multiarch rm " + s.list, "create --replace " + s.list}
			for _, args := range [][]string{
				{"inspect", s.list}, {"push", "--purge", s.list}, {"annotate", s.list, s.name("amd64"), "--os", "linux"},
				{"drop", s.list, s.name("amd64")}, {"create", "--amend", s.list, s.name("amd64")},
				{"create", s.list, s.name("amd64")}, {"tag", s.list, s.name("3")},
			} {
				saysNot(t, s.refused(words, args...).Stderr, "\x1b")
			}
			ls := harness.MustFail(t, s.Env, 1, []string{filepath.Base(file)}, "docker", "multiarch", "ls", "-q")
			if ls.Stdout != s.name("sound")+"\n" {
				t.Errorf("got ls output %q", ls.Stdout)
			}
			s.multiarch("push", s.name("sound"))
			s.holds("sound", "linux/amd64", "linux/arm64/v8")
			s.multiarch("create", "--replace", s.list, s.name("amd64"))
			s.multiarch("push", s.list)
			s.holds("1", "linux/amd64")
		})
	}
}

// A broken list can be removed with rm.
func TestBrokenListIsRemoved(t *testing.T) {
	s, _, _ := newListScene(t)
	if err := os.Truncate(s.entryFile(), 10); err != nil {
		t.Fatal(err)
	}
	s.multiarch("rm", s.list)
	s.multiarch("create", s.list, s.name("arm64"))
}

// Entries of older docker versions are read: without raw manifests, and with a digest and a platform instead of a
// descriptor.
func TestStoreFilesOfOlderDocker(t *testing.T) {
	for name, age := range map[string]func(entry map[string]any){
		"without Raw": func(e map[string]any) { delete(e, "Raw"); delete(e, "Multiarch") },
		"without descriptor": func(e map[string]any) {
			d := e["Descriptor"].(map[string]any)
			e["Digest"], e["Platform"] = d["digest"], d["platform"]
			delete(e, "Descriptor")
			delete(e, "Raw")
			delete(e, "Multiarch")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, b := newListScene(t)
			file := s.entryFile()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var entry map[string]any
			if err := json.Unmarshal(data, &entry); err != nil {
				t.Fatal(err)
			}
			age(entry)
			entry["SchemaV2Manifest"] = json.RawMessage(b.Raw)
			if err := os.WriteFile(file, []byte(quoted(entry)), 0o600); err != nil {
				t.Fatal(err)
			}
			says(t, s.docker("multiarch", "inspect", s.list), a.Digest().String(), b.Digest().String())
			s.multiarch("push", s.list)
			s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
			s.multiarch("annotate", s.list, s.name("arm64"), "--variant", "v9")
			s.multiarch("push", s.list)
			s.holds("1", "linux/amd64", "linux/arm64/v9")
		})
	}
}

// A regular file in the place of the store only affects commands that write there.
func TestStoreFolderIsAFile(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	root := filepath.Join(s.Config, "manifests")
	if err := os.WriteFile(root, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"create", s.list, s.name("amd64")}, {"annotate", s.list, s.name("amd64"), "--os", "linux"},
		{"rm", s.list}, {"ls"}, {"prune", "-f"},
	} {
		harness.MustFail(t, s.Env, 1, []string{root}, "docker", append([]string{"multiarch"}, args...)...)
	}
	s.multiarch("create", "--push", s.list, s.name("amd64"))
	s.holds("1", "linux/amd64")
	if data, err := os.ReadFile(root); err != nil || string(data) != "mine" {
		t.Errorf("got file content %q (error %v), want it unchanged", data, err)
	}
}

// The first list creates the configuration folder; commands that only read do not.
func TestMissingConfigFolder(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	a := s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	plugin, err := harness.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	s.Config = filepath.Join(s.Home, "none", "yet")
	s.Set("DOCKER_CONFIG", s.Config)
	for _, args := range [][]string{
		{"ls"}, {"inspect", s.name("amd64")}, {"prune", "-f"}, {"create", "--push", s.list, s.name("amd64")},
		{"create", "--dry-run", s.list, s.name("amd64")},
	} {
		harness.MustRun(t, s.Env, plugin, args...)
	}
	harness.MustFail(t, s.Env, 1, []string{"No such manifest"}, plugin, "rm", s.list)
	if _, err := os.Stat(s.Config); !os.IsNotExist(err) {
		t.Errorf("got %v, want no configuration folder", err)
	}
	harness.MustRun(t, s.Env, plugin, "create", s.list, s.name("amd64"))
	says(t, harness.MustRun(t, s.Env, plugin, "inspect", s.list), a.Digest().String())
}
