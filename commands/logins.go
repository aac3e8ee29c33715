package commands

import (
	"context"
	"sync"

	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/registry"
)

// logins are the stored credentials. A credential helper that fails, or a login that is refused, is reported once; then,
// as in the docker CLI, the command continues without a login. What it is refused then, or may be hidden from, is an error.
type logins struct {
	stored   *credentials.Store
	reporter *display.Reporter
	warned   *sync.Map // by text
}

func (l logins) withoutLogin(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	l.warn(err, "a login")
	return nil
}

// warn reports once what is continued without.
func (l logins) warn(err error, without string) {
	text := oneLine(err)
	if _, known := l.warned.LoadOrStore(text, true); !known {
		l.reporter.Warn("%s; continuing without %s", text, without)
	}
}

// warnSkipped reports scoped logins that are not used.
func (l logins) warnSkipped() {
	if err := l.stored.Skipped(); err != nil {
		l.warn(err, "them")
	}
}

// credential returns the credential for actions on a repository in the form that package registry takes.
func (l logins) credential(ctx context.Context, host, repository string, actions []string) (registry.Credential, error) {
	auth, err := l.stored.Lookup(ctx, host, repository, actions)
	l.warnSkipped()
	switch {
	case err != nil:
		return registry.Credential{}, err
	case auth.IdentityToken != "":
		return registry.Credential{Secret: auth.IdentityToken}, nil
	}
	return registry.Credential{Username: auth.Username, Secret: auth.Password, RegistryToken: auth.RegistryToken}, nil
}

// header returns the X-Registry-Auth header that the daemon needs for actions on a repository.
func (l logins) header(ctx context.Context, host, repository string, actions []string) (string, error) {
	header, err := l.stored.Header(ctx, host, repository, actions)
	l.warnSkipped()
	if err != nil {
		return "e30=", l.withoutLogin(ctx, err) // {} in base64: no login
	}
	return header, nil
}
