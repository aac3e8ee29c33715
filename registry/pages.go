package registry

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// page is a part of a listing.
type page struct {
	body []byte
	// mediaType is that of the body, without parameters.
	mediaType string
	// next is the URL of the following page, nil on the last one.
	next *url.URL
}

// pages sends r, and then requests the pages that follow, as long as the registry names one; read is called for each
// in turn.
func (h *host) pages(ctx context.Context, r request, read func(page) error) error {
	seen := map[string]bool{}
	left := maxListing
	for {
		p, err := h.page(ctx, r)
		if err != nil {
			return err
		}
		if left -= len(p.body); left < 0 {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the %s is larger than %d MiB", h.name, r.what, maxListing>>20)
		}
		if err := read(p); err != nil || p.next == nil {
			return err
		}
		if seen[p.next.String()] || len(seen) == maxPages {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the %s does not end: page %d is followed by an earlier one, or by too many",
				h.name, r.what, len(seen)+1)
		}
		seen[p.next.String()] = true
		r.target = p.next
	}
}

// page requests one page.
func (h *host) page(ctx context.Context, r request) (p page, err error) {
	r.read = func(resp *http.Response) (err error) {
		if p.body, err = readAll(resp, maxPage); err != nil {
			return err
		}
		p.mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
		p.next, err = h.next(resp)
		return err
	}
	_, err = repository{host: h}.do(ctx, r)
	return p, err
}

// next returns the URL of the page after resp, nil for the last page. It is on the registry itself: a listing never
// leads elsewhere. A registry behind a proxy may not know that it is reached by HTTPS: the scheme stays the same.
func (h *host) next(resp *http.Response) (*url.URL, error) {
	target, ok := nextLink(resp.Header.Values("Link"))
	if !ok {
		return nil, nil
	}
	u, err := resp.Request.URL.Parse(target)
	if err == nil && u.Host == h.Host {
		u.Scheme = h.server.Endpoint().Scheme
	}
	if err != nil || !h.server.Owns(u) {
		return nil, manifest.Errorf(errdefs.ErrInvalidArgument, "%s: the next page of the listing is at %q, which is not on the registry",
			h.name, manifest.OneLine(redact(target, nil), maxMessage))
	}
	u.User = nil
	return u, nil
}

// nextLink returns the target of the link with the relation "next" in the values of Link headers, by
// https://www.rfc-editor.org/rfc/rfc8288#section-3.
func nextLink(values []string) (string, bool) {
	for _, value := range values {
		for {
			_, after, ok := strings.Cut(value, "<")
			target, parameters, closed := strings.Cut(after, ">")
			if !ok || !closed {
				break
			}
			relation, rest := linkRelation(parameters)
			for word := range strings.FieldsSeq(relation) {
				if strings.EqualFold(word, "next") {
					return target, true
				}
			}
			value = rest
		}
	}
	return "", false
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
