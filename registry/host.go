package registry

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/distribution/reference"
	"github.com/sirupsen/logrus"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Docker Hub's name in references, and the host that answers for it.
const (
	hubName = "docker.io"
	hubHost = "registry-1.docker.io"
)

// host is one registry. All requests to it go through do.
type host struct {
	docker.RegistryHost
	// name is the registry's name in references.
	name   string
	client *Client

	// slots has room for the requests that may be under way.
	slots chan struct{}
	// settled is done when it is known that way is the one; first when a registry with a login has
	// answered once: then the authorizer knows its challenge.
	settled, first memo.Once[struct{}]
	way            atomic.Pointer[way]
	strict, lax    *http.Transport
	// wantsCert has for each server whether it asked for a client certificate and never answered.
	wantsCert sync.Map
	spares    spares
	// waiting counts the requests that the first one is waited for by, coming the layers of images that are
	// going to be copied.
	waiting, coming atomic.Int64
	// union are the scopes that an operation needs in all, nil when they are not known.
	union atomic.Pointer[[]string]
	// withoutReferrers has the repositories that are known to have no referrers API.
	withoutReferrers sync.Map
}

// way is how a registry is spoken to.
type way struct {
	scheme string
	// unverified says that the registry's own certificate is not checked.
	unverified bool
}

// repository is a repository of a registry.
type repository struct {
	*host
	// repo is the path of the repository, without the registry; typed is its name as a person types it.
	repo, typed string
}

func (c *Client) repository(ref reference.Named) (repository, error) {
	h, err := c.host(reference.Domain(ref))
	return repository{h, reference.Path(ref), reference.FamiliarName(ref)}, err
}

// host returns the registry of this name, made at the first call.
func (c *Client) host(name string) (*host, error) {
	if name == hubHost {
		name = hubName
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.hosts[name]; ok {
		return h, nil
	}
	h, err := c.newHost(name)
	if err != nil {
		return nil, err
	}
	c.hosts[name] = h
	return h, nil
}

func (c *Client) newHost(name string) (*host, error) {
	own, transport, err := c.configure(name)
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: %w", name, err)
	}
	h := &host{RegistryHost: own, name: name, client: c, slots: make(chan struct{}, c.options.Jobs)}
	h.way.Store(&way{own.Scheme, transport.TLSClientConfig.InsecureSkipVerify})
	transport.TLSClientConfig.GetClientCertificate = present(transport.TLSClientConfig.Certificates)
	h.spares.dial, h.spares.address = transport.DialContext, h.address
	transport.DialContext = h.spares.DialContext
	h.strict, h.lax = transport.Clone(), transport.Clone()
	h.strict.TLSClientConfig.InsecureSkipVerify = false
	h.lax.TLSClientConfig.InsecureSkipVerify = true
	h.Client = &http.Client{Transport: patient{h, h}, CheckRedirect: checkRedirect}
	h.Authorizer = &authorizer{host: h, rejected: map[string]bool{}}
	return h, nil
}

// configure returns what certs.d says about a registry and the transport that follows from it. Files
// that cannot be used are a warning.
func (c *Client) configure(name string) (docker.RegistryHost, *http.Transport, error) {
	var o config.HostOptions
	if dir := c.certDir(name); dir != "" {
		o.HostDir = func(string) (string, error) { return dir, nil }
		own, transport, err := c.configureHosts(name, o)
		if err == nil && transport != nil {
			return own, transport, nil
		}
		o.HostDir = nil
		if err != nil {
			o.DefaultTLS = c.usableCerts(dir)
		}
	}
	return c.configureHosts(name, o)
}

// configureHosts returns the entry of the registry itself, never a mirror's; the transport is nil when
// there is none.
func (c *Client) configureHosts(name string, o config.HostOptions) (docker.RegistryHost, *http.Transport, error) {
	transports := map[*http.Client]*http.Transport{}
	o.DefaultScheme = "https"
	o.UpdateClient = func(client *http.Client) error {
		if t, ok := client.Transport.(*http.Transport); ok {
			c.adjust(t)
			transports[client] = t
		}
		return nil
	}
	hosts, err := config.ConfigureHosts(quiet(context.Background()), o)(name)
	if err != nil {
		return docker.RegistryHost{}, nil, err
	}
	address := name
	if name == hubName {
		address = hubHost
	}
	for _, h := range hosts {
		if h.Host == address {
			return h, transports[h.Client], nil
		}
	}
	return docker.RegistryHost{}, nil, nil
}

// adjust makes containerd's transport fit for many small requests at a time.
func (c *Client) adjust(t *http.Transport) {
	t.ForceAttemptHTTP2 = true
	t.DisableCompression = true // digests are those of the bytes as sent
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = c.options.Jobs
	t.IdleConnTimeout = 90 * time.Second
	t.ResponseHeaderTimeout = 0 // see watch
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	if c.tune != nil {
		c.tune(t)
	}
}

// certDir returns the folder for a registry in the first of the CertDirs that has one, before any
// folder for all registries.
func (c *Client) certDir(name string) string {
	general := ""
	for _, root := range c.options.CertDirs {
		dir, err := config.HostDirFromRoot(root)(name)
		switch {
		case errdefs.IsNotFound(err):
		case err != nil:
			c.warn("certificates of %s cannot be read: %v", name, err)
		case filepath.Base(dir) != "_default":
			return dir
		case general == "":
			general = dir
		}
	}
	return general
}

// quiet returns a context in which containerd writes no log lines.
func quiet(ctx context.Context) context.Context { return log.WithLogger(ctx, silence) }

var silence = func() *log.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return logrus.NewEntry(l)
}()
