// Package credentials returns the credentials that docker login stored for a registry: from DOCKER_AUTH_CONFIG,
// credential helpers and config.json, in this order. Where the configuration of buildx has a login that is limited to a
// repository or to some actions, its config.json is used instead.
//
// A [Store] reads nothing before the first [Store.Lookup], asks a helper once for each registry, and again after
// [Store.Forget], and writes nothing. How a user name, an identity token or a registry token is used is up to the client
// of the registry.
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

	// Trace is called with where the credentials for a registry came from, unless it is nil.
	Trace func(host, source string)

	scoped  func() ([]scoped, error)
	lookups memo.Memo[lookup, found]
}

// lookup is a config file and the name of a registry there.
type lookup struct {
	file *configfile.ConfigFile
	key  string
}

// found is the result of a lookup: the credentials for the registry of this key, and the time of the lookup.
type found struct {
	types.AuthConfig
	key string
	at  time.Time
}

// New returns a store that calls load for the config file of the docker CLI at the first lookup.
func New(load func() *configfile.ConfigFile) *Store {
	s := &Store{
		config:  sync.OnceValue(func() *configfile.ConfigFile { return loaded(load()) }),
		timeout: helperTimeout,
		now:     time.Now,
		lookups: memo.Memo[lookup, found]{KeepErrors: true},
	}
	s.scoped = sync.OnceValues(func() ([]scoped, error) { return scopedConfigs(s.config()) })
	return s
}

func loaded(file *configfile.ConfigFile) *configfile.ConfigFile {
	if file == nil {
		file = configfile.New("")
	}
	file.GetAuthConfigs() // creates its map, so that concurrent lookups only read it
	return file
}

// Lookup returns the credentials for actions ("pull") on a repository of host, "" for the registry as a whole, which is
// named as in a reference; they are empty if there are none. An identity token is in IdentityToken, a token that is sent
// as it is in RegistryToken. The error, which names the helper that failed, is errdefs.ErrFailedPrecondition; it is kept
// like a result.
func (s *Store) Lookup(ctx context.Context, host, repository string, actions []string) (types.AuthConfig, error) {
	file, err := s.fileFor(host, repository, actions)
	if err != nil {
		return types.AuthConfig{}, err
	}
	key := ConfigKey(host)
	got, err := s.lookups.Do(ctx, lookup{file, key}, func() (found, error) {
		auth, err := s.find(ctx, file, key, host)
		if s.Trace != nil && err == nil {
			s.Trace(host, sourceOf(file, key, auth))
		}
		return found{auth, key, s.now()}, err
	})
	if err != nil && errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("looking up credentials for %s: %w", host, err)
	}
	return got.AuthConfig, err
}

// fileFor returns the config file to look up credentials in.
func (s *Store) fileFor(host, repository string, actions []string) (*configfile.ConfigFile, error) {
	all, err := s.scoped()
	if err != nil && !errors.Is(err, errNoAccess) {
		return nil, err
	}
	if chosen := choose(all, host, repository, actions); chosen != nil {
		return chosen.load()
	}
	return s.config(), nil
}

// Skipped returns the error for scoped logins that Lookup does without, since their folder may not be read.
func (s *Store) Skipped() error {
	if _, err := s.scoped(); errors.Is(err, errNoAccess) {
		return err
	}
	return nil
}

// Forget makes the next lookup for host a new one, unless the last one was less than a minute ago: the token of a helper
// may have expired.
func (s *Store) Forget(host string) {
	s.lookups.DropAll(func(have found) bool { return have.key == ConfigKey(host) && s.now().Sub(have.at) >= time.Minute })
}

// find reads the credentials in the order of the docker CLI: DOCKER_AUTH_CONFIG, helper, file. The result of a
// helper is completed from the file, which may have a registry token.
func (s *Store) find(ctx context.Context, file *configfile.ConfigFile, key, host string) (types.AuthConfig, error) {
	helper := helperOf(file, key)
	if helper == "" {
		return file.GetAuthConfig(key)
	}
	env, err := configfile.New("").GetAuthConfig(key)
	if err == nil && env != (types.AuthConfig{}) {
		return env, nil
	}
	stored, _ := fromfile.NewFileStore(file).Get(key) // never fails
	answer, err := s.runHelper(ctx, file, helper, key, host)
	if err != nil {
		return types.AuthConfig{}, err
	}
	answer.Auth, answer.RegistryToken = stored.Auth, stored.RegistryToken
	return answer, nil
}

// sourceOf returns where credentials that were found came from.
func sourceOf(file *configfile.ConfigFile, key string, auth types.AuthConfig) string {
	env, err := configfile.New("").GetAuthConfig(key)
	helper := helperOf(file, key)
	switch {
	case auth == types.AuthConfig{} || auth == types.AuthConfig{ServerAddress: auth.ServerAddress}:
		return "no login"
	case err == nil && env.Username+env.Auth+env.IdentityToken+env.RegistryToken != "":
		return "DOCKER_AUTH_CONFIG"
	case helper != "":
		return "docker-credential-" + helper
	}
	return file.GetFilename()
}

// Header returns what Lookup does as the X-Registry-Auth header of a daemon: JSON in base64url, "{}" if there are no
// credentials. Errors are those of Lookup.
func (s *Store) Header(ctx context.Context, host, repository string, actions []string) (string, error) {
	auth, err := s.Lookup(ctx, host, repository, actions)
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

// ConfigKey returns the name under which the docker CLI keeps the credentials of host.
func ConfigKey(host string) string {
	switch host {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		return hubKey
	}
	return host
}
