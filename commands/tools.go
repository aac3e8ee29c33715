package commands

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/daemon"
	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry"
	"github.com/docker/cli/cli/config"
)

// tools are what the operations of one run work with. Making them touches nothing: the configuration,
// the daemon and registries are asked when an operation first needs them.
type tools struct {
	env    environment
	notes  *display.Notes
	logins *logins
	daemon *daemon.Daemon
	// progress shows how blobs travel, nil for not at all.
	progress *display.Progress
}

// logins are the stored credentials. A credential helper that fails is told once; then, as in the docker
// CLI, the run goes on without a login.
type logins struct {
	stored *credentials.Store
	warned *sync.Once
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
func newTools(env environment, quiet bool) tools {
	progress := env.Err()
	if quiet {
		progress = nil
	}
	t := tools{env: env, notes: display.NewNotes(env.Err(), quiet), logins: &logins{credentials.New(env.ConfigFile), &sync.Once{}}}
	t.daemon = daemon.New(daemon.FromCLI(env), t.header, progress)
	return t
}

// withProgress returns t with a display of blobs that are copied; notes go through it.
func (t tools) withProgress(mode string, quiet bool) tools {
	if quiet {
		mode = display.ProgressQuiet
	}
	t.progress = display.NewProgress(t.env.Err(), mode)
	t.notes = display.NewNotes(t.progress, quiet)
	return t
}

// hasLogin reports whether there is a credential for a registry. That it cannot be read is told when it is
// needed.
func (t tools) hasLogin(ctx context.Context, host string) bool {
	auth, err := t.logins.stored.Lookup(ctx, host)
	return err == nil && (auth.Username != "" || auth.IdentityToken != "" || auth.RegistryToken != "")
}

// access returns what operations work with.
func (t tools) access(n network) manifest.Access {
	return manifest.Access{Lists: t.env.lists(), Registry: t.registries(n), Images: t.daemon, Notes: t.notes}
}

// registries returns access to registries.
func (t tools) registries(n network) *registry.Client { return registry.New(t.registryOptions(n)) }

func (t tools) registryOptions(n network) registry.Options {
	patience := time.Duration(n.retryTimeout)
	if patience == 0 {
		patience = -1 // 0 stands for the default there
	}
	o := registry.Options{
		Credentials:  t.credential,
		HasLogin:     t.hasLogin,
		Insecure:     n.insecure,
		InsecureHost: t.daemon.Insecure,
		CertDirs:     certDirs(),
		Jobs:         int(n.jobs),
		UserAgent:    "docker-multiarch/" + Version + " (" + runtime.GOOS + ")",
		RetryTimeout: patience,
		Warn:         t.notes.Warn,
	}
	if t.progress != nil {
		o.Progress = t.progress
	}
	return o
}

// certDirs are the folders of registry certificates: the daemon's, then the user's.
func certDirs() []string {
	system := "/etc/docker/certs.d"
	if runtime.GOOS == "windows" {
		system = `C:\ProgramData\docker\certs.d`
	}
	return []string{system, filepath.Join(config.Dir(), "certs.d")}
}
