package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// Short names for the tests.
const (
	V3          = servers.V3
	V28         = servers.V28
	Crane       = servers.Crane
	GraphDriver = servers.GraphDriver
	Containerd  = servers.Containerd
	Podman      = servers.Podman
)

// RegistryOptions are those of a registry that only one test uses.
type RegistryOptions struct {
	Kind           servers.RegistryKind // "" is V3
	User, Password string
	TLS            bool
	ClientCert     bool // with TLS
	MaxEntries     int  // most names per page of a listing of V3, 0 for 1000
}

type registryResult func() (*servers.Registry, error)

var sharedRegistries = map[servers.RegistryKind]registryResult{
	V3:    sync.OnceValues(func() (*servers.Registry, error) { return startRegistry(RegistryOptions{Kind: V3}) }),
	V28:   sync.OnceValues(func() (*servers.Registry, error) { return startRegistry(RegistryOptions{Kind: V28}) }),
	Crane: sync.OnceValues(func() (*servers.Registry, error) { return startRegistry(RegistryOptions{Kind: Crane}) }),
}

// Registry returns the registry that all tests share.
func Registry(t testing.TB, kind servers.RegistryKind) *servers.Registry {
	t.Helper()
	r, err := sharedRegistries[kind]()
	require(t, string(kind), err)
	return r
}

// NewRegistry starts a registry for this test only, whose requests can be counted, and stops it at the end of the
// test.
func NewRegistry(t testing.TB, o RegistryOptions) *servers.Registry {
	t.Helper()
	if o.Kind == "" {
		o.Kind = V3
	}
	r, err := startRegistry(o)
	require(t, string(o.Kind), err)
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func startRegistry(o RegistryOptions) (r *servers.Registry, err error) {
	options := servers.RegistryOptions{Kind: o.Kind, User: o.User, Password: o.Password, TLS: o.TLS, ClientCert: o.ClientCert, MaxEntries: o.MaxEntries}
	if options.Tools, err = servers.FindTools(); err != nil {
		return nil, err
	}
	if o.Kind == V3 {
		if options.Program, err = registryProgram(); err != nil {
			return nil, err
		}
	}
	err = shared.start(func(dir string) (string, func() error, error) {
		if r, err = servers.StartRegistry(context.Background(), dir, options); err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("registry %s (%s)", r.Kind, r.Version), r.Stop, nil
	})
	return r, err
}

type daemonResult func() (*servers.Daemon, error)

var sharedDaemons = map[servers.Store]daemonResult{
	GraphDriver: sync.OnceValues(func() (*servers.Daemon, error) { return startDaemon(servers.DaemonOptions{Store: GraphDriver}) }),
	Containerd:  sync.OnceValues(func() (*servers.Daemon, error) { return startDaemon(servers.DaemonOptions{Store: Containerd}) }),
}

// Daemon returns the daemon that all tests share. Names of images in it start with Repo or another name that no other
// test uses.
func Daemon(t testing.TB, store servers.Store) *servers.Daemon {
	t.Helper()
	d, err := sharedDaemons[store]()
	require(t, "daemon with "+string(store), err)
	return d
}

// NewDaemon starts a daemon for this test only, which the test may stop itself.
func NewDaemon(t testing.TB, o servers.DaemonOptions) *servers.Daemon {
	t.Helper()
	d, err := startDaemon(o)
	require(t, "daemon with "+string(o.Store), err)
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func startDaemon(o servers.DaemonOptions) (d *servers.Daemon, err error) {
	if o.Tools, err = servers.FindTools(); err != nil {
		return nil, err
	}
	err = shared.start(func(dir string) (string, func() error, error) {
		if d, err = servers.StartDaemon(context.Background(), dir, o); err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("daemon with %s (%s, %s)", d.Store, d.Version, d.Driver), d.Stop, nil
	})
	return d, err
}

// repos has the tests that have called Repo, by name: with -count several tests have the same name.
var repos struct {
	sync.Mutex
	tests map[string][]testing.TB
}

// Repo returns a repository name that only this test uses, the same at each call.
func Repo(t testing.TB) string {
	repos.Lock()
	defer repos.Unlock()
	name := repoName(t)
	n := slices.Index(repos.tests[name], t)
	if n < 0 {
		n = len(repos.tests[name])
		if repos.tests == nil {
			repos.tests = map[string][]testing.TB{}
		}
		repos.tests[name] = append(repos.tests[name], t)
	}
	if n > 0 {
		return fmt.Sprintf("%s-%d", name, n+1)
	}
	return name
}

// repoName returns the name of a test as a repository name.
func repoName(t testing.TB) string {
	clean := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '/':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}
	return strings.Trim(strings.Map(clean, t.Name()), "/")
}
