package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Names that are not tags are skipped with one bounded warning, and returned beside the tags.
func TestNamesThatAreNotTags(t *testing.T) {
	long := "sha256:" + strings.Repeat("x", 300)
	invalid := []string{sha("a").String(), "", "../b\x1b[31m", long, "-"}
	for i := range 20 {
		invalid = append(invalid, fmt.Sprintf("+%d", i))
	}
	n, f := newNetwork(t), newFake()
	n.plain("a.example.com:80", f)
	n.plain("demo.azurecr.io:80", f)
	f.before = func(w http.ResponseWriter, _ *http.Request) bool {
		names := append([]string{"1"}, append(slices.Clone(invalid), "2")...)
		_ = json.NewEncoder(w).Encode(map[string]any{"tags": names, "manifests": []any{map[string]any{"digest": sha("b"), "tags": names}}})
		return true
	}
	var warnings []string
	c := n.client(Options{Insecure: true, Warn: func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }})
	for range 2 {
		tags, others, err := c.Tags(t.Context(), parse(t, "a.example.com/app"))
		if err != nil || !slices.Equal(tags, []string{"1", "2"}) || !slices.Equal(others, invalid) {
			t.Errorf("got tags %q, others %q, error %v, want 1, 2, and %q", tags, others, err, invalid)
		}
		listed, err := c.Inventory(t.Context(), parse(t, "demo.azurecr.io/app"))
		if err != nil || len(listed) != 1 || !slices.Equal(listed[0].Tags, []string{"1", "2"}) || !slices.Equal(listed[0].Others, invalid) {
			t.Errorf("got %+v, error %v, want tags 1, 2, and others %q", listed, err, invalid)
		}
	}
	if len(warnings) != 2 {
		t.Fatalf("got warnings %q, want one for each repository", warnings)
	}
	for _, w := range warnings {
		if !strings.Contains(w, `app that are not tags; skipped: "`+sha("a").String()+`", "", "../b\`) || !strings.HasSuffix(w, `and 15 more`) || len(w) > 600 || strings.Contains(w, "\x1b") {
			t.Errorf("got warning %q, want the first names, escaped", w)
		}
	}
}

// inPages serves names in pages of two, as key has them in JSON, and says where the next one is as link
// does.
func inPages(key string, names []string, link func(path, last string) string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		from := 0
		if last := r.URL.Query().Get("last"); last != "" {
			from = slices.Index(names, last) + 1
		}
		to := min(from+2, len(names))
		if to < len(names) && link != nil {
			w.Header().Set("Link", link(r.URL.Path, names[to-1]))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "app", key: names[from:to]})
		return true
	}
}

func TestTags(t *testing.T) {
	five := []string{"1", "1.0", "latest", "v2", "z"}
	for name, tt := range map[string]struct {
		link    func(path, last string) string
		want    []string
		problem string
	}{
		"one page":    {nil, five[:2], ""},
		"relative":    {func(p, last string) string { return `<` + p + `?n=2&last=` + last + `>; rel="next"` }, five, ""},
		"absolute":    {func(p, last string) string { return `<https://a.example.com` + p + `?last=` + last + `>;rel=next` }, five, ""},
		"plain HTTP":  {func(p, last string) string { return `<http://a.example.com` + p + `?last=` + last + `>; rel="next"` }, five, ""},
		"query alone": {func(_, last string) string { return `<?last=` + last + `>; title="a,>b"; rel="last next"` }, five, ""},
		"not the first": {func(p, last string) string {
			return `</first>; rel="first", <` + p + `?last=` + last + `>; rel="next"`
		}, five, ""},
		"last":       {func(string, string) string { return `</v2/app/tags/list>; rel="last"` }, five[:2], ""},
		"open quote": {func(string, string) string { return `</v2/app/tags/list>; rel=last; title="x\` }, five[:2], ""},
		"elsewhere":  {func(p, _ string) string { return `<https://evil.example.com` + p + `>; rel="next"` }, nil, "evil.example.com"},
		"other port": {func(p, _ string) string { return `<https://a.example.com:8443` + p + `>; rel="next"` }, nil, "not on the registry"},
		"circle":     {func(p, _ string) string { return `<` + p + `?last=1>; rel="next"` }, nil, "does not end"},
		"no URL":     {func(string, string) string { return "<%zz>; rel=next" }, nil, "not on the registry"},
		"no relation": {func(p, last string) string { return `<` + p + `?last=` + last + `>` }, nil,
			`the tags of a.example.com/app may have another page, since the Link header "</v2/app/tags/list?...>" has no relation`},
		"no relation in one":  {func(string, string) string { return `</a>; rel=prev, </b>; title=next` }, nil, "has no relation"},
		"no target":           {func(p, last string) string { return p + `?last=` + last }, nil, "has no target"},
		"no end":              {func(string, string) string { return `</a>; rel=prev, </b` }, nil, "has no target"},
		"no relation at last": {func(p, last string) string { return `</a>, <` + p + `?last=` + last + `>; rel=next,` }, five, ""},
		"empty":               {func(string, string) string { return ` , ` }, five[:2], ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.before = inPages("tags", five, tt.link)
			got, _, err := n.client(Options{}).Tags(t.Context(), parse(t, "a.example.com/app"))
			if tt.problem != "" {
				wantError(t, err, errdefs.ErrInvalidArgument, "a.example.com", tt.problem)
				return
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v", got, err)
			}
			if first := f.requests()[0]; first != "GET /v2/app/tags/list?n=1000" {
				t.Errorf("got first request %q, want that of 1000 tags", first)
			}
		})
	}
}

// bounded serves names after "last", at most limit and "n" per page and without a Link; "n" above the limit is refused.
type bounded struct {
	names                                 []string
	limit                                 int
	inclusive, ignoreLast, refuses, links bool
}

func (b bounded) serve(w http.ResponseWriter, r *http.Request) bool {
	query, n := r.URL.Query(), b.limit
	if query.Has("n") {
		n, _ = strconv.Atoi(query.Get("n"))
		if n > b.limit && b.refuses {
			refuse(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
			return true
		}
		n = min(n, b.limit)
	}
	from := 0
	if last := slices.Index(b.names, query.Get("last")); last >= 0 && !b.ignoreLast {
		from = last + 1
		if b.inclusive {
			from--
		}
	}
	to := min(from+n, len(b.names))
	if b.links && to < len(b.names) { // as distribution does, with a number that it refuses itself
		w.Header().Set("Link", fmt.Sprintf(`<%s?last=%s&n=2000>; rel="next"`, r.URL.Path, b.names[to-1]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"tags": b.names[from:to], "repositories": b.names[from:to]})
	return true
}

// A registry may truncate a listing without a Link. What it lists is requested until there is nothing new.
func TestListingWithoutLinks(t *testing.T) {
	var many []string
	for i := range 2003 {
		many = append(many, fmt.Sprintf("t%04d", i))
	}
	const asked = "n=1000"
	for name, tt := range map[string]struct {
		registry bounded
		want     int
		requests []string
	}{
		"less than a page": {bounded{names: many[:999], limit: 1000}, 999, []string{asked}},
		"full page":        {bounded{names: many[:1000], limit: 1000}, 1000, []string{asked, "last=t0999&" + asked}},
		"pages":            {bounded{names: many, limit: 1000}, 2003, []string{asked, "last=t0999&" + asked, "last=t1999&" + asked, "last=t2002&" + asked}},
		"last is repeated": {bounded{names: many, limit: 1000, inclusive: true}, 2003,
			[]string{asked, "last=t0999&" + asked, "last=t1998&" + asked, "last=t2002&" + asked}},
		"last is ignored":       {bounded{names: many, limit: 1000, ignoreLast: true}, 1000, []string{asked, "last=t0999&" + asked}},
		"all at once":           {bounded{names: many, limit: 5000, ignoreLast: true}, 1000, []string{asked, "last=t0999&" + asked}},
		"n is refused":          {bounded{names: many[:5], limit: 2, refuses: true}, 5, []string{asked, "", "last=t0001", "last=t0003", "last=t0004"}},
		"n is refused, links":   {bounded{names: many[:5], limit: 2, refuses: true, links: true}, 5, []string{asked, "", "last=t0001", "last=t0003", "last=t0004"}},
		"n of links is refused": {bounded{names: many[:2001], limit: 1000, refuses: true, links: true}, 2001, []string{asked, "last=t0999&n=2000", "last=t0999", "last=t1999", "last=t2000"}},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.before = tt.registry.serve
			c := n.client(Options{})
			tags, _, err := c.Tags(t.Context(), parse(t, "a.example.com/app"))
			if err != nil || !slices.Equal(tags, tt.registry.names[:tt.want]) {
				t.Errorf("got %d tags, error %v, want %d", len(tags), err, tt.want)
			}
			var got []string
			for _, r := range f.requests() {
				_, query, _ := strings.Cut(r, "?")
				got = append(got, query)
			}
			if !slices.Equal(got, tt.requests) {
				t.Errorf("got requests %q, want %q", got, tt.requests)
			}
			repositories, err := c.Repositories(t.Context(), "a.example.com")
			if err != nil || !slices.Equal(repositories, tt.registry.names[:tt.want]) {
				t.Errorf("got %d repositories, error %v, want %d", len(repositories), err, tt.want)
			}
		})
	}
}

// A page that is missing is neither the end of the listing nor a missing repository.
func TestPageIsMissing(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.plain("a.example.com:80", f)
	n.plain("demo.azurecr.io:80", f)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("last") {
			w.Header().Set("Link", `<?last=a>; rel="next"`)
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			_, _ = w.Write([]byte(`{"tags":["a"],"repositories":["a"],"manifests":[]}`))
		}
		return !r.URL.Query().Has("last")
	}
	c := n.client(Options{Insecure: true})
	const words = "page 2 of the listing is missing"
	_, _, err := c.Tags(t.Context(), parse(t, "a.example.com/app"))
	wantError(t, err, errdefs.ErrUnavailable, words)
	_, err = c.Repositories(t.Context(), "a.example.com")
	wantError(t, err, errdefs.ErrUnavailable, words)
	_, err = c.Referrers(t.Context(), parse(t, "a.example.com/app@"+sha("a").String()).(reference.Canonical))
	wantError(t, err, errdefs.ErrUnavailable, words)
	_, err = c.Inventory(t.Context(), parse(t, "demo.azurecr.io/app"))
	wantError(t, err, errdefs.ErrUnavailable, words)
}

