package registry

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// endless serves listings whose pages of names, one after the other, have no end; page writes names from a number on.
type endless struct {
	page        func(w io.Writer, from int) (next int)
	pages, next int
}

func (e *endless) serve(w http.ResponseWriter, r *http.Request) bool {
	e.pages++
	if !strings.Contains(r.URL.Path, "/unlinked/") {
		w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, e.pages))
	}
	key := "tags"
	switch {
	case strings.Contains(r.URL.Path, "/referrers/"):
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		key = "manifests"
	case strings.HasSuffix(r.URL.Path, "/_catalog"):
		key = "repositories"
	case strings.HasSuffix(r.URL.Path, "/_manifests"):
		key = "manifests"
	}
	format := `{"schemaVersion":2,%q:[%s]}`
	if r.URL.Query().Get("n") == "10000" {
		key, format = "manifest", `{%q:{%s}}`
	}
	before, after, _ := strings.Cut(fmt.Sprintf(format, key, "|"), "|")
	_, _ = io.WriteString(w, before)
	e.next = e.page(w, e.next)
	_, _ = io.WriteString(w, after)
	return true
}

// repeat writes a page of count elements, which element returns.
func repeat(count int, element func(i int) string) func(io.Writer, int) int {
	return func(w io.Writer, from int) int {
		var page strings.Builder
		for i := range count {
			if i > 0 {
				page.WriteByte(',')
			}
			page.WriteString(element(from + i))
		}
		_, _ = io.WriteString(w, page.String())
		return from + count
	}
}

func quotedNumber(i int) string { return fmt.Sprintf(`"t%d"`, i) }

func descriptor(i int) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064x","size":3,"annotations":{"a":"b"}}`, ocispec.MediaTypeImageManifest, i)
}

// Listings without an end, or with pages that take much more memory than they have bytes, end with an error that names the
// bound, in little memory.
func TestListingIsBounded(t *testing.T) {
	tags := func(c *Client) error {
		_, _, err := c.Tags(t.Context(), parse(t, "a.example.com/app"))
		return err
	}
	unlinked := func(c *Client) error {
		_, _, err := c.Tags(t.Context(), parse(t, "a.example.com/unlinked/app"))
		return err
	}
	repositories := func(c *Client) error {
		_, err := c.Repositories(t.Context(), "a.example.com")
		return err
	}
	referrers := func(c *Client) error {
		_, err := c.Referrers(t.Context(), parse(t, "a.example.com/app@"+sha("a").String()).(reference.Canonical))
		return err
	}
	inventory := func(host string) func(*Client) error {
		return func(c *Client) error {
			_, err := c.Inventory(t.Context(), parse(t, host+"/app"))
			return err
		}
	}
	for name, tt := range map[string]struct {
		page  func(io.Writer, int) int
		list  func(*Client) error
		words string
	}{
		"tags, page of names":      {repeat(3<<20, func(int) string { return `""` }), tags, "more than 500000 elements"},
		"tags, names":              {repeat(50_000, quotedNumber), tags, "listing the tags of a.example.com/app: more than 500000 names"},
		"tags, pages":              {repeat(1, quotedNumber), tags, "listing the tags of a.example.com/app: more than 10000 pages"},
		"tags without links":       {func(w io.Writer, from int) int { return repeat(max(1, 1000-from), quotedNumber)(w, from) }, unlinked, "more than 10000 pages"},
		"tags, empty pages":        {repeat(0, nil), tags, "more than 10000 pages"},
		"tags, bytes":              {repeat(1, func(i int) string { return fmt.Sprintf(`"%015d%s"`, i, strings.Repeat("x", 15<<20)) }), tags, "larger than 64 MiB"},
		"tags, page":               {repeat(1, func(int) string { return `"` + strings.Repeat("x", 16<<20) + `"` }), tags, "a page is larger than 16 MiB"},
		"repositories, names":      {repeat(50_000, quotedNumber), repositories, "listing the catalog of a.example.com: more than 500000 names"},
		"repositories, pages":      {repeat(1, quotedNumber), repositories, "listing the catalog of a.example.com: more than 10000 pages"},
		"referrers, page of names": {repeat(1<<20, func(int) string { return `{}` }), referrers, "more than 4096"},
		"referrers, names":         {repeat(1000, descriptor), referrers, "listing the referrers of a.example.com/app@" + sha("a").String() + ": more than 4096 names"},
		"referrers, bytes":         {repeat(1, func(int) string { return strings.Replace(descriptor(1), `"b"`, `"`+strings.Repeat("x", 3<<20)+`"`, 1) }), referrers, "larger than 8 MiB"},
		"referrers, page":          {repeat(30_000, descriptor), referrers, "a page is larger than 4 MiB"},
		"manifests":                {repeat(5<<20, func(int) string { return `{}` }), inventory("demo.azurecr.io"), "more than 100000 elements"},
		"manifests, null":          {repeat(3<<20, func(int) string { return `null` }), inventory("demo.azurecr.io"), "more than 100000 elements"},
		"manifests of Google":      {repeat(1<<20, func(i int) string { return fmt.Sprintf(`"%x":{}`, i) }), inventory("gcr.io"), "more than 100000 manifests"},
		"manifests, tags":          {repeat(1, func(int) string { return `{"tags":[""` + strings.Repeat(`,""`, 5<<20) + `]}` }), inventory("demo.azurecr.io"), "more than 500000 elements"},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.plain("a.example.com:80", f)
			n.plain("demo.azurecr.io:80", f)
			n.plain("gcr.io:80", f)
			f.before = (&endless{page: tt.page}).serve
			c := n.client(Options{Insecure: true})
			var err error
			if got := fakes.PeakHeap(func() { err = tt.list(c) }); got > 256 {
				t.Errorf("got a heap of %d MiB, want at most 256", got)
			}
			wantError(t, err, errdefs.ErrInvalidArgument, tt.words)
		})
	}
}

