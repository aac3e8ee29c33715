package registry

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// listing is a listing that a registry sends in pages.
type listing struct {
	request
	// size is how many names to request per page, 0 for as many as the registry chooses.
	size int
	// byName says that the names after any other can be requested.
	byName bool
	limit  limit
	// read reads a page and returns the names in it. Pages may repeat names.
	read func(page) ([]string, error)
}

// limit bounds a listing, far above what real ones have: in bytes of a page, in total bytes, and in names.
type limit struct{ page, bytes, names int }

// limitReferrers is lower, since descriptors are kept in memory while other such listings are read.
var (
	limitNames     = limit{16 << 20, 64 << 20, maxNames}
	limitManifests = limit{16 << 20, 256 << 20, maxNames}
	limitReferrers = limit{4 << 20, 8 << 20, manifest.MaxEntries}
)

const (
	maxNames = 500_000
	// maxManifests bounds the manifests in a page.
	maxManifests = 100_000
	maxPages     = 10_000
	// minTime is how long a listing may take, besides pauses, and timePerName for each name more, maxTime in any case.
	minTime     = 2 * time.Minute
	timePerName = 10 * time.Millisecond
	maxTime     = 20 * time.Minute
)

// page is a part of a listing.
type page struct {
	body []byte
	// mediaType is that of the body, without parameters.
	mediaType string
	// next is the URL of the following page, nil if the registry names none.
	next *url.URL
}

// paging is the state of a listing that is being read.
type paging struct {
	listing
	h *host
	// last is the name after which a page was requested that the registry did not announce.
	last string
	// paged says that such a page had new names.
	paged bool
	// smallest is the number of names of the smallest page that had some.
	smallest int
	// seen has hashes of the URLs and of the names of pages.
	seen map[uint64]bool
	// refused says that the registry refused the number of names.
	refused bool
	// pages, bytes and names are what was read.
	pages, bytes, names int
	// spent is how long that took, without pauses before requests were sent again.
	spent time.Duration
}

// list reads l to its end. A registry may truncate a page without naming the next: a full page is followed by a request
// for the names after its last one, until there are no new ones, or the registry knows no such request.
func (h *host) list(ctx context.Context, l listing) error {
	g := &paging{listing: l, h: h, seen: map[uint64]bool{}}
	g.after("")
	for {
		p, err := g.page(ctx)
		if g.last != "" && !g.paged && isUnknownRequest(err) {
			return nil
		}
		if g.pages > 0 && (errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err)) { // what is listed exists
			err = manifest.Errorf(errdefs.ErrUnavailable, "page %d of the listing is missing: %v", g.pages+1, err)
		}
		if err != nil {
			return err
		}
		names, err := l.read(p)
		h.client.count(manifest.CountedNames, len(names))
		isNew := g.isNew(names...)
		if err == nil && (isNew || p.next != nil) {
			err = g.count(p, names)
		}
		if err != nil {
			return err
		}
		if more, err := g.next(p, names, isNew); err != nil || !more {
			return err
		}
	}
}

// isUnknownRequest reports whether a registry does not know a request.
func isUnknownRequest(err error) bool {
	status := refusalOf(err).Status
	return status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}

// count adds a page to what was read. The error is that of a listing that exceeds its limit.
func (g *paging) count(p page, names []string) error {
	g.pages++
	g.bytes += len(p.body)
	g.names += len(names)
	switch {
	case g.bytes > g.limit.bytes:
		return g.tooLong("larger than %d MiB", g.limit.bytes>>20)
	case g.names > g.limit.names:
		return g.tooLong("more than %d names", g.limit.names)
	case g.pages > maxPages:
		return g.tooLong("more than %d pages", maxPages)
	}
	return nil
}

// tooLong returns the error for a listing that reaches a limit.
func (g *paging) tooLong(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: listing the %s: %s", g.h.name, g.what, fmt.Sprintf(format, args...))
}

// next prepares the request for the page after p, if there is or may be one.
func (g *paging) next(p page, names []string, isNew bool) (bool, error) {
	full := g.last != "" || len(names) >= g.size || g.smallest > 0 && len(names) >= g.smallest
	if len(names) > 0 && (g.smallest == 0 || len(names) < g.smallest) {
		g.smallest = len(names)
	}
	g.paged = g.paged || g.last != "" && isNew
	if p.next != nil {
		if !g.isNew(p.next.String()) {
			return false, g.tooLong("it does not end: page %d is followed by an earlier one", g.pages)
		}
		g.target, g.last = p.next, ""
		return true, nil
	}
	if !g.byName || !full || !isNew || len(names) == 0 {
		return false, nil
	}
	g.after(names[len(names)-1])
	return true, nil
}

// after prepares the request for the names after last, "" for the first ones.
func (g *paging) after(last string) {
	g.target, g.last, g.query = nil, last, url.Values{}
	if g.size > 0 {
		g.query.Set("n", strconv.Itoa(g.size))
	}
	if last != "" {
		g.query.Set("last", last)
	}
}

