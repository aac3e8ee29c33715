package registry

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// metadataRead is the action that a token needs for listings on Azure:
// https://learn.microsoft.com/azure/container-registry/container-registry-token-based-repository-permissions.
const metadataRead = "metadata_read"

// azureRoot is the path of Azure's own API, which also removes tags and keeps their manifests:
// https://learn.microsoft.com/rest/api/containerregistry/tag/delete.
const azureRoot = "/acr/v1"

var azureHost = lazyregexp.New(`\.azurecr\.(io|cn|us)(:\d+)?$`)

// azure is the listing of Azure Container Registry:
// https://learn.microsoft.com/rest/api/containerregistry/manifests/get-list.
func azure(p repository) (listing, func(page) ([]manifest.Listed, error)) {
	return listing{size: 100, byName: true, request: request{ // its maximum
		root: azureRoot, path: "_manifests", send: transport.Request{Scopes: []string{"repository:" + p.repo + ":" + metadataRead}},
	}}, readAzure
}

func readAzure(p page) ([]manifest.Listed, error) {
	var got struct {
		Manifests elements[struct {
			Digest               digest.Digest
			ImageSize            int64
			CreatedTime          time.Time
			LastUpdateTime       time.Time
			Architecture, OS     string
			MediaType            string
			Tags                 elements[string]
			ChangeableAttributes *manifest.Attributes
		}]
	}
	if err := json.Unmarshal(p.body, &got); err != nil {
		return nil, err
	}
	var out []manifest.Listed
	for _, m := range got.Manifests {
		l := manifest.Listed{
			Digest: m.Digest, MediaType: m.MediaType, Tags: m.Tags, Size: m.ImageSize,
			Created: m.CreatedTime, Updated: m.LastUpdateTime, Attributes: m.ChangeableAttributes,
		}
		if m.Architecture != "arm" { // arm needs its variant, which is not listed
			l.Platform = ocispec.Platform{OS: m.OS, Architecture: m.Architecture}
		}
		if a := m.ChangeableAttributes; a != nil {
			l.Locked = !a.Delete || !a.Write
		}
		out = append(out, l)
	}
	return out, nil
}
