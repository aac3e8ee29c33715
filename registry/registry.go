// Package registry reads and writes images and manifest lists in registries, by the rules of
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md.
//
// It keeps one connection pool and one authorizer for each registry, finds out once which scheme a
// registry speaks, has patience with failures that may pass, and lets nothing through whose digest or
// size is wrong. Besides, it downloads files of the web. What a list is, which manifests are needed and where
// credentials come from is left to others.
package registry

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Credential is how a person is known to a registry. The zero value is anonymous.
type Credential struct {
	// Username and Secret are a name and a password; an empty Username makes Secret an identity token.
	Username, Secret string
	// RegistryToken is sent as a bearer token as it is.
	RegistryToken string
}

// Options say how registries are reached. The zero value is anonymous and strict.
type Options struct {
	// Credentials returns the credential for a registry, named as in a reference ("docker.io"). It is
	// asked at most once for each registry, and only when the registry wants to know.
	Credentials func(ctx context.Context, host string) (Credential, error)
	// HasLogin reports whether there is a credential for a registry: then its first request goes alone,
	// since a challenge is to be expected. It is asked before the first request; nil stands for no.
	HasLogin func(ctx context.Context, host string) bool
	// Insecure permits plain HTTP and certificates that nobody vouches for.
	Insecure bool
	// InsecureHost permits the same for one registry. It is asked only when HTTPS failed, or when the
	// registry itself leads to plain HTTP elsewhere, and nothing else permits it.
	InsecureHost func(ctx context.Context, host string) bool
	// CertDirs are folders like /etc/docker/certs.d; the first that has something for a registry counts.
	CertDirs []string
	// Jobs bounds the requests to one registry that are under way at a time; 0 stands for DefaultJobs.
	Jobs int
	// UserAgent is sent with each request.
	UserAgent string
	// RetryTimeout is how long the client waits, in all, for what may pass: a rate limit, a registry that
	// is overloaded, a connection that breaks off. 0 stands for 30 s, less for not at all.
	RetryTimeout time.Duration
	// From reads what is copied, where that needs another credential than this client has; nil for the client
	// itself. Then blobs are not mounted within one registry: nobody is known to have the right.
	From *Client
	// Progress is told of the blobs that are brought to a registry; nil for nobody.
	Progress manifest.Progress
	// Warn is told what a person should know but what stops nothing: one line, no newline.
	Warn func(format string, args ...any)
}

// DefaultJobs is enough for the blobs of ten images to be mounted in one round trip.
const DefaultJobs = 64

// Client is a manifest.Registry. It can be used by several goroutines.
type Client struct {
	options Options
	// tune changes transports before they are used; nil but in tests.
	tune func(*http.Transport)
	// idle and commit bound the silence of a connection, commit that after a blob was sent.
	idle, commit time.Duration
	patience     *patience

	mu    sync.Mutex
	hosts map[string]*host

	// copiedImages and copiedBlobs are the copies made, by what was copied and the repository it was copied to.
	copiedImages, copiedBlobs memo.Memo[string, struct{}]
	// images and blobs tell which of them a repository has, lists what a tagged index lists, and configs
	// are the small blobs that were read; each is asked for once.
	images, blobs memo.Memo[string, bool]
	lists         memo.Memo[string, map[digest.Digest]bool]
	configs       memo.Memo[string, []byte]
}

var _ manifest.Registry = (*Client)(nil)

// New returns a client that has not asked anything yet.
func New(o Options) *Client {
	if o.UserAgent == "" {
		o.UserAgent = "docker-multiarch"
	}
	if o.Jobs < 1 {
		o.Jobs = DefaultJobs
	}
	c := &Client{options: o, idle: idleTimeout, commit: commitTimeout, hosts: map[string]*host{}}
	c.patience = newPatience(o.RetryTimeout, c.warn)
	return c
}

// origin is the client that reads what is copied.
func (c *Client) origin() *Client {
	if c.options.From != nil {
		return c.options.From
	}
	return c
}

// tell reports how far a blob is.
func (c *Client) tell(b ocispec.Descriptor, state manifest.TransferState, sent int64) {
	if c.options.Progress != nil {
		c.options.Progress.Blob(manifest.Transfer{Blob: b, State: state, Sent: sent})
	}
}

func (c *Client) warn(format string, args ...any) {
	if c.options.Warn != nil {
		c.options.Warn(format, args...)
	}
}
