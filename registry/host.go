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
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Docker Hub's name in references, and the host that answers for it.
const (
	hubName = "docker.io"
	hubHost = "registry-1.docker.io"
)

// host is the configuration of one registry, and the semaphore that bounds its requests. All of them go through do.
type host struct {
	docker.RegistryHost
	// name is the registry's name in references.
	name   string
	client *Client

	server *transport.Server
	login  *transport.Login
	// retries is the first of the chain that requests pass through.
	retries *transport.Retry
	// semaphore has room for the concurrent requests.
	semaphore chan struct{}

	credentials memo.Memo[string, cachedCredential]
	warm        warmConnections
	// layers counts those of images that are going to be copied.
	layers atomic.Int64
	// withoutReferrers has the repositories that are known to have no referrers API.
	withoutReferrers sync.Map
	// skipped has the repositories for which it was reported that names are skipped.
	skipped sync.Map
}

// repository is a repository of a registry.
type repository struct {
	*host
	// repo is the path of the repository, without the registry; typed is its name as a person types it.
	repo, typed string
	// acquired says that requests are covered by an acquired semaphore.
	acquired bool
	// permit is for the next request; nil for none.
	permit *transport.Permit
}

func (c *Client) repository(ref reference.Named) repository {
	if c.options.Layout != nil {
		if answers := c.options.Layout(ref); answers != nil {
			h := c.hostOnce(ref.Name(), func(name string) *host { return c.newLocal(name, answers) })
			return repository{host: h, repo: "layout", typed: ref.Name()}
		}
	}
	return repository{host: c.host(reference.Domain(ref)), repo: reference.Path(ref), typed: reference.FamiliarName(ref)}
}

// host returns the registry of this name.
func (c *Client) host(name string) *host {
	if name == hubHost {
		name = hubName
	}
	return c.hostOnce(name, c.newRegistry)
}

// hostOnce returns the host of this name, made at the first call.
func (c *Client) hostOnce(name string, newOf func(name string) *host) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hosts[name] == nil {
		c.hosts[name] = newOf(name)
	}
	return c.hosts[name]
}

// newLocal returns the host of a layout, which answers in this process.
func (c *Client) newLocal(name string, answers http.RoundTripper) *host {
	h := c.newHost(name, docker.RegistryHost{Scheme: "http", Host: "layout", Path: "/v2"})
	h.login = &transport.Login{Server: h.server}
	h.retries = &transport.Retry{Next: &transport.Local{Answers: answers}, Server: h.server, Budget: c.budget}
	return h
}

func (c *Client) newRegistry(name string) *host {
	own, base := c.configure(name)
	h := c.newHost(name, own)
	h.server.Insecure, h.server.InsecureHost = c.options.Insecure, c.options.InsecureHost
	h.server.SetEndpoint(transport.Endpoint{Scheme: own.Scheme, Unverified: base.TLSClientConfig.InsecureSkipVerify})
	h.warm.dial, h.warm.address = base.DialContext, func() string { return h.address(base.Proxy) }
	base.DialContext = h.warm.DialContext
	h.compose(base.Clone)
	return h
}

func (c *Client) newHost(name string, own docker.RegistryHost) *host {
	server := &transport.Server{Name: name, Host: own.Host}
	server.SetEndpoint(transport.Endpoint{Scheme: own.Scheme})
	return &host{RegistryHost: own, name: name, client: c, server: server, semaphore: make(chan struct{}, c.options.Jobs)}
}

