package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// googlePage is how many manifests, and how many tags, Google's registries list in one answer at most.
const googlePage = 10_000

// google is the listing of Google's registries: their answer to the request for tags has the manifests,
// too. A full answer that no page follows is likely to lack some, and so it is no listing of all.
func google(p repository) (request, func(page) ([]manifest.Listed, error)) {
	return request{
			method: http.MethodGet, what: "manifests of " + p.typed,
			repo: p.repo, path: "tags/list", query: url.Values{"n": {strconv.Itoa(googlePage)}}, scopes: []string{pullScope(p.repo)},
		}, func(page page) ([]manifest.Listed, error) {
			listed, err := readGoogle(page)
			switch {
			case err != nil:
				return nil, err
			case listed == nil:
				return nil, p.withoutInventory()
			case page.next == nil && isFull(listed):
				return nil, manifest.Errorf(errdefs.ErrNotImplemented,
					"%s lists no more than %d manifests or tags of %s: manifests without a tag may not be seen", p.name, googlePage, p.typed)
			}
			return listed, nil
		}
}

// isFull reports whether an answer has as many manifests or tags as it can have.
func isFull(listed []manifest.Listed) bool {
	tags := 0
	for _, l := range listed {
		tags += len(l.Tags)
	}
	return max(tags, len(listed)) >= googlePage
}

// readGoogle returns nil when the answer has tags alone.
func readGoogle(p page) ([]manifest.Listed, error) {
	var got struct {
		Manifest map[digest.Digest]struct {
			ImageSizeBytes number
			MediaType      string
			Tag            []string
			TimeUploadedMs number
		}
	}
	if err := json.Unmarshal(p.body, &got); err != nil {
		return nil, fmt.Errorf("no listing as Google has it (%w)", err)
	}
	if got.Manifest == nil {
		return nil, nil
	}
	out := []manifest.Listed{}
	for _, d := range slices.Sorted(maps.Keys(got.Manifest)) {
		m := got.Manifest[d]
		l := manifest.Listed{Digest: d, MediaType: m.MediaType, Tags: m.Tag, Size: int64(m.ImageSizeBytes)}
		if m.TimeUploadedMs > 0 {
			l.Created = time.UnixMilli(int64(m.TimeUploadedMs)).UTC()
		}
		out = append(out, l)
	}
	return out, nil
}

// number is a JSON number, or a string of digits; any other value is taken for 0, which tells nothing.
type number int64

func (n *number) UnmarshalJSON(raw []byte) error {
	*n = 0
	if i, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64); err == nil {
		*n = number(max(i, 0))
	}
	return nil
}