// What is refused without a number of names is an error, also for a later page that the registry names.
func TestListingRefused(t *testing.T) {
	for name, refused := range map[string]func(url.Values) bool{
		"always": func(url.Values) bool { return true },
		"next":   func(query url.Values) bool { return query.Has("next") },
	} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if refused(r.URL.Query()) {
				refuse(w, http.StatusBadRequest, "UNSUPPORTED", "no paging")
				return true
			}
			w.Header().Set("Link", `<?next=a>; rel="next"`)
			_ = json.NewEncoder(w).Encode(map[string]any{"tags": slices.Repeat([]string{"a"}, pageSize)})
			return true
		}
		got, _, err := n.client(Options{}).Tags(t.Context(), parse(t, "a.example.com/app"))
		if wantError(t, err, errdefs.ErrInvalidArgument, "no paging"); got != nil {
			t.Errorf("%s: got tags %q, want none", name, got)
		}
	}
}

// A registry may not know the requests for the page after one without a Link, or ignore their parameters: then it has
// listed everything. Other failures of these requests are errors.
func TestListingInOnePage(t *testing.T) {
	var many []string
	for i := range 1500 {
		many = append(many, fmt.Sprintf("t%04d", i))
	}
	refuses := func(parameter string, status int) func(url.Values) int {
		return func(query url.Values) int {
			if query.Has(parameter) {
				return status
			}
			return 0
		}
	}
	for name, tt := range map[string]struct {
		names    []string
		refusal  func(url.Values) int
		requests int
		kind     error
	}{
		"last is invalid":     {many, refuses("last", 400), 3, nil},
		"last is not found":   {many, refuses("last", 404), 2, nil},
		"last is not allowed": {many, refuses("last", 405), 2, nil},
		"no query is known":   {many[:2], func(query url.Values) int { return 400 * min(len(query), 1) }, 3, nil},
		"in no order":         {many, refuses("", 0), 2, nil},
		"last is forbidden":   {many, refuses("last", 403), 2, errdefs.ErrPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			random := rand.New(rand.NewPCG(1, 2))
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if status := tt.refusal(r.URL.Query()); status != 0 {
					w.WriteHeader(status)
					return true
				}
				names := slices.Clone(tt.names)
				random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
				_ = json.NewEncoder(w).Encode(map[string]any{"tags": names})
				return true
			}
			got, _, err := n.client(Options{}).Tags(t.Context(), parse(t, "a.example.com/app"))
			checkKind(t, err, tt.kind)
			if slices.Sort(got); tt.kind == nil && !slices.Equal(got, tt.names) {
				t.Errorf("got %d tags, want %d", len(got), len(tt.names))
			}
			if got := f.requests(); len(got) != tt.requests {
				t.Errorf("got requests %q, want %d", got, tt.requests)
			}
		})
	}
}

