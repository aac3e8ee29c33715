package transport

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// Guest answers the challenges of other registries that a registry redirects to: it requests a token to pull from that
// repository there without any credential. Only requests that read a manifest or blob get one.
type Guest struct {
	// Next sends all requests but those with a token, which Bare sends, without a client certificate.
	Next, Bare RoundTripper
	Server     *Server
	// Tokens requests tokens without a client certificate, too.
	Tokens *Tokens

	// challenges are the last ones, by server and repository.
	challenges sync.Map
}

// RoundTrip sends r, and after a challenge of another registry once more with a token.
func (g *Guest) RoundTrip(r Request) (*http.Response, error) {
	repo := contentPath().FindStringSubmatch(r.URL.Path)
	if !r.redirected || g.Server.Owns(r.URL) || repo == nil || !r.reads() {
		return g.Next.RoundTrip(r)
	}
	key := r.URL.Scheme + "://" + r.URL.Host + "/" + repo[1]
	last, _ := g.challenges.Load(key)
	challenge, _ := last.(*Challenge)
	resp, sent, err := g.send(r, challenge, repo[1])
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	challenge = choose(ParseChallenges(resp.Header))
	if challenge == nil || challenge.Scheme != "bearer" || challenge.Parameters["realm"] == "" {
		return resp, nil
	}
	g.Tokens.drop(sent)
	g.challenges.Store(key, challenge)
	Discard(resp)
	resp, _, err = g.send(r, challenge, repo[1])
	return resp, err
}

// contentPath is the path of a manifest or blob, and the repository in it.
var contentPath = lazyregexp.New(`^/v2/(.+)/(?:manifests|blobs)/[^/]+$`)

// send sends r with a token if there is a challenge, and returns the token.
func (g *Guest) send(r Request, challenge *Challenge, repo string) (resp *http.Response, token string, err error) {
	if challenge == nil {
		resp, err = g.Next.RoundTrip(r)
		return resp, "", err
	}
	other := &Server{
		Name: r.URL.Host, Host: r.URL.Host, Insecure: g.Server.Insecure, InsecureHost: g.Server.InsecureHost, Lookup: g.Server.Lookup,
	}
	other.SetEndpoint(Endpoint{Scheme: r.URL.Scheme})
	realm, err := url.Parse(challenge.Parameters["realm"])
	if err == nil {
		err = g.Server.CheckAddress(r.Context(), realm, "token service")
	}
	if err == nil {
		token, err = g.Tokens.get(r.Context(), other, Credential{}, *challenge, []string{pullOnly(challenge, repo)})
	}
	if err != nil {
		return nil, "", &TokenError{err, r.URL.Host}
	}
	resp, err = g.Bare.RoundTrip(r.authorized("Bearer " + token))
	return resp, token, err
}

// pullOnly returns the scope to pull from the repository that a challenge names, or else from repo.
func pullOnly(challenge *Challenge, repo string) string {
	for s := range strings.FieldsSeq(challenge.Parameters["scope"]) {
		resource, actions := CutScope(s)
		if strings.HasPrefix(resource, "repository:") && slices.Contains(actions, "pull") {
			return resource + "pull"
		}
	}
	return "repository:" + repo + ":pull"
}
