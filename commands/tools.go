package commands

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/daemon"
	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
	"github.com/docker-multiarch/docker-multiarch/registry"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
)

// tools are what the operations of one run work with. Making them touches nothing: the configuration,
// the daemon and registries are asked when an operation first needs them.
type tools struct {
	cli    command.Cli
	notes  *display.Notes
	logins *logins
	daemon *daemon.Daemon
}

// logins are the stored credentials. A credential helper that fails is told once; then, as in the docker
// CLI, the run goes on without a login.
type logins struct {
	stored *credentials.Store
	warned sync.Once
}

func (t tools) withoutLogin(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	t.logins.warned.Do(func() { t.notes.Warn("%v; going on without a login", err) })
	return nil
}

// credential returns the credential for a registry in the form that package registry takes.
func (t tools) credential(ctx context.Context, host string) (registry.Credential, error) {
	auth, err := t.logins.stored.Lookup(ctx, host)
	switch {
	case err != nil:
		return registry.Credential{}, t.withoutLogin(ctx, err)
	case auth.IdentityToken != "":
		return registry.Credential{Secret: auth.IdentityToken}, nil
	}
	return registry.Credential{Username: auth.Username, Secret: auth.Password, RegistryToken: auth.RegistryToken}, nil
}

// header returns what the daemon is sent for a registry.
func (t tools) header(ctx context.Context, host string) (string, error) {
	header, err := t.logins.stored.Header(ctx, host)
	if err != nil {
		return noLogin, t.withoutLogin(ctx, err)
	}
	return header, nil
}

// noLogin is {}, as the daemon wants it.
const noLogin = "e30="

// newTools returns the tools; with quiet they draw no progress and keep to warnings.
func newTools(cli command.Cli, quiet bool) tools {
	progress := cli.Err()
	if quiet {
		progress = nil
	}
	t := tools{cli: cli, notes: display.NewNotes(cli.Err(), quiet), logins: &logins{stored: credentials.New(cli.ConfigFile)}}
	t.daemon = daemon.New(daemon.FromCLI(cli), t.header, progress)
	return t
}

// localLists returns the store of local lists.
func localLists() *store.Store { return store.New(filepath.Join(config.Dir(), "manifests")) }

// registries returns access to registries, with plain HTTP and unknown certificates if insecure.
func (t tools) registries(insecure bool) *registry.Client {
	return registry.New(registry.Options{
		Credentials:  t.credential,
		Insecure:     insecure,
		InsecureHost: t.daemon.Insecure,
		CertDirs:     certDirs(),
		UserAgent:    "docker-multiarch/" + Version + " (" + runtime.GOOS + ")",
		Warn:         t.notes.Warn,
	})
}

// certDirs are the folders of registry certificates: the daemon's, then the user's.
func certDirs() []string {
	system := "/etc/docker/certs.d"
	if runtime.GOOS == "windows" {
		system = `C:\ProgramData\docker\certs.d`
	}
	return []string{system, filepath.Join(config.Dir(), "certs.d")}
}

// parseTags returns the names that -t gives a list: tags, or names in the list's repository.
func parseTags(list reference.NamedTagged, typed []string) ([]reference.NamedTagged, error) {
	var out []reference.NamedTagged
	for _, s := range typed {
		if name, err := reference.WithTag(reference.TrimNamed(list), s); err == nil {
			out = append(out, name)
			continue
		}
		name, err := manifest.ParseListName(s)
		if err != nil {
			return nil, err
		}
		if !manifest.SameRepository(name, list) {
			return nil, invalid("--tag %s is not in the repository %s of the list: give a tag alone, or a name in it", s, list.Name())
		}
		out = append(out, name)
	}
	return out, nil
}