// A registry that has listed the names after another one knows such requests: one that it refuses is a missing page.
func TestPageWithoutLinkIsMissing(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	var names []string
	for i := range 3 * pageSize {
		names = append(names, fmt.Sprintf("t%04d", i))
	}
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("last") == names[2*pageSize-1] {
			refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "not now")
			return true
		}
		return bounded{names: names, limit: pageSize}.serve(w, r)
	}
	_, _, err := n.client(Options{}).Tags(t.Context(), parse(t, "a.example.com/app"))
	wantError(t, err, errdefs.ErrUnavailable, "page 3 of the listing is missing")
}

func TestTagsCannotBeRead(t *testing.T) {
	for body, problem := range map[string]string{
		`{"tags":{}}`: "tags of a.example.com/app",
		`<html>`:      "cannot be read",
		`{"tags":["` + strings.Repeat("x", limitNames.page) + `"]}`: "larger than 16 MiB",
	} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		f.before = func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(body))
			return true
		}
		_, _, err := n.client(Options{}).Tags(t.Context(), parse(t, "a.example.com/app"))
		wantError(t, err, errdefs.ErrInvalidArgument, strings.ReplaceAll(problem, `\"`, `"`))
	}
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	if _, _, err := n.client(Options{}).Tags(t.Context(), parse(t, "a.example.com/app")); !errdefs.IsNotFound(err) {
		t.Errorf("no repository: got error %v, want %v", err, errdefs.ErrNotFound)
	}
}