// Slow pages end a listing that takes too long, but not one that has many names. Pauses do not count.
func TestListingIsTooSlow(t *testing.T) {
	for name, tt := range map[string]struct {
		names       int // of a page
		page, pause time.Duration
		body        bool // sent slowly
		pages       int
		words       string
	}{
		"few names":  {1, 2 * time.Second, 0, false, 1000, "listing the tags of a.example.com/app: longer than 2m1s for 60 names in 60 pages"},
		"slow body":  {1, 2 * time.Second, 0, true, 1000, "longer than 2m1s for 60 names in 60 pages"},
		"always":     {1000, 5 * time.Second, 0, false, 300, "longer than 20m0s for 240000 names in 240 pages"},
		"many names": {100, 900 * time.Millisecond, 0, false, 1000, ""},
		"pauses":     {1000, 10 * time.Millisecond, 25 * time.Second, false, 100, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, f, clock := newNetwork(t), newFake(), newClock()
			n.plain("a.example.com:80", f)
			names := repeat(tt.names, quotedNumber)
			pages := &endless{page: func(w io.Writer, from int) int {
				if tt.body {
					_, _ = w.Write(slices.Repeat([]byte{' '}, 1<<20))
					_ = clock.sleep(t.Context(), tt.page)
				}
				return names(w, from)
			}}
			served := 0
			var paused atomic.Bool
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if tt.pause > 0 && paused.CompareAndSwap(false, true) {
					_ = clock.sleep(r.Context(), tt.pause) // as the pause that the answer asks for
					w.WriteHeader(http.StatusTooManyRequests)
					return true
				}
				paused.Store(false)
				if served++; served == tt.pages {
					_, _ = w.Write([]byte(`{"tags":[]}`))
					return true
				}
				if !tt.body {
					_ = clock.sleep(r.Context(), tt.page)
				}
				return pages.serve(w, r)
			}
			c := n.client(Options{Insecure: true, RetryTimeout: time.Hour})
			clock.rule(c.budget)
			tags, _, err := c.Tags(t.Context(), parse(t, "a.example.com/app"))
			if tt.words != "" {
				wantError(t, err, errdefs.ErrInvalidArgument, tt.words)
			} else if want := (tt.pages - 1) * tt.names; err != nil || len(tags) != want {
				t.Errorf("got %d tags, error %v, want %d", len(tags), err, want)
			}
		})
	}
}

// The configs that are kept are bounded: more of them are read without being kept. Those that are kept are sent on.
func TestConfigsAreBounded(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	var configs []ocispec.Descriptor
	for i := range 10 {
		configs = append(configs, f.putBlob("app", fmt.Appendf(nil, `{"seed":"%d%s"}`, i, strings.Repeat("x", 1<<20))))
	}
	c := n.client(Options{})
	read := func() {
		for _, config := range configs {
			if raw, err := c.Blob(t.Context(), parse(t, "a.example.com/app"), config); err != nil || int64(len(raw)) != config.Size {
				t.Fatalf("got %d bytes and error %v, want %d", len(raw), err, config.Size)
			}
		}
	}
	read()
	before := f.count("GET")
	read()
	if got := f.count("GET") - before; got != len(configs)-maxConfigs>>20+1 {
		t.Errorf("got %d of %d configs read again, want all but %d", got, len(configs), maxConfigs>>20-1)
	}
}
