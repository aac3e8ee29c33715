package run

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestParseRepository(t *testing.T) {
	for name, want := range map[string]repository{
		"https://h.io/o/r.git":                       {url: "https://h.io/o/r.git"},
		"http://h.io/r.git#main":                     {url: "http://h.io/r.git", ref: "main"},
		"https://h.io/r.git#v1:a/b":                  {url: "https://h.io/r.git", ref: "v1", folder: "a/b"},
		"https://h.io/r.git#:a":                      {url: "https://h.io/r.git", folder: "a"},
		"https://h.io/r.git#feature%2Fx":             {url: "https://h.io/r.git", ref: "feature/x"},
		"https://dev.azure.com/u/p/_git/r#main:a":    {url: "https://dev.azure.com/u/p/_git/r", ref: "main", folder: "a"},
		"github.com/o/r":                             {url: "https://github.com/o/r"},
		"github.com/o/r.git#pull/42/head":            {url: "https://github.com/o/r.git", ref: "pull/42/head"},
		"git@github.com:o/r.git#v1:a":                {url: "git@github.com:o/r.git", ref: "v1", folder: "a"},
		"deploy.user@h.io:r":                         {url: "deploy.user@h.io:r"},
		"git://h.io/r":                               {url: "git://h.io/r"},
		"ssh://git@h.io:22/r.git":                    {url: "ssh://git@h.io:22/r.git", shown: "ssh://h.io:22/r.git", secret: "git@"},
		"file:///r#main":                             {url: "file:///r", ref: "main", fromDisk: true},
		"https://u:pass%40word@h.io/r.git?a=b#-x:..": {url: "https://u:pass%40word@h.io/r.git?a=b", ref: "-x", folder: "..", shown: "https://h.io/r.git", secret: "u:pass%40word@"},
		"https://h.io/context.tar.gz":                {},
		"https://github.com/o/r/archive/main.tar.gz": {},
		"ext::sh -c id":                              {},
		"-upload-pack=id@h:r":                        {},
		"./folder":                                   {},
		"folder":                                     {},
		"":                                           {},
		"C:\\folder":                                 {},
		"https://h.io/\x7f.git":                      {},
		"http://[::1/r.git":                          {},
	} {
		if want.url != "" && want.shown == "" {
			want.shown = want.url
		}
		if got, ok := parseRepository(name); got != want || ok != (want.url != "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// in runs git in a folder without a user's configuration, and returns its output.
func in(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@h.io", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// plainGit gives git only these lines of configuration.
func plainGit(t *testing.T, config ...string) {
	t.Helper()
	home := t.TempDir()
	fakes.Write(t, filepath.Join(home, ".gitconfig"), strings.Join(config, "\n"))
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
}

// upstream creates a repository with the branches main and feature/x, the tags v1 and v2, and a submodule. It returns its
// folder and its commits by branch or tag.
func upstream(t *testing.T) (dir string, commits map[string]string) {
	t.Helper()
	base, commits := t.TempDir(), map[string]string{}
	dir, sub := filepath.Join(base, "r"), filepath.Join(base, "sub")
	fakes.Write(t, filepath.Join(sub, "part"), "part")
	in(t, sub, "init", "-q", "-b", "main")
	in(t, sub, "add", ".")
	in(t, sub, "commit", "-qm", "sub")
	fakes.Write(t, filepath.Join(dir, "file"), "first")
	fakes.Write(t, filepath.Join(dir, "a/b/file"), "below")
	in(t, dir, "init", "-q", "-b", "main")
	for _, link := range [][2]string{{"a", "in"}, {"..", "a/up"}, {"../..", "a/out"}, {"/etc", "a/absolute"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(name string) {
		in(t, dir, "add", ".")
		in(t, dir, "commit", "-qm", name)
		commits[name] = in(t, dir, "rev-parse", "HEAD")
	}
	commit("first")
	fakes.Write(t, filepath.Join(dir, "file"), "v1")
	commit("v1")
	in(t, dir, "tag", "-m", "annotated", "v1")
	in(t, dir, "checkout", "-qb", "feature/x")
	fakes.Write(t, filepath.Join(dir, "file"), "x")
	commit("feature/x")
	in(t, dir, "checkout", "-q", "main")
	in(t, dir, "submodule", "--quiet", "add", "../sub", "module")
	fakes.Write(t, filepath.Join(dir, "file"), "main")
	commit("main")
	in(t, dir, "update-ref", "refs/pull/42/head", commits["feature/x"])
	return dir, commits
}

func TestOpenRepository(t *testing.T) {
	fakes.EmptyTemp(t)
	plainGit(t)
	dir, commits := upstream(t)
	bare := filepath.Join(t.TempDir(), "bare.git")
	in(t, dir, "clone", "-q", "--bare", dir, bare)
	for ref, tt := range map[string]struct{ commit, branch, file string }{
		"":                                   {"main", "main", "main"},
		"#main":                              {"main", "main", "main"},
		"#HEAD":                              {"main", "main", "main"},
		"#feature/x":                         {"feature/x", "feature/x", "x"},
		"#refs/heads/feature/x":              {"feature/x", "feature/x", "x"},
		"#v1":                                {"v1", "", "v1"},
		"#pull/42/head":                      {"feature/x", "", "x"},
		"#" + commits["first"]:               {"first", "", "first"},
		"#" + commits["first"][:9]:           {"first", "", "first"},
		"#" + commits["v1"] + ":/":           {"v1", "", "v1"},
		"#main:a/b":                          {"main", "main", "below"},
		"#:in/b/":                            {"main", "main", "below"},
		"#:/a/up":                            {"main", "main", "main"},
		"#" + commits["feature/x"][:7] + ":": {"feature/x", "", "x"},
	} {
		s := open(t, "file://"+dir+ref, nil, nil)
		content, err := os.ReadFile(filepath.Join(s.Dir, "file"))
		if err != nil || string(content) != tt.file || s.Commit != commits[tt.commit] || s.Branch != tt.branch {
			t.Errorf("%s: got %+v with file %s and error %v, want commit %s, branch %s and file %s", ref, s, content, err, commits[tt.commit], tt.branch, tt.file)
		}
		// No more history than is needed, unless a commit's name is short.
		whole := strings.HasPrefix(ref, "#"+commits["first"][:9]) || strings.HasPrefix(ref, "#"+commits["feature/x"][:7])
		if n := in(t, s.Dir, "rev-list", "--count", "HEAD"); n != "1" && !whole {
			t.Errorf("%s: got %s commits, want 1", ref, n)
		}
		_, err = os.Stat(filepath.Join(s.temporary, "files/module/part"))
		if (err == nil) != (tt.commit == "main") {
			t.Errorf("%s: got error %v for the submodule", ref, err)
		}
	}
}

func TestOpenRepositoryFails(t *testing.T) {
	fakes.EmptyTemp(t)
	plainGit(t)
	dir, _ := upstream(t)
	empty := t.TempDir()
	in(t, empty, "init", "-q")
	marker := filepath.Join(t.TempDir(), "marker")
	for name, want := range map[string]string{
		"#nothing":                           "has no branch, tag or commit nothing",
		"#dead":                              "has no branch, tag or commit dead, or the abbreviation is ambiguous",
		"#" + strings.Repeat("0", 40):        "has no branch, tag or commit 000",
		"#--upload-pack=touch " + marker:     "is not the name of a branch, tag or commit",
		"#-x":                                "is not the name of a branch, tag or commit",
		"#main:..":                           `has no folder ..: `,
		"#main:a/out":                        "has no folder a/out",
		"#main:a/absolute":                   "has no folder a/absolute",
		"#main:../r/a":                       "has no folder ../r/a",
		"#main:file":                         "not a folder",
		"#main:none":                         "has no folder none",
		"/none":                              "git ls-remote: exit status 128",
		"/../" + filepath.Base(empty) + "/x": "git ls-remote: exit status 128",
	} {
		_, err := Open(t.Context(), "r1", "file://"+dir+name, nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
	if _, err := Open(t.Context(), "r1", "file://"+empty, nil, nil); err == nil || !strings.Contains(err.Error(), "has no default branch") {
		t.Errorf("got error %v, want %s", err, "has no default branch")
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("git interpreted a ref as an option")
	}
}

// All branches are fetched from a server that does not send commits by their IDs.
func TestOpenRepositoryOfOldServer(t *testing.T) {
	fakes.EmptyTemp(t)
	plainGit(t, "[protocol]", "version = 0")
	dir, commits := upstream(t)
	s := open(t, "file://"+dir+"#"+commits["v1"], nil, nil)
	content, err := os.ReadFile(filepath.Join(s.Dir, "file"))
	if n := in(t, s.Dir, "rev-list", "--count", "HEAD"); err != nil || string(content) != "v1" || s.Commit != commits["v1"] || n != "2" {
		t.Errorf("got %+v with %s commits, file %s and error %v, want v1 with 2 commits", s, n, content, err)
	}
}

// Submodules of a remote repository cannot be local folders or run programs.
func TestSubmodulesComeFromElsewhere(t *testing.T) {
	plainGit(t, "[protocol]", "allow = always")
	dir, _ := upstream(t)
	marker := filepath.Join(t.TempDir(), "marker")
	for url, protocol := range map[string]string{"ext::touch " + marker: "ext", "file://" + dir: "file"} {
		in(t, dir, "config", "-f", ".gitmodules", "submodule.module.url", url)
		in(t, dir, "commit", "-qam", "other submodule")
		r, _ := parseRepository("file://" + dir)
		r.fromDisk = protocol == "ext"
		made := t.TempDir()
		if !r.fromDisk {
			in(t, made, "clone", "-q", dir, ".")
			_, err := r.git(t.Context(), made, "submodule", "update", "--init")
			if err == nil || !strings.Contains(err.Error(), "'file' not allowed") {
				t.Errorf("%s: got error %v, want the protocol refused", url, err)
			}
			continue
		}
		if err := r.checkOut(t.Context(), made); err == nil || !strings.Contains(err.Error(), "'ext' not allowed") {
			t.Errorf("%s: got error %v, want the protocol refused", url, err)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("git ran a program of a submodule URL")
	}
}

func TestWorkTree(t *testing.T) {
	fakes.EmptyTemp(t)
	plainGit(t)
	dir, commits := upstream(t)
	// As in a hook of another repository.
	t.Setenv("GIT_DIR", t.TempDir())
	for _, name := range []string{dir, filepath.Join(dir, "a/b")} {
		if s := open(t, name, nil, nil); s.Commit != commits["main"] || s.Branch != "main" || s.Dir != name {
			t.Errorf("got %+v, want commit %s of main in %s", s, commits["main"], name)
		}
	}
	_ = os.Unsetenv("GIT_DIR")
	in(t, dir, "tag", "main", "v1^{commit}")
	if s := open(t, dir, nil, nil); s.Branch != "main" {
		t.Errorf("branch and tag with the same name: got %+v, want branch main", s)
	}
	in(t, dir, "checkout", "-q", "v1")
	if s := open(t, dir, nil, nil); s.Commit != commits["v1"] || s.Branch != "" {
		t.Errorf("detached HEAD: got %+v, want the commit of v1 without a branch", s)
	}
	empty := t.TempDir()
	in(t, empty, "init", "-q")
	if s := open(t, empty, nil, nil); s.Commit != "" || s.Branch != "" {
		t.Errorf("repository without commits: got %+v, want none", s)
	}
}

func TestWithoutGit(t *testing.T) {
	fakes.EmptyTemp(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Open(t.Context(), "r1", "https://h.io/r.git", nil, nil)
	if hint := manifest.Hint(err); !errdefs.IsNotFound(err) || !strings.Contains(hint, "install git") {
		t.Errorf("got error %v with hint %q, want %s", err, hint, "install git")
	}
	if s := open(t, t.TempDir(), nil, nil); s.Commit != "" {
		t.Errorf("got %+v, want no commit without git", s)
	}
}

// A git that waits for a server ends with the run, as do the programs that it started.
func TestGitIsCancelled(t *testing.T) {
	fakes.EmptyTemp(t)
	plainGit(t)
	started := filepath.Join(t.TempDir(), "started")
	if err := exec.Command("mkfifo", started).Run(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_SSH_COMMAND", "echo ssh >'"+started+"'; cat >&2; :")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = os.ReadFile(started)
		cancel()
	}()
	if _, err := Open(ctx, "r1", "git@h.io:r.git", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

// Variables that select a repository are not passed to git.
func TestVariablesOfHooks(t *testing.T) {
	env := slices.DeleteFunc([]string{"GIT_DIR=a", "GIT_WORK_TREE=b", "GIT_DIRECTORY=c", "PATH=d", "GIT_SSH=e"}, selectsRepository)
	if strings.Join(env, " ") != "GIT_DIRECTORY=c PATH=d GIT_SSH=e" {
		t.Errorf("got variables %q, want GIT_DIRECTORY, PATH and GIT_SSH", env)
	}
}
