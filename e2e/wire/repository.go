package wire

import (
	"context"
	"encoding/json"
	"fmt"
)

// Repositories lists the catalog of the registry.
func (c Client) Repositories(ctx context.Context) ([]string, error) {
	_, body, err := c.do(ctx, "GET", "/v2/_catalog?n=1000", nil, nil)
	if err != nil {
		return nil, err
	}
	var list struct{ Repositories []string }
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return list.Repositories, nil
}

// Snapshot is what a repository shows: the digest of each tag.
func (c Client) Snapshot(ctx context.Context, repo string) (map[string]string, error) {
	tags, err := c.Tags(ctx, repo)
	if err != nil {
		return nil, err
	}
	digests := make(map[string]string, len(tags))
	for _, tag := range tags {
		m, err := c.Get(ctx, repo, tag)
		if err != nil {
			return nil, err
		}
		digests[tag] = m.Digest.String()
	}
	return digests, nil
}
