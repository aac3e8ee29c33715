package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
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
			ImageSizeBytes int64 `json:",string"`
			MediaType      string
			Tag            []string
			TimeUploadedMs int64 `json:",string"`
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
		l := manifest.Listed{Digest: d, MediaType: m.MediaType, Tags: m.Tag, Size: m.ImageSizeBytes}
		if m.TimeUploadedMs > 0 {
			l.Created = time.UnixMilli(m.TimeUploadedMs).UTC()
		}
		out = append(out, l)
	}
	return out, nil
}