// The catalog is asked for with a scope of its own, and no page of it is left out.
func TestRepositories(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("a.example.com:443", f)
	n.secure("auth.example.com:443", service)
	all := []string{"app", "team/app", "team/other"}
	pages := inPages("repositories", all, func(p, last string) string { return `<` + p + `?last=` + url.QueryEscape(last) + `>; rel="next"` })
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.Header.Get("Authorization"), catalogScope) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example.com/token",service="registry",scope="registry:catalog:*"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return pages(w, r)
	}
	got, err := n.client(Options{}).Repositories(t.Context(), "a.example.com")
	if err != nil || !slices.Equal(got, all) {
		t.Errorf("got %q, %v", got, err)
	}
	if want := []string{"GET /v2/_catalog?n=1000", "GET /v2/_catalog?n=1000", "GET /v2/_catalog?last=team%2Fapp"}; !slices.Equal(f.requests(), want) {
		t.Errorf("got requests %q, want %q", f.requests(), want)
	}
}

func TestReferrers(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	signature := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("s"), Size: 3, ArtifactType: "application/x-signature"}
	index, err := json.Marshal(ocispec.Index{Manifests: []ocispec.Descriptor{signature}})
	if err != nil {
		t.Fatal(err)
	}
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v2/app/referrers/"):
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			if !r.URL.Query().Has("page") {
				w.Header().Set("Link", `<?page=2>; rel="next"`)
			}
			_, _ = w.Write(index)
		case strings.HasPrefix(r.URL.Path, "/v2/page/referrers/"):
			fmt.Fprint(w, "<html>not found")
		default:
			return false
		}
		return true
	}
	c := n.client(Options{})
	at := func(repo string) reference.Canonical {
		return parse(t, "a.example.com/"+repo+"@"+digest.FromString("subject").String()).(reference.Canonical)
	}
	got, err := c.Referrers(t.Context(), at("app"))
	if err != nil || len(got) != 2 || got[1].ArtifactType != signature.ArtifactType {
		t.Errorf("got %v, %v", got, err)
	}
	for _, repo := range []string{"page", "none"} { // asked once
		for range 2 {
			if _, err := c.Referrers(t.Context(), at(repo)); !errdefs.IsNotImplemented(err) {
				t.Errorf("%s: got error %v, want %v", repo, err, errdefs.ErrNotImplemented)
			}
		}
		if got := f.count("GET /v2/" + repo + "/referrers"); got != 1 {
			t.Errorf("%s: got %d requests, want 1", repo, got)
		}
	}
}

