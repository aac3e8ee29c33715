package credentials

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	cliconfig "github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// hubHost is the name of Docker Hub in the folders of scoped logins.
const hubHost = "registry-1.docker.io"

// scoped is a config file with the login for a part of a registry, as buildx has them: in a folder
// HOST[/REPOSITORY][@ACTION,...].
type scoped struct {
	host, repository string
	actions          []string
	load             func() (*configfile.ConfigFile, error)
}

// scopedConfigs returns the scoped logins in the configuration of buildx, in the order of their folders.
func scopedConfigs(file *configfile.ConfigFile) ([]scoped, error) {
	root := os.Getenv("BUILDX_CONFIG")
	if root == "" && file.Filename != "" {
		root = filepath.Join(filepath.Dir(file.Filename), "buildx")
	}
	if root == "" {
		return nil, nil
	}
	root = filepath.Join(root, "config")
	var all []scoped
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == root && errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case path == root && errors.Is(err, fs.ErrPermission):
			return manifest.Errorf(errNoAccess, "scoped logins of buildx cannot be read: %s", manifest.OneLine(err.Error(), maxName))
		case err != nil:
			return err
		case entry.IsDir() || entry.Name() != cliconfig.ConfigFileName:
			return nil
		}
		dir := filepath.Dir(path)
		name, err := filepath.Rel(root, dir)
		if err == nil {
			all = append(all, newScoped(filepath.ToSlash(name), dir))
		}
		return err
	})
	if errors.Is(err, errNoAccess) {
		return nil, err
	}
	return all, unreadable(err)
}

// errNoAccess is the kind of error for a folder of scoped logins that another user owns: sudo may have created it.
var errNoAccess = errors.New("no access")

func newScoped(name, dir string) scoped {
	resource, actions, _ := strings.Cut(name, "@")
	s := scoped{load: sync.OnceValues(func() (*configfile.ConfigFile, error) {
		file, err := cliconfig.Load(dir)
		return loaded(file), unreadable(err)
	})}
	s.host, s.repository, _ = strings.Cut(resource, "/")
	for action := range strings.SplitSeq(actions, ",") {
		if action = strings.TrimSpace(action); action != "" && !slices.Contains(s.actions, action) {
			s.actions = append(s.actions, action)
		}
	}
	return s
}

// unreadable returns the error for a login that may exist and cannot be read.
func unreadable(err error) error {
	if err == nil {
		return nil
	}
	return manifest.Errorf(errdefs.ErrFailedPrecondition, "scoped logins of buildx cannot be read: %s", manifest.OneLine(err.Error(), maxName))
}

// choose returns the scoped login for actions on a repository ("" for the registry as a whole), nil if there is none. One
// for the repository is preferred to one for the registry, and then the one with more actions. A deletion counts as a
// push, since buildx knows no deletions.
func choose(all []scoped, host, repository string, actions []string) *scoped {
	if ConfigKey(host) == hubKey {
		host = hubHost
	}
	if slices.Contains(actions, "delete") {
		actions = append(slices.Clone(actions), "push")
	}
	var matching []scoped
	for _, s := range all {
		missing := func(action string) bool { return !slices.Contains(actions, action) }
		if s.host == host && (s.repository == "" || s.repository == repository) && !slices.ContainsFunc(s.actions, missing) {
			matching = append(matching, s)
		}
	}
	if len(matching) == 0 {
		return nil
	}
	best := slices.MinFunc(matching, func(a, b scoped) int {
		return cmp.Or(cmp.Compare(len(b.repository), len(a.repository)), cmp.Compare(len(b.actions), len(a.actions)))
	})
	return &best
}
