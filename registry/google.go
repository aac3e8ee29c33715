package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// google is the listing of Google's registries: their answer to the request for tags has the manifests,
// too.
func google(p repository) (request, func(page) ([]manifest.Listed, error)) {
	return request{
			method: http.MethodGet, what: "manifests of " + p.typed,
			repo: p.repo, path: "tags/list", scopes: []string{pullScope(p.repo)},
		}, func(page page) ([]manifest.Listed, error) {
			listed, err := readGoogle(page)
			if listed == nil && err == nil {
				err = p.withoutInventory()
			}
			return listed, err
		}
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
