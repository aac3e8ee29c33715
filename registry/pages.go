package registry

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// listing is a listing that a registry sends in pages.
type listing struct {
	request
	// size is how many names to request per page, 0 for as many as the registry chooses.
	size int
	// byName says that the names after any other can be requested.
	byName bool
	// read reads a page and returns the names in it. Pages may repeat names.
	read func(page) ([]string, error)
}

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
	// smallest is the number of names of the smallest page that had some.
	smallest int
	// seen has hashes of the URLs and of the names of pages.
	seen map[uint64]bool
	// refused says that the registry refused the number of names.
	refused bool
	// pages, bytes and names are what was read.
	pages, bytes, names int
}

// list reads l to its end. A registry may truncate a page without naming the next: a full page is followed by a request
// for the names after its last one, until there are no new ones.
func (h *host) list(ctx context.Context, l listing) error {
	g := &paging{listing: l, h: h, seen: map[uint64]bool{}}
	g.after("")
	for {
		p, err := g.page(ctx)
		if g.pages > 0 && (errdefs.IsNotFound(err) || errdefs.IsNotImplemented(err)) { // what is listed exists
			err = manifest.Errorf(errdefs.ErrUnavailable, "page %d of the listing is missing: %v", g.pages+1, err)
		}
		if err != nil {
			return err
		}
		names, err := l.read(p)
		if err == nil {
			err = g.count(p, names)
		}
		if err != nil {
			return err
		}
		if more, err := g.next(p, names); err != nil || !more {
			return err
		}
	}
}

// count counts what was read.
func (g *paging) count(p page, names []string) error {
	g.pages++
	g.bytes += len(p.body)
	g.names += len(names)
	switch {
	case g.bytes > maxListing:
		return g.tooLong("is larger than %d MiB", maxListing>>20)
	case g.names > maxNames:
		return g.tooLong("has more than %d names", maxNames)
	case g.pages == maxPages && p.next != nil:
		return g.tooLong("has more than %d pages", maxPages)
	}
	return nil
}

// tooLong returns the error for a listing that reaches a limit.
func (g *paging) tooLong(format string, args ...any) error {
	return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the %s %s", g.h.name, g.what, fmt.Sprintf(format, args...))
}

// next prepares the request for the page after p, if there is or may be one.
func (g *paging) next(p page, names []string) (bool, error) {
	full := g.last != "" || len(names) >= g.size || g.smallest > 0 && len(names) >= g.smallest
	if len(names) > 0 && (g.smallest == 0 || len(names) < g.smallest) {
		g.smallest = len(names)
	}
	isNew := g.isNew(names...)
	if p.next != nil {
		if !g.isNew(p.next.String()) {
			return false, g.tooLong("does not end: page %d is followed by an earlier one", g.pages)
		}
		g.target, g.last = p.next, ""
		if g.refused {
			g.target.RawQuery = withoutSize(p.next.Query()).Encode()
		}
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

// isNew reports whether this was not seen before.
func (g *paging) isNew(names ...string) bool {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	for _, name := range names {
		_, _ = h.WriteString(name)
		_ = h.WriteByte(0)
	}
	sum := h.Sum64()
	known := g.seen[sum]
	g.seen[sum] = true
	return !known
}

var hashSeed = maphash.MakeSeed()

// page requests one page. A registry that refuses the number of names is asked again without one.
func (g *paging) page(ctx context.Context) (page, error) {
	p, err := g.h.page(ctx, g.request)
	var answer *Error
	if !errors.As(err, &answer) || answer.Status != http.StatusBadRequest || g.refused {
		return p, err
	}
	g.refused, g.size = true, 0
	if g.target == nil {
		g.query = withoutSize(g.query)
	} else {
		g.target.RawQuery = withoutSize(g.target.Query()).Encode()
	}
	return g.h.page(ctx, g.request)
}

func withoutSize(query url.Values) url.Values {
	query.Del("n")
	return query
}

// page requests one page.
func (h *host) page(ctx context.Context, r request) (p page, err error) {
	r.read = func(resp *http.Response) (err error) {
		if p.body, err = readAll(resp, maxPage); err != nil {
			return err
		}
		p.mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
		p.next, err = h.next(resp, r.what)
		return err
	}
	_, err = repository{host: h}.do(ctx, r)
	return p, err
}

// next returns the URL of the page of what after resp, nil if resp names none. It is on the registry itself: a listing
// never leads elsewhere. A registry behind a proxy may not know that it is reached by HTTPS: the scheme stays the same.
func (h *host) next(resp *http.Response, what string) (*url.URL, error) {
	links := resp.Header.Values("Link")
	target, ok, err := nextLink(links)
	if err != nil {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the %s may have another page, since the Link header %q %w",
			h.name, what, manifest.OneLine(redact(linkQuery.ReplaceAllString(strings.Join(links, ", "), "?..."), nil), maxMessage), err)
	}
	if !ok {
		return nil, nil
	}
	u, err := resp.Request.URL.Parse(target)
	if err == nil && u.Host == h.Host {
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
var linkQuery = regexp.MustCompile(`\?[^>\s]*`)

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

// linkRelation returns the first "rel" among the parameters of a link, and what follows the link.
func linkRelation(parameters string) (relation, rest string) {
	found := false
	for {
		parameters = strings.TrimLeft(parameters, " \t")
		if !strings.HasPrefix(parameters, ";") {
			return relation, parameters
		}
		var name, value string
		name, value, parameters = linkParameter(parameters[1:])
		if !found && strings.EqualFold(name, "rel") {
			relation, found = value, true
		}
	}
}

// linkParameter cuts NAME, or NAME=VALUE with a value that may be quoted, off the start of s.
func linkParameter(s string) (name, value, rest string) {
	end := strings.IndexAny(s, "=;,")
	if end < 0 || s[end] != '=' {
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), "", s[end:]
	}
	name, s = strings.TrimSpace(s[:end]), strings.TrimLeft(s[end+1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		end = strings.IndexAny(s, ";,")
		if end < 0 {
			end = len(s)
		}
		return name, strings.TrimSpace(s[:end]), s[end:]
	}
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return name, out.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		out.WriteByte(s[i])
	}
	return name, out.String(), ""
}