func FuzzLink(f *testing.F) {
	for _, seed := range []string{
		`</v2/app/tags/list?last=b&n=2>; rel="next"`, `<a>; rel=prev, <b>;title="x\"y, <z>";rel="last next"`, `<a>;rel`, `<`, `<>;;rel=next`, `<a>; rel="next`,
	} {
		f.Add(seed)
	}
	base, err := url.Parse("https://a.example.com/v2/app/tags/list")
	if err != nil {
		f.Fatal(err)
	}
	h := New(Options{}).host("a.example.com")
	f.Fuzz(func(t *testing.T, value string) {
		target, ok, err := nextLink([]string{value})
		if !ok {
			if err == nil && strings.Trim(value, ", \t") != "" && !strings.Contains(strings.ToLower(value), "rel") {
				t.Fatalf("%q: got no error, want one for a link without a relation", value)
			}
			return
		}
		if !strings.Contains(value, "<"+target+">") || !strings.Contains(strings.ToLower(value), "next") {
			t.Fatalf("%q: got next link %q, want none", value, target)
		}
		resp := &http.Response{Request: &http.Request{URL: base}, Header: http.Header{"Link": {value}}}
		switch u, err := h.next(resp, "tags"); {
		case err != nil && !errdefs.IsInvalidArgument(err):
			t.Fatal(err)
		case err == nil && (u == nil || u.Scheme != "https" || u.Hostname() != "a.example.com" || transport.Port(u) != "443" || u.User != nil):
			t.Fatalf("%q: got URL %v, want one of the registry", value, u)
		}
	})
}

func TestDelete(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		code    string
		kind    error // of Delete, nil for success
		allowed error // of Deletes
	}{
		"deleted":     {http.StatusAccepted, "", nil, nil},
		"absent":      {http.StatusNotFound, "MANIFEST_UNKNOWN", errdefs.ErrNotFound, nil},
		"unsupported": {http.StatusMethodNotAllowed, "UNSUPPORTED", errdefs.ErrNotImplemented, errdefs.ErrNotImplemented},
		"by code":     {http.StatusBadRequest, "UNSUPPORTED", errdefs.ErrNotImplemented, errdefs.ErrNotImplemented},
		"locked":      {http.StatusConflict, "LOCKED", errdefs.ErrConflict, errdefs.ErrConflict},
		"forbidden":   {http.StatusForbidden, "DENIED", errdefs.ErrPermissionDenied, errdefs.ErrPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if tt.code == "" {
					w.WriteHeader(tt.status)
				} else {
					refuse(w, tt.status, tt.code, "no")
				}
				return true
			}
			c, d := n.client(Options{}), digest.FromString("x")
			at := parse(t, "a.example.com/app@"+d.String()).(reference.Canonical)
			checkKind(t, c.Delete(t.Context(), at), tt.kind)
			checkKind(t, c.Deletes(t.Context(), parse(t, "a.example.com/app:1")), tt.allowed)
			checkKind(t, c.Untags(t.Context(), parse(t, "a.example.com/app:1")), tt.allowed)
			got := f.requests()
			if got[0] != "DELETE /v2/app/manifests/"+d.String() || !strings.HasPrefix(got[1], "DELETE /v2/app/manifests/sha256:") ||
				got[1] == got[0] || !strings.HasPrefix(got[2], "DELETE /v2/app/manifests/absent-") {
				t.Errorf("got requests %q, want deletions of two random digests and a tag", got)
			}
		})
	}
}

func checkKind(t *testing.T, err, kind error) {
	t.Helper()
	if kind == nil && err != nil || kind != nil && !errors.Is(err, kind) {
		t.Errorf("got %v, not of kind %v", err, kind)
	}
}

