package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// repository is a folder of a git repository at a branch, tag or commit, in docker build's notation URL#REF:FOLDER.
type repository struct {
	url      string
	ref      string // "" for the default branch
	folder   string // "" for all
	shown    string // the URL without secrets, for errors
	secret   string // to be removed from git's output
	fromDisk bool
}

var (
	// scp matches the address form of ssh, such as git@github.com:owner/repository.
	scp = lazyregexp.New(`^\w[\w.-]*@[^:/]+:`)
	// object matches a commit, possibly abbreviated.
	object = lazyregexp.New(`^[0-9a-f]{4,64}$`)
)

// parseRepository returns the repository that a context names, and false if it names none.
func parseRepository(name string) (repository, bool) {
	address, fragment, _ := strings.Cut(name, "#")
	r := repository{url: address, shown: address}
	if strings.HasPrefix(address, "github.com/") {
		r.url = "https://" + address
	}
	if !scp().MatchString(address) {
		u, err := url.Parse(r.url)
		if err != nil || address == r.url && !isRepository(u) {
			return repository{}, false
		}
		r.shown, r.fromDisk = manifest.RedactURL(u.String()), u.Scheme == "file"
		if u.User != nil {
			r.secret = u.User.String() + "@"
		}
		if decoded, err := url.PathUnescape(fragment); err == nil {
			fragment = decoded
		}
	}
	r.ref, r.folder, _ = strings.Cut(fragment, ":")
	return r, true
}

// isRepository reports whether a URL is that of a git repository rather than of a tar file.
func isRepository(u *url.URL) bool {
	switch u.Scheme {
	case "git", "ssh", "file":
		return true
	case "http", "https":
		return strings.HasSuffix(u.Path, ".git") || strings.Contains(u.Path, "/_git/")
	}
	return false
}

// checkOut checks out the commit and its submodules into the empty folder dir, with as little history as the server
// permits.
func (r repository) checkOut(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("git"); err != nil {
		err := manifest.Errorf(errdefs.ErrNotFound, "no git command found (%w)", err)
		return manifest.WithHint(err, "install git, or use a folder or a tar file as context")
	}
	want, err := r.resolve(ctx, dir)
	if err != nil {
		return err
	}
	if _, err := r.git(ctx, dir, "init", "-q", "--template="); err != nil {
		return err
	}
	commit, err := r.fetch(ctx, dir, want)
	if err != nil {
		return err
	}
	how := []string{"-q", "--detach", commit}
	if branch, ok := strings.CutPrefix(want, "refs/heads/"); ok {
		how = []string{"-q", "-B", branch, commit}
	}
	if _, err := r.git(ctx, dir, "checkout", how...); err != nil {
		return err
	}
	_, err = r.git(ctx, dir, "submodule", "update", "-q", "--init", "--recursive", "--depth=1")
	return err
}

// resolve returns the full name of r.ref in the repository, or r.ref itself if it may be a commit.
func (r repository) resolve(ctx context.Context, dir string) (string, error) {
	ref := cmp.Or(r.ref, "HEAD")
	if strings.HasPrefix(ref, "-") {
		return "", manifest.Errorf(errdefs.ErrInvalidArgument, "%q is not the name of a branch, tag or commit", ref)
	}
	// In the order in which git resolves a name.
	names := []string{ref, "refs/" + ref, "refs/tags/" + ref, "refs/heads/" + ref}
	listed, err := r.git(ctx, dir, "ls-remote", append([]string{"--symref", "--", r.url}, names...)...)
	if err != nil {
		return "", err
	}
	exists, branch := map[string]bool{}, ""
	for line := range strings.Lines(listed) {
		value, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		exists[name] = true
		if target, ok := strings.CutPrefix(value, "ref: "); ok && name == "HEAD" {
			branch = target
		}
	}
	i := slices.IndexFunc(names, func(name string) bool { return exists[name] })
	switch {
	case i >= 0 && names[i] == "HEAD":
		return cmp.Or(branch, "HEAD"), nil
	case i >= 0:
		return names[i], nil
	case object().MatchString(ref):
		return ref, nil
	case r.ref == "":
		return "", manifest.Errorf(errdefs.ErrNotFound, "%s has no default branch: append one, as in %[1]s#main", r.shown)
	}
	return "", manifest.Errorf(errdefs.ErrNotFound, "%s has no branch, tag or commit %s", r.shown, manifest.OneLine(ref, 200))
}