// isNew reports whether one of these names, or this URL, was not seen before, and remembers them.
func (g *paging) isNew(names ...string) (isNew bool) {
	for _, name := range names {
		sum := maphash.String(hashSeed, name)
		isNew = isNew || !g.seen[sum]
		g.seen[sum] = true
	}
	return isNew
}

var hashSeed = maphash.MakeSeed()

// late returns an error if the listing has taken too long; page is how long the current page has taken.
func (g *paging) late(page time.Duration) error {
	allowed := min(minTime+time.Duration(g.names)*timePerName, maxTime)
	if g.spent+page <= allowed {
		return nil
	}
	return g.tooLong("longer than %s for %d names in %d pages", allowed.Round(time.Second), g.names, g.pages)
}

// page requests one page. A registry that refuses the number of names is asked again without one.
func (g *paging) page(ctx context.Context) (page, error) {
	p, err := g.get(ctx)
	if refusalOf(err).Status != http.StatusBadRequest || g.refused {
		return p, err
	}
	g.refused, g.size = true, 0
	return g.get(ctx)
}

// get sends the request for a page.
func (g *paging) get(ctx context.Context) (p page, err error) {
	var started atomic.Int64
	now := g.h.client.budget.Now
	started.Store(now().UnixNano()) // a place outside of registries needs no connection
	took := func() time.Duration { return now().Sub(time.Unix(0, started.Load())) }
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) { started.Store(now().UnixNano()) }})
	r := g.request
	if g.refused {
		r.query.Del("n")
		if r.target != nil {
			query := r.target.Query()
			query.Del("n")
			r.target.RawQuery = query.Encode()
		}
	}
	r.send.Read = func(resp *http.Response) (err error) {
		resp.Body = checkedBody{resp.Body, func() error { return g.late(took()) }}
		p.body, err = readAll(resp, int64(g.limit.page))
		if late := g.late(took()); late != nil {
			return late
		}
		if errdefs.IsInvalidArgument(err) {
			return g.tooLong("a page is %v", err)
		}
		if err != nil {
			return err
		}
		g.spent += took()
		p.mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
		p.next, err = g.h.next(resp, r.what)
		return err
	}
	_, err = repository{host: g.h}.do(ctx, r)
	return p, err
}

// checkedBody is a body that is read only as long as check returns nil.
type checkedBody struct {
	io.ReadCloser
	check func() error
}

func (b checkedBody) Read(p []byte) (int, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

// next returns the URL of the page of what after resp, nil if resp names none. It is on the registry itself: a listing
// never leads elsewhere. A registry behind a proxy may not know that it is reached by HTTPS: the scheme stays the same.
func (h *host) next(resp *http.Response, what string) (*url.URL, error) {
	links := resp.Header.Values("Link")
	target, ok, err := nextLink(links)
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the %s may have another page, since the Link header %q %w",
			h.name, what, manifest.OneLine(redact(linkQuery().ReplaceAllString(strings.Join(links, ", "), "?..."), nil), maxMessage), err)
	}
	if !ok {
		return nil, nil
	}
	u, err := resp.Request.URL.Parse(target)
	if err == nil && strings.EqualFold(u.Host, h.Host) {
		u.Scheme = h.server.Endpoint().Scheme
	}
	if err != nil || !h.server.Owns(u) {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the next page of the %s is at %q, which is not on the registry",
			h.name, what, manifest.OneLine(redact(target, nil), maxMessage))
	}
	u.User = nil
	return u, nil
}

// linkQuery is the query of a link, which may hold a token.
var linkQuery = lazyregexp.New(`\?[^>\s]*`)

// nextLink returns the target of the link with the relation "next" in the values of Link headers, by
// https://www.rfc-editor.org/rfc/rfc8288#section-3. The error is for other links, whose relation is not known.
func nextLink(values []string) (target string, ok bool, err error) {
	for _, value := range values {
		for strings.Trim(value, ", \t") != "" {
			_, after, open := strings.Cut(value, "<")
			target, parameters, closed := strings.Cut(after, ">")
			if !open || !closed {
				err = errors.New("has no target")
				break
			}
			relation, rest := linkRelation(parameters)
			for word := range strings.FieldsSeq(relation) {
				if strings.EqualFold(word, "next") {
					return target, true, nil
				}
			}
			if relation == "" {
				err = errors.New("has no relation")
			}
			value = rest
		}
	}
	return "", false, err
}

// linkParameter is a parameter of a link: a name, and a value that may be quoted.
var linkParameter = lazyregexp.New(`(?s)^[ \t]*;([^=;,]*)(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)\\?"?|([^;,]*)))?`)

// escaped is a character in a quoted string.
var escaped = lazyregexp.New(`(?s)\\(.)`)

// linkRelation returns the first "rel" among the parameters of a link, and what follows the link.
func linkRelation(parameters string) (relation, rest string) {
	found := false
	for {
		m := linkParameter().FindStringSubmatch(parameters)
		if m == nil {
			return relation, parameters
		}
		parameters = parameters[len(m[0]):]
		if !found && strings.EqualFold(strings.TrimSpace(m[1]), "rel") {
			relation, found = escaped().ReplaceAllString(m[2], "$1")+strings.TrimSpace(m[3]), true
		}
	}
}