func TestBlobs(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	b, repo := f.putBlob("app", []byte("layer")), parse(t, "a.example.com/app:1")
	absent := ocispec.Descriptor{Digest: digest.FromString("absent"), Size: 1}
	c := n.client(Options{})
	size, err := c.BlobSize(t.Context(), repo, b)
	if err != nil || size != b.Size || f.count("HEAD") != 1 || f.count("GET") != 0 {
		t.Errorf("got size %d, error %v after %q, want %d after one HEAD", size, err, f.requests(), b.Size)
	}
	if _, err := c.BlobSize(t.Context(), repo, absent); !errdefs.IsNotFound(err) {
		t.Error(err)
	}
	if _, err := c.OpenBlob(t.Context(), repo, absent); !errdefs.IsNotFound(err) {
		t.Error(err)
	}
	for _, status := range []int{200, 400, 403, 405, 406, 415, 501} { // a GET decides
		f.before = headAnswers(status)
		if size, err := c.BlobSize(t.Context(), repo, b); err != nil || size != b.Size {
			t.Errorf("HEAD answered %d: got size %d, error %v, want %d", status, size, err, b.Size)
		}
		if _, err := c.BlobSize(t.Context(), repo, absent); !errdefs.IsNotFound(err) {
			t.Errorf("HEAD answered %d: got error %v for an absent blob, want the kind %v", status, err, errdefs.ErrNotFound)
		}
	}
	for _, tt := range []struct {
		content string
		kind    error
	}{{"layer", nil}, {"lay_r", errdefs.ErrDataLoss}} {
		f.blobs["app|"+b.Digest.String()] = []byte(tt.content)
		_, err := readBlob(t, c, repo, b)
		checkKind(t, err, tt.kind)
	}
	if _, err := c.BlobSize(t.Context(), repo, ocispec.Descriptor{Digest: "sha256:x"}); !errdefs.IsInvalidArgument(err) {
		t.Error(err)
	}
}

// A store that a registry redirects to may not support HEAD: then the answer to a GET has the size.
func TestBlobSizeFromAStore(t *testing.T) {
	for name, tt := range map[string]struct {
		head, get int // what the store answers
		kind      error
	}{
		"signed for GET": {http.StatusForbidden, http.StatusOK, nil}, "no HEAD": {http.StatusMethodNotAllowed, http.StatusOK, nil},
		"absent": {http.StatusNotFound, http.StatusOK, errdefs.ErrNotFound}, "forbidden": {http.StatusForbidden, http.StatusForbidden, errdefs.ErrPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, store := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("store.example.com:443", store)
			b := store.putBlob("app", []byte("layer"))
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "https://store.example.com"+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			}
			store.before = func(w http.ResponseWriter, r *http.Request) bool {
				status := map[string]int{http.MethodHead: tt.head, http.MethodGet: tt.get}[r.Method]
				if status != http.StatusOK {
					w.WriteHeader(status)
				}
				return status != http.StatusOK
			}
			size, err := n.client(Options{}).BlobSize(t.Context(), parse(t, "a.example.com/app"), b)
			checkKind(t, err, tt.kind)
			if err == nil && size != b.Size || tt.head == http.StatusNotFound && store.count("GET") > 0 {
				t.Errorf("got size %d, error %v after %q, want %d", size, err, store.requests(), b.Size)
			}
		})
	}
	n, f := newNetwork(t), newFake() // what the registry itself forbids is forbidden
	n.secure("a.example.com:443", f)
	f.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	_, err := n.client(Options{}).BlobSize(t.Context(), parse(t, "a.example.com/app"), ocispec.Descriptor{Digest: digest.FromString("x")})
	checkKind(t, err, errdefs.ErrPermissionDenied)
	if got := f.count("GET"); got != 1 {
		t.Errorf("got %d GET requests, want 1", got)
	}
}

// A blob that is interrupted continues, also with one concurrent request, and releases the semaphore at its end.
func TestBlobGoesOnInItsRoom(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.plain("a.example.com:80", f)
	b, repo := f.putBlob("app", []byte("layer")), parse(t, "a.example.com/app:1")
	var broken atomic.Bool
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && broken.CompareAndSwap(false, true) {
			truncate(nil, w, r, f)
		}
		return false
	}
	c := n.client(Options{Jobs: 1, Insecure: true})
	for range 2 {
		if content, err := readBlob(t, c, repo, b); err != nil || content != "layer" {
			t.Errorf("got %q, error %v, want layer", content, err)
		}
	}
	if f.count("GET") != 4 { // truncate asks once itself
		t.Errorf("got requests %q, want 4 GET", f.requests())
	}
}