// fetch fetches the ref or commit that resolve returned, and returns its name in the checkout.
func (r repository) fetch(ctx context.Context, dir, want string) (string, error) {
	if _, err := r.git(ctx, dir, "fetch", "-q", "--no-tags", "--depth=1", "--", r.url, want); err == nil {
		return "FETCH_HEAD", nil
	}
	// Some servers do not send a part of a history, others do not send a commit by its ID.
	if !object().MatchString(want) {
		_, err := r.git(ctx, dir, "fetch", "-q", "--no-tags", "--", r.url, want)
		return "FETCH_HEAD", err
	}
	_, err := r.git(ctx, dir, "fetch", "-q", "--", r.url, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
	if err != nil {
		return "", err
	}
	commit, err := r.git(ctx, dir, "rev-parse", "-q", "--verify", want+"^{commit}")
	if err != nil && ctx.Err() == nil {
		err = manifest.Errorf(errdefs.ErrNotFound, "%s has no branch, tag or commit %s, or the abbreviation is ambiguous", r.shown, want)
	}
	return strings.TrimSpace(commit), err
}

// subfolder returns the path of r.folder in the checkout dir.
func (r repository) subfolder(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	name := filepath.FromSlash(cmp.Or(strings.TrimLeft(r.folder, "/"), "."))
	info, err := root.Stat(name)
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return "", manifest.Errorf(errdefs.ErrInvalidArgument, "%s has no folder %s: %w", r.shown, manifest.OneLine(r.folder, 200), err)
	}
	// Stat has checked that no link leads out of the checkout.
	return filepath.EvalSymlinks(filepath.Join(dir, name))
}

// git runs a git command in dir and returns its output. The error contains git's message.
func (r repository) git(ctx context.Context, dir, verb string, args ...string) (string, error) {
	protocols := "https:http:git:ssh"
	if r.fromDisk {
		protocols += ":file"
	}
	// The URL of a submodule may be relative to that of origin.
	args = append([]string{"-c", "remote.origin.url=" + r.url, verb}, args...)
	out, message, err := git(ctx, dir, []string{"GIT_ALLOW_PROTOCOL=" + protocols}, args...)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		if r.secret != "" {
			message = strings.ReplaceAll(message, r.secret, "")
		}
		return "", fmt.Errorf("git %s: %w: %s", verb, err, manifest.OneLine(message, 500))
	}
	return out, nil
}

// workTree returns the commit and branch of a folder in a git work tree, "" for another folder. The branch of a detached
// HEAD is "".
func workTree(ctx context.Context, dir string) (commit, branch string) {
	out, _, err := git(ctx, dir, nil, "rev-parse", "HEAD", "--symbolic-full-name", "HEAD")
	if err != nil {
		return "", ""
	}
	commit, ref, _ := strings.Cut(strings.TrimSpace(out), "\n")
	branch, ok := strings.CutPrefix(ref, "refs/heads/")
	if !ok {
		return commit, ""
	}
	return commit, branch
}

// git runs git in a folder, without prompts, and returns its standard output and standard error.
func git(ctx context.Context, dir string, env []string, args ...string) (out, message string, err error) {
	// Background maintenance would run when the folder is already removed.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "gc.auto=0", "-c", "maintenance.auto=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), selectsRepository), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr capped
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// On SIGTERM, git also ends the programs that it started.
	cmd.Cancel = func() error {
		if cmd.Process.Signal(syscall.SIGTERM) != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	return stdout.kept.String(), stderr.kept.String(), err
}

// selectsRepository reports whether a variable selects a repository, as those in the environment of a git hook do.
func selectsRepository(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
		"GIT_NAMESPACE", "GIT_PREFIX"}, name)
}

// capped keeps the first MiB of what is written to it.
type capped struct{ kept strings.Builder }

func (c *capped) Write(p []byte) (int, error) {
	c.kept.Write(p[:min(len(p), 1<<20-c.kept.Len())])
	return len(p), nil
}
