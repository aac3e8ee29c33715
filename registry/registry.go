// Package registry reads and writes images and manifest lists in registries, by the rules of
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md.
//
// A [Client] has one host for each registry: its configuration from certs.d, a semaphore for its concurrent
// requests, and a chain of round trippers that handle retries, the scheme, redirects, logins and idle timeouts; see
// package [transport]. An operation makes a request, with the scopes that its token needs, and hands it to the host:
//
//   - [Client.Fetch], [Client.Digest] and [Client.Blob] read manifests and configs, [Client.OpenBlob] reads layers.
//     What is returned has the digest and size that were asked for.
//   - [Client.Copy] copies an image from one repository to another: it mounts blobs within a registry, and streams
//     them between registries without storing them.
//   - [Client.Put] stores a manifest or index under a digest or tags; [Client.Untag] and [Client.Delete] remove them.
//   - [Client.Tags], [Client.Repositories], [Client.Referrers] and [Client.Inventory] list.
//   - [Client.Prefetch] prepares copies, so that Copy finds its answers and connections ready.
//
// Names that [Options.Layout] answers are in no registry: they have a host, too, without network and logins.
//
// A failure is an [Error], of a kind of package errdefs and without secrets. [Download] reads files that are not in
// a registry. What a list is, which manifests it needs and where credentials come from is left to others.
package registry

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// Credential is how a person is known to a registry. The zero value is anonymous.
type Credential = transport.Credential

// Options say how registries are reached. The zero value is anonymous and strict.
type Options struct {
	// Credentials returns the credential for actions ("pull") on a repository, "" for the registry itself. The
	// registry is named as in a reference ("docker.io"). It is called before the first request, which is sent
	// before all others if there is a credential, since a challenge is to be expected. What it returns is kept; its
	// error counts only when the registry asks for a login.
	Credentials func(ctx context.Context, host, repository string, actions []string) (Credential, error)
	// WithoutLogin is called with that error then, and with the refusal of a credential where reading works without one. It
	// returns nil to continue anonymously: what the registry then refuses or does not show is not taken for absent, but an
	// error. If it is nil, the request fails.
	WithoutLogin func(ctx context.Context, err error) error
	// Forget is called before Credentials is called again, for a registry that has refused a credential that was held
	// for a minute or longer; nil for none.
	Forget func(host string)
	// Insecure permits plain HTTP and certificates that cannot be verified.
	Insecure bool
	// InsecureHost permits the same for one registry. It is called only when HTTPS failed, or when the registry
	// itself leads to plain HTTP elsewhere, and nothing else permits it.
	InsecureHost func(ctx context.Context, host string) bool
	// CertDirs are directories like /etc/docker/certs.d; the first that has something for a registry counts.
	CertDirs []string
	// Jobs bounds the concurrent requests to one registry; 0 means DefaultJobs.
	Jobs int
	// UserAgent is sent with each request.
	UserAgent string
	// RetryTimeout is the retry budget: how long the client waits for a registry that does not answer, is overloaded or
	// interrupts connections, since it last answered. Waits that it asks for with 429 do not count. 0 means 30 s, less
	// disables retries.
	RetryTimeout time.Duration
	// From reads what is copied, where that needs another credential than this client has; nil for the client
	// itself. Then blobs are not mounted within one registry, since no account is known to have the right.
	From *Client
	// Layout returns what answers the requests for a name that is in no registry, nil for one that is; nil for no such names.
	// It gets the requests as they are, without logins. Its errors are final.
	Layout func(ref reference.Named) http.RoundTripper
	// Progress receives the progress of blobs that are copied or read, and counts of the rest; nil for none.
	Progress manifest.Progress
	// Warn receives warnings, Note notes: one line each, without a newline.
	Warn, Note func(format string, args ...any)
	// Trace receives a line for each request, without secrets; nil for none.
	Trace func(format string, args ...any)
}

// DefaultJobs is enough for the blobs of ten images to be mounted in one round trip.
const DefaultJobs = 64

// Client is a manifest.Registry. It can be used by several goroutines.
type Client struct {
	options Options
	// tune changes transports before they are used; nil except in tests.
	tune func(*http.Transport)
	// connect, idle and commit are the idle timeouts: until there is a connection, then, and after a blob was sent.
	connect, idle, commit time.Duration
	budget                *transport.Budget

	mu    sync.Mutex
	hosts map[string]*host
	// unlisted has the manifests for Unlisted, by repository.
	unlisted map[string][]manifest.Node

	// copiedImages and copiedBlobs are the copies made, by their name in the target repository.
	copiedImages, copiedBlobs memo.Memo[string, struct{}]
	holders                   holders
	// images and blobs record which of them a repository has, lists the children of tagged indexes, and configs the
	// small blobs that were read; each is requested once. The size of the latter is bounded, see configBytes.
	images, blobs memo.Memo[string, bool]
	lists         memo.Memo[string, map[digest.Digest]bool]
	configs       memo.Memo[string, []byte]
	configBytes   atomic.Int64
	// tags has the digests that tags were seen to point to last, "" for one that did not exist; assumed the repositories
	// that blobs can be copied from which a registry mounted or claimed to have, by their name in the target repository.
	tags, assumed sync.Map
	// lost has the attempts at deletions of manifests whose last answer was lost.
	lost sync.Map
}

var _ manifest.Registry = (*Client)(nil)

// New returns a client. It sends no request before it is used.
func New(o Options) *Client {
	o.UserAgent = cmp.Or(o.UserAgent, "docker-multiarch")
	if o.Jobs < 1 {
		o.Jobs = DefaultJobs
	}
	c := &Client{options: o, connect: transport.DefaultConnect, idle: transport.DefaultIdle, commit: transport.DefaultCommit, hosts: map[string]*host{}, unlisted: map[string][]manifest.Node{}}
	c.budget = transport.NewBudget(o.RetryTimeout, c.warn)
	return c
}

// Announce says that n images are going to be written to or deleted from the registry of repo, or read from it, where each
// takes about as many requests, and how many are at once if it takes several: it is reported how long that takes if the
// registry limits its rates. Call done for each.
func (c *Client) Announce(repo reference.Named, n, atOnce int) (done func()) {
	return c.repository(repo).retries.Announce(n, atOnce)
}

// Source returns the client that reads the repositories that are copied from: Options.From or c itself.
func (c *Client) Source() manifest.Reader { return c.origin() }

// origin returns the client that reads the sources of copies.
func (c *Client) origin() *Client {
	if c.options.From != nil {
		return c.options.From
	}
	return c
}

// report reports the progress of a blob.
func (c *Client) report(b ocispec.Descriptor, state manifest.TransferState, sent int64) {
	if c.options.Progress != nil {
		c.options.Progress.Blob(manifest.Transfer{Blob: b, State: state, Sent: sent})
	}
}

// count counts what was read or removed.
func (c *Client) count(what manifest.Counted, n int) {
	if c.options.Progress != nil {
		c.options.Progress.Count(what, n)
	}
}

func (c *Client) note(format string, args ...any) {
	if c.options.Note != nil {
		c.options.Note(format, args...)
	}
}

func (c *Client) warn(format string, args ...any) {
	if c.options.Warn != nil {
		c.options.Warn(format, args...)
	}
}
