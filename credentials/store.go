// Package credentials answers what the docker CLI knows about a registry's user: from
// DOCKER_AUTH_CONFIG, from credential helpers and from config.json, in that order, as docker login
// left it there. Nothing is written, and nothing is read before somebody asks. What a user name, an
// identity token or a registry token is good for is left to who talks to the registry.
package credentials

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	fromfile "github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
)

// hubKey is the name under which the docker CLI keeps the credentials of Docker Hub.
const hubKey = "https://index.docker.io/v1/"

// helperTimeout is how long a credential helper may take: some ask a person.
const helperTimeout = 30 * time.Second

// Store looks credentials up, once per registry.
type Store struct {
	config  func() *configfile.ConfigFile
	timeout time.Duration // of one helper call

	mu      sync.Mutex
	lookups map[string]*lookup
}

// lookup is one registry's credentials, on their way until done is closed.
type lookup struct {
	done      chan struct{}
	auth      types.AuthConfig
	err       error
	abandoned bool // by the caller that was looking: the answer is not one
}

// New returns a store that calls load for the CLI's config file at the first lookup.
func New(load func() *configfile.ConfigFile) *Store {
	return &Store{
		config:  sync.OnceValue(func() *configfile.ConfigFile { return loaded(load) }),
		timeout: helperTimeout,
		lookups: map[string]*lookup{},
	}
}

func loaded(load func() *configfile.ConfigFile) *configfile.ConfigFile {
	file := load()
	if file == nil {
		file = configfile.New("")
	}
	file.GetAuthConfigs() // makes its map, so that lookups side by side only read it
	return file
}

// Lookup returns the credentials for host, a registry as a reference names it; they are empty when there
// are none. An identity token stands in IdentityToken, a token to send as it is in RegistryToken. The
// error, which names the helper that failed, is errdefs.ErrFailedPrecondition; it is remembered as an
// answer is.
func (s *Store) Lookup(ctx context.Context, host string) (types.AuthConfig, error) {
	key := configKey(host)
	for {
		if err := ctx.Err(); err != nil {
			return types.AuthConfig{}, fmt.Errorf("looking up credentials for %s: %w", host, err)
		}
		l, mine := s.begin(key)
		if mine {
			l.auth, l.err = s.ask(ctx, key, host)
			s.finish(ctx, key, l)
			return l.auth, l.err
		}
		select {
		case <-ctx.Done():
		case <-l.done:
			if !l.abandoned {
				return l.auth, l.err
			}
		}
	}
}

// begin returns the lookup of key, and whether the caller is the one to do it.
func (s *Store) begin(key string) (*lookup, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.lookups[key]; ok {
		return l, false
	}
	l := &lookup{done: make(chan struct{})}
	s.lookups[key] = l
	return l, true
}

// finish hands a lookup to those who wait for it. One that was cancelled is left to the next caller.
func (s *Store) finish(ctx context.Context, key string, l *lookup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.err != nil && ctx.Err() != nil {
		l.abandoned = true
		delete(s.lookups, key)
	}
	close(l.done)
}

// ask finds the credentials in the order of the docker CLI: DOCKER_AUTH_CONFIG, helper, file. A helper's
// answer is completed from the file, where a registry token may stand.
func (s *Store) ask(ctx context.Context, key, host string) (types.AuthConfig, error) {
	file := s.config()
	helper := helperOf(file, key)
	if helper == "" {
		return file.GetAuthConfig(key)
	}
	env, err := configfile.New("").GetAuthConfig(key)
	if err == nil && env != (types.AuthConfig{}) {
		return env, nil
	}
	stored, _ := fromfile.NewFileStore(file).Get(key) // never fails
	answer, err := s.askHelper(ctx, helper, key, host)
	if err != nil {
		return types.AuthConfig{}, err
	}
	answer.Auth, answer.RegistryToken = stored.Auth, stored.RegistryToken
	return answer, nil
}

// Header returns the credentials for host in the form in which a daemon takes them, in the
// X-Registry-Auth header: JSON in base64url, which is "{}" where there are none. Errors are those of
// Lookup.
func (s *Store) Header(ctx context.Context, host string) (string, error) {
	auth, err := s.Lookup(ctx, host)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(types.AuthConfig{
		Username: auth.Username, Password: auth.Password, Auth: auth.Auth, ServerAddress: auth.ServerAddress,
		IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
	}) // without the mail address that old files have
	if err != nil {
		return "", fmt.Errorf("encoding credentials for %s: %w", host, err)
	}
	return base64.URLEncoding.EncodeToString(raw), nil
}

// helperOf returns the name of the helper that the config file gives for key, empty when the file itself
// holds the credentials.
func helperOf(file *configfile.ConfigFile, key string) string {
	if helper, ok := file.CredentialHelpers[key]; ok {
		return helper
	}
	return file.CredentialsStore
}

// configKey returns the name under which the docker CLI keeps the credentials of host.
func configKey(host string) string {
	switch host {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		return hubKey
	}
	return host
}
