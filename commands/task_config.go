package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"

	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/task/run"
)

// runConfig is the DOCKER_CONFIG of a run's docker commands: a folder with the user's settings and docker contexts, and with
// the logins that they need. What the commands change there, as docker login, docker context create and docker buildx
// create do, ends with the run.
type runConfig struct {
	dir string
	// user returns the user's configuration.
	user func() *configfile.ConfigFile

	mu     sync.Mutex
	copied map[string]types.AuthConfig // the user's logins that are in dir, by their name in config.json
}

// noRegistry has an empty login in a run's config.json: if that had none, docker login would use the system's keychain.
const noRegistry = "docker-multiarch.invalid"

// newRunConfig returns the configuration of a run with an ID. It is not among the files of the run, which containers get,
// unless these include the user's. It must be removed unless it is nil; the error may only be that a part of the user's is
// missing in it.
func newRunConfig(id, files string, user func() *configfile.ConfigFile) (*runConfig, error) {
	parent, err := filepath.EvalSymlinks(absolute(os.TempDir()))
	if inside, relErr := filepath.Rel(files, parent); err == nil && relErr == nil && filepath.IsLocal(inside) {
		if parent, err = filepath.Abs(config.Dir()); err == nil {
			err = os.MkdirAll(parent, 0o700)
		}
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, run.FolderPattern(id))
	if err != nil {
		return nil, err
	}
	c := &runConfig{dir: dir, user: user, copied: map[string]types.AuthConfig{}}
	own := *user()
	own.Filename = filepath.Join(dir, config.ConfigFileName)
	own.CredentialsStore, own.CredentialHelpers = "", nil
	own.AuthConfigs = map[string]types.AuthConfig{noRegistry: {}}
	own.CLIPluginsExtraDirs = nil
	for _, plugins := range append(slices.Clone(user().CLIPluginsExtraDirs), filepath.Join(config.Dir(), "cli-plugins")) {
		if plugins, err = filepath.Abs(plugins); err == nil { // docker commands have another working directory
			own.CLIPluginsExtraDirs = append(own.CLIPluginsExtraDirs, plugins)
		}
	}
	if err := own.Save(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := copyFiles(config.ContextStoreDir(), filepath.Join(dir, "contexts")); err != nil {
		return c, fmt.Errorf("copying the docker contexts for the run: %w", err)
	}
	return c, nil
}

// copyFiles copies the files of a folder that can be read; nobody else can read the copy.
func copyFiles(from, to string) error {
	var errs []error
	folder := os.DirFS(from)
	_ = fs.WalkDir(folder, ".", func(name string, _ fs.DirEntry, err error) error {
		info, statErr := fs.Stat(folder, name)
		switch err = errors.Join(err, statErr); {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err == nil && info.IsDir():
			err = os.MkdirAll(filepath.Join(to, name), 0o700)
		case err == nil && info.Mode().IsRegular():
			var content []byte
			if content, err = fs.ReadFile(folder, name); err == nil {
				err = os.WriteFile(filepath.Join(to, name), content, 0o600)
			}
		}
		errs = append(errs, err)
		return nil
	})
	return errors.Join(errs...)
}

// addLogins copies the user's logins of registries to the folder. The run keeps its own, and stays logged out after docker
// logout.
func (c *runConfig) addLogins(ctx context.Context, l logins, registries []string) error {
	if len(registries) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]types.AuthConfig{}
	for _, host := range registries {
		l.stored.Forget(host) // the token of a helper may have expired
		auth, err := l.stored.Lookup(ctx, host, "", nil)
		if err != nil {
			if err := l.withoutLogin(ctx, err); err != nil {
				return err
			}
		}
		found[credentials.ConfigKey(host)] = auth
	}
	own, err := config.Load(c.dir)
	if err != nil {
		return err
	}
	changed := false
	for key, auth := range found {
		before := c.copied[key]
		if sameLogin(own.AuthConfigs[key], before) && !sameLogin(auth, before) {
			own.AuthConfigs[key], c.copied[key], changed = auth, auth, true
		}
	}
	if !changed {
		return nil
	}
	return own.Save()
}

// current returns the user's configuration with the logins of the run.
func (c *runConfig) current() *configfile.ConfigFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	merged := *c.user()
	own, err := config.Load(c.dir)
	if err != nil {
		return &merged
	}
	auths, helpers := map[string]types.AuthConfig{}, map[string]string{}
	maps.Copy(auths, merged.AuthConfigs)
	maps.Copy(helpers, merged.CredentialHelpers)
	for key, auth := range own.AuthConfigs {
		if !sameLogin(auth, c.copied[key]) {
			auths[key], helpers[key] = auth, "" // config.json itself
		}
	}
	merged.AuthConfigs, merged.CredentialHelpers = auths, helpers
	return &merged
}

func sameLogin(a, b types.AuthConfig) bool {
	return a.Username == b.Username && a.Password == b.Password && a.IdentityToken == b.IdentityToken && a.RegistryToken == b.RegistryToken
}
