// Package credentials returns the credentials that docker login stored for a registry: from DOCKER_AUTH_CONFIG,
// credential helpers and config.json, in this order.
//
// A [Store] reads nothing before the first [Store.Lookup], asks a helper once for each registry, and again after
// [Store.Forget], and writes nothing. How a user name, an identity token or a registry token is used is up to the client of the registry.
package credentials

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	fromfile "github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
)

// hubKey is the name under which the docker CLI keeps the credentials of Docker Hub.
const hubKey = "https://index.docker.io/v1/"

// helperTimeout bounds a credential helper, which may prompt the user.
const helperTimeout = 30 * time.Second

// Store looks up credentials, once for each registry.
type Store struct {
	config  func() *configfile.ConfigFile
	timeout time.Duration // of one helper call
	now     func() time.Time

	lookups memo.Memo[string, found]
}

// found is a result of a lookup, and when it was found.
type found struct {
	types.AuthConfig
	at time.Time
}

// New returns a store that calls load for the config file of the docker CLI at the first lookup.
func New(load func() *configfile.ConfigFile) *Store {
	return &Store{
		config:  sync.OnceValue(func() *configfile.ConfigFile { return loaded(load) }),
		timeout: helperTimeout,
		now:     time.Now,
		lookups: memo.Memo[string, found]{KeepErrors: true},
	}
}

func loaded(load func() *configfile.ConfigFile) *configfile.ConfigFile {
	file := load()
	if file == nil {
		file = configfile.New("")
	}
	file.GetAuthConfigs() // creates its map, so that concurrent lookups only read it
	return file
}

// Lookup returns the credentials for host, a registry as in a reference; they are empty if there are none. An
// identity token is in IdentityToken, a token that is sent as it is in RegistryToken. The error, which names the
// helper that failed, is errdefs.ErrFailedPrecondition; it is kept like a result.
func (s *Store) Lookup(ctx context.Context, host string) (types.AuthConfig, error) {
	key := configKey(host)
	got, err := s.lookups.Do(ctx, key, func() (found, error) {
		auth, err := s.find(ctx, key, host)
		return found{auth, s.now()}, err
	})
	if err != nil && errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("looking up credentials for %s: %w", host, err)
	}
	return got.AuthConfig, err
}

// Forget makes the next lookup for host a new one, unless the last one was less than a minute ago: the token of a helper
// may have expired.
func (s *Store) Forget(host string) {
	s.lookups.Drop(configKey(host), func(have found) bool { return s.now().Sub(have.at) >= time.Minute })
}

// find reads the credentials in the order of the docker CLI: DOCKER_AUTH_CONFIG, helper, file. The result of a
// helper is completed from the file, which may have a registry token.
func (s *Store) find(ctx context.Context, key, host string) (types.AuthConfig, error) {
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
	answer, err := s.runHelper(ctx, helper, key, host)
	if err != nil {
		return types.AuthConfig{}, err
	}
	answer.Auth, answer.RegistryToken = stored.Auth, stored.RegistryToken
	return answer, nil
}

// Header returns the credentials for host as the X-Registry-Auth header of a daemon: JSON in base64url, "{}" if
// there are none. Errors are those of Lookup.
func (s *Store) Header(ctx context.Context, host string) (string, error) {
	auth, err := s.Lookup(ctx, host)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(types.AuthConfig{
		Username: auth.Username, Password: auth.Password, Auth: auth.Auth, ServerAddress: auth.ServerAddress,
		IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
	}) // without the email address of old files
	if err != nil {
		return "", fmt.Errorf("encoding credentials for %s: %w", host, err)
	}
	return base64.URLEncoding.EncodeToString(raw), nil
}

// helperOf returns the name of the helper that the config file has for key, empty if the file itself holds
// the credentials.
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
