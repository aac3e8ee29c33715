package registry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// googlePage is the maximum number of manifests, and of tags, in an answer of Google's registries.
const googlePage = 10_000

// google is the listing of Google's registries: their list of tags includes the manifests. A full answer without a next
// page is probably incomplete, and so is not a listing of all manifests.
func google(p repository) (listing, func(page) ([]manifest.Listed, error)) {
	read := func(page page) ([]manifest.Listed, error) {
		listed, err := readGoogle(page)
		switch {
		case err != nil:
			return nil, err
		case listed == nil:
			return nil, p.withoutInventory()
		case page.next == nil && isFull(listed):
			return nil, manifest.Errorf(errdefs.ErrNotImplemented,
				"%s lists at most %d manifests or tags of %s: some manifests without a tag may not be visible", p.name, googlePage, p.typed)
		}
		return listed, nil
	}
	return listing{size: googlePage, request: request{path: "tags/list", send: transport.Request{Scopes: []string{pullScope(p.repo)}}}}, read
}

// isFull reports whether an answer has the maximum number of manifests or tags.
func isFull(listed []manifest.Listed) bool {
	tags := 0
	for _, l := range listed {
		tags += len(l.Tags)
	}
	return max(tags, len(listed)) >= googlePage
}

// readGoogle returns nil when the answer has only tags.
func readGoogle(p page) ([]manifest.Listed, error) {
	var got struct{ Manifest googleManifests }
	if err := json.Unmarshal(p.body, &got); err != nil {
		return nil, fmt.Errorf("not a listing in the format of Google (%w)", err)
	}
	return got.Manifest, nil
}

// googleManifests are the manifests of a listing, sorted.
type googleManifests []manifest.Listed

func (all *googleManifests) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return json.Unmarshal(raw, new(*struct{})) // null, or an error
	}
	*all = googleManifests{}
	err := decodeEach(raw, func(dec *json.Decoder, key string) error {
		if len(*all) == maxManifests {
			return fmt.Errorf("it has more than %d manifests", maxManifests)
		}
		var m struct {
			ImageSizeBytes number
			MediaType      string
			Tag            elements[string]
			TimeUploadedMs number
		}
		err := dec.Decode(&m)
		l := manifest.Listed{Digest: digest.Digest(key), MediaType: m.MediaType, Tags: m.Tag, Size: int64(m.ImageSizeBytes)}
		if m.TimeUploadedMs > 0 {
			l.Created = time.UnixMilli(int64(m.TimeUploadedMs)).UTC()
		}
		*all = append(*all, l)
		return err
	})
	slices.SortFunc(*all, func(a, b manifest.Listed) int { return cmp.Compare(a.Digest, b.Digest) })
	return err
}

// number is a JSON number, or a string of digits; any other value is 0, which means unknown.
type number int64

func (n *number) UnmarshalJSON(raw []byte) error {
	*n = 0
	if i, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64); err == nil {
		*n = number(max(i, 0))
	}
	return nil
}