func readBlob(t *testing.T, c *Client, repo reference.Named, d ocispec.Descriptor) (string, error) {
	t.Helper()
	content, err := c.OpenBlob(t.Context(), repo, d)
	if err != nil {
		return "", err
	}
	defer content.Close()
	var out strings.Builder
	_, err = io.Copy(&out, content)
	return out.String(), err
}

// A registry that has no referrers API says so in many ways; an answer about the moment or the account is none of them.
func TestReferrersRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		redirect, status int
		kind             error
	}{
		"303 to a busy web site": {303, 429, errdefs.ErrNotImplemented},
		"303 to a web page":      {303, 200, errdefs.ErrNotImplemented},
		"302 to a web page":      {302, 200, errdefs.ErrNotImplemented},
		"400":                    {0, 400, errdefs.ErrNotImplemented},
		"404":                    {0, 404, errdefs.ErrNotImplemented},
		"405":                    {0, 405, errdefs.ErrNotImplemented},
		"406":                    {0, 406, errdefs.ErrNotImplemented},
		"501":                    {0, 501, errdefs.ErrNotImplemented},
		"403 of another host":    {307, 403, errdefs.ErrNotImplemented},
		"404 of another host":    {307, 404, errdefs.ErrNotImplemented},
		"busy other host":        {307, 429, errdefs.ErrUnavailable},
		"failing other host":     {307, 503, errdefs.ErrUnavailable},
		"401":                    {0, 401, errdefs.ErrUnauthenticated},
		"403":                    {0, 403, errdefs.ErrPermissionDenied},
		"429":                    {0, 429, errdefs.ErrUnavailable},
		"500":                    {0, 500, errdefs.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, web := newNetwork(t), newFake(), newFake()
			n.secure("a.example.com:443", f)
			n.secure("web.example.com:443", web)
			answer := func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(tt.status)
				return true
			}
			web.before, f.before = answer, answer
			if tt.redirect != 0 {
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					http.Redirect(w, r, "https://web.example.com/docs", tt.redirect)
					return true
				}
			}
			got, err := n.client(Options{}).Referrers(t.Context(), parse(t, "a.example.com/app@"+digest.FromString("x").String()).(reference.Canonical))
			if len(got) > 0 || !errors.Is(err, tt.kind) {
				t.Errorf("got %v, %v, want the kind %v", got, err, tt.kind)
			}
		})
	}
}

// A refusal of one subject is not one of the API, and neither is a refusal of a later page.
func TestReferrersRefusedOnce(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	strong, unknown, page := digest.SHA512.FromString("x"), digest.FromString("unknown"), digest.FromString("paged")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, strong.String()):
			refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "not supported")
			return true
		case strings.HasSuffix(r.URL.Path, unknown.String()):
			refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
			return true
		case r.URL.Query().Has("page"):
			return false // 404
		case strings.HasSuffix(r.URL.Path, page.String()):
			w.Header().Set("Link", `<?page=2>; rel="next"`)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[{"digest":%q,"size":1}]}`, digest.FromString("referrer"))
		return true
	}
	c := n.client(Options{})
	at := func(d digest.Digest) reference.Canonical {
		return parse(t, "a.example.com/app@"+d.String()).(reference.Canonical)
	}
	for _, d := range []digest.Digest{strong, unknown} {
		if _, err := c.Referrers(t.Context(), at(d)); !errdefs.IsNotImplemented(err) {
			t.Errorf("%s: got error %v, want the kind %v", d, err, errdefs.ErrNotImplemented)
		}
	}
	if got, err := c.Referrers(t.Context(), at(digest.FromString("x"))); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v, want one referrer", got, err)
	}
	if got, err := c.Referrers(t.Context(), at(page)); err == nil || errdefs.IsNotImplemented(err) {
		t.Errorf("got %v, %v, want another error than %v", got, err, errdefs.ErrNotImplemented)
	}
}