// compose makes the chain that requests to the registry pass through, and the one for its token service. Connections are
// those of transports that newTransport returns.
func (h *host) compose(newTransport func() *http.Transport) {
	c := h.client
	wire := c.wire(&transport.TLS{Server: h.server, New: newTransport, Connected: h.warm.connected})
	bare := c.wire(&transport.TLS{Server: h.server, New: newTransport, Bare: true})
	// plain is not for what may hold a secret.
	plain := &transport.TLS{Server: &transport.Server{Name: h.name, Host: h.server.Host}, New: newTransport, Bare: true}
	plain.Server.SetEndpoint(transport.Endpoint{Scheme: "http"})
	tokens := func(wire transport.RoundTripper) *transport.Tokens {
		return &transport.Tokens{
			Exchange: &transport.Retry{
				Next: &transport.Redirect{Next: wire, Server: h.server, Stay: true}, Server: h.server, Budget: c.budget, Tokens: true,
			},
			Budget: c.budget, UserAgent: c.options.UserAgent,
		}
	}
	h.login = &transport.Login{
		Next:   &transport.Guest{Next: wire, Bare: bare, Server: h.server, Tokens: tokens(bare)},
		Server: h.server, Credentials: h.credential, Renew: h.renew, WithoutLogin: h.withoutLogin(),
		Always: h.name == hubName, Queued: h.warmUp,
		Ping: func(ctx context.Context) (*http.Request, error) {
			return h.newRequest(ctx, request{method: http.MethodGet, path: "/"})
		},
		Tokens: tokens(wire),
	}
	h.retries = &transport.Retry{
		Next: &transport.Scheme{
			Next: &transport.Redirect{Next: h.login, Server: h.server}, Server: h.server, Plain: c.wire(plain),
		},
		Server: h.server, Budget: c.budget,
	}
}

// wire returns connections that end when they make no progress, and are reported if the options want that.
func (c *Client) wire(connections *transport.TLS) transport.RoundTripper {
	wire := &transport.IdleTimeout{Next: connections, Connect: c.connect, Idle: c.idle, Commit: c.commit, Rate: transport.DefaultRate}
	if c.options.Trace == nil {
		return wire
	}
	return &transport.Trace{Next: wire, Server: connections.Server, Now: c.budget.Now, To: c.options.Trace}
}

// configure returns what certs.d says about a registry and the transport that follows from it. Files that cannot be
// used are a warning.
func (c *Client) configure(name string) (docker.RegistryHost, *http.Transport) {
	var o config.HostOptions
	if dir := c.certDir(name); dir != "" {
		o.HostDir = func(string) (string, error) { return dir, nil }
		own, base, err := c.configureHosts(name, o)
		if err == nil && base != nil {
			return own, base
		}
		o.HostDir = nil
		if err != nil {
			o.DefaultTLS = c.usableCerts(dir)
		}
	}
	own, base, _ := c.configureHosts(name, o) // what is not read does not fail
	return own, base
}

// configureHosts returns the entry of the registry itself, never a mirror's; the transport is nil when there is
// none.
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
	hosts, err := config.ConfigureHosts(log.WithLogger(context.Background(), noLog), o)(name)
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

// adjust prepares containerd's transport for many small concurrent requests.
func (c *Client) adjust(t *http.Transport) {
	t.ForceAttemptHTTP2 = true
	t.DisableCompression = true // see newRequest
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = c.options.Jobs
	t.IdleConnTimeout = 90 * time.Second
	t.ResponseHeaderTimeout = 0 // see transport.IdleTimeout
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	if c.tune != nil {
		c.tune(t)
	}
}

// certDir returns the directory for a registry in the first of the CertDirs that has one, before any directory for
// all registries.
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

// noLog keeps containerd from writing log lines.
var noLog = func() *log.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return logrus.NewEntry(l)
}()

// acquire waits until the host has room for one more request, and returns a repository whose requests are covered
// by that, and a function that releases it. Whoever needs room at two hosts acquires the one that is written to
// first, so that none waits for another.
func (p repository) acquire(ctx context.Context) (repository, func(), error) {
	release, err := p.acquireOne(ctx)
	p.acquired = true
	return p, release, err
}

// acquireOne waits until the host has room for a request, unless that is covered, and returns a function that releases it.
func (p repository) acquireOne(ctx context.Context) (func(), error) {
	if p.acquired {
		return func() {}, nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case p.semaphore <- struct{}{}:
	}
	return sync.OnceFunc(func() { <-p.semaphore }), nil
}
