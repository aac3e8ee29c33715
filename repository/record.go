package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Record is a manifest of a repository as listings show it. What is not known is the zero value.
type Record struct {
	Digest          digest.Digest `json:"digest,omitempty"`          // of the manifest
	Tags            []string      `json:"tags,omitempty"`            // that point to it
	Kind            string        `json:"kind,omitempty"`            // image, index, attestation or artifact
	MediaType       string        `json:"mediaType,omitempty"`       // of the manifest
	ConfigMediaType string        `json:"configMediaType,omitempty"` // of the config, for an image or artifact
	ArtifactType    string        `json:"artifactType,omitempty"`    // of an artifact

	OS           string           `json:"os,omitempty"`           // of an image
	Architecture string           `json:"architecture,omitempty"` // of an image
	Platforms    []PlatformRecord `json:"platforms,omitempty"`    // the platform of an image, or each image that an index lists

	Size      int64 `json:"size,omitempty"`      // of the manifest itself, in bytes
	ImageSize int64 `json:"imageSize,omitempty"` // the download in bytes: manifest, config and layers; of an index all below it, each blob once
	Layers    int   `json:"layers,omitempty"`    // how many an image has

	Created              *time.Time           `json:"created,omitempty"`              // when the registry received the manifest or, if it does not report that, when the image says it was created
	Updated              *time.Time           `json:"updated,omitempty"`              // when the registry last changed the manifest
	ImageCreated         *time.Time           `json:"imageCreated,omitempty"`         // when the image says it was created, if created is the time of the registry
	ChangeableAttributes *manifest.Attributes `json:"changeableAttributes,omitempty"` // in Azure Container Registry

	Children    []digest.Digest   `json:"children,omitempty"`    // what an index lists
	Parents     []digest.Digest   `json:"parents,omitempty"`     // indexes that list this
	Subject     digest.Digest     `json:"subject,omitempty"`     // what it describes or refers to
	Annotations map[string]string `json:"annotations,omitempty"` // of the manifest

	Error string `json:"error,omitempty"` // why the rest is not known
	// Err is the error of Error.
	Err error `json:"-"`
	// Depth is how many records this one is nested under.
	Depth int `json:"-"`

	// detail is how much was read.
	detail Detail
}

// PlatformRecord is an image of an index.
type PlatformRecord struct {
	Platform  string        `json:"platform"`            // as in linux/arm/v7
	Digest    digest.Digest `json:"digest"`              // of its manifest
	Size      int64         `json:"size,omitempty"`      // of its manifest, in bytes
	ImageSize int64         `json:"imageSize,omitempty"` // its download in bytes
}

// Time is the later of Created and Updated.
func (r Record) Time() time.Time {
	var l manifest.Listed
	if r.Created != nil {
		l.Created = *r.Created
	}
	if r.Updated != nil {
		l.Updated = *r.Updated
	}
	return l.Time()
}

// Detail is how much a listing shows of each manifest, and so what it has to read.
type Detail int

// Each detail includes those before it.
const (
	// DetailName is what the list of tags has.
	DetailName Detail = iota
	// DetailDigest is the digest.
	DetailDigest
	// DetailManifest is what the manifest says.
	DetailManifest
	// DetailPlatform is the platform in the config of an image.
	DetailPlatform
	// DetailCreated is when images were created, those that an index lists included.
	DetailCreated
)

// recordOf returns what the manifest itself says.
func recordOf(n manifest.Node) Record {
	r := Record{
		Digest: n.Descriptor.Digest, MediaType: n.Descriptor.MediaType, Size: n.Descriptor.Size, Kind: n.Kind(), Layers: n.LayerCount(),
		ArtifactType: n.ArtifactType, Annotations: n.Annotations(), detail: DetailManifest,
	}
	if n.Subject != nil {
		r.Subject = n.Subject.Digest
	}
	if n.Config != nil {
		r.ConfigMediaType = n.Config.MediaType
	}
	if !manifest.IsIndex(r.MediaType) {
		r.ImageSize = manifest.ImageSize(n)
	}
	for _, child := range n.Children {
		r.Children = append(r.Children, child.Digest)
		if p := child.Platform; p != nil && manifest.AttestationSubject(child) == "" {
			r.Platforms = append(r.Platforms, PlatformRecord{Platform: manifest.FormatPlatform(*p), Digest: child.Digest, Size: child.Size})
		}
	}
	return r
}

func (r *Record) setListed(l manifest.Listed) {
	r.ChangeableAttributes = l.Attributes
	if l.Time().IsZero() {
		return
	}
	r.ImageCreated, r.Created, r.Updated = r.Created, timeOrNil(l.Created), timeOrNil(l.Updated)
}

// fail sets why no more is known.
func (r *Record) fail(err error) {
	r.Err, r.Error = err, err.Error()
	if errdefs.IsNotFound(err) {
		r.Error = "not in the registry"
	}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// fullRecord returns the record of a manifest. The platform of an image is read from its config if it is not given.
// With DetailCreated, the graph has to have what is below an index. What is in an absent config stays unknown; with an
// error, the record has what was read before.
func fullRecord(ctx context.Context, g *manifest.Graph, repo reference.Named, n manifest.Node, platform *ocispec.Platform, detail Detail) (Record, error) {
	r := recordOf(n)
	r.detail = detail
	if r.Kind == manifest.KindImage {
		if (platform == nil || platform.OS == "") && detail >= DetailPlatform {
			read, err := g.Platform(ctx, repo, n)
			if platform = &read; err != nil && !errdefs.IsNotFound(err) {
				return r, fmt.Errorf("platform of %s: %w", manifest.Familiar(manifest.AtDigest(repo, r.Digest)), err)
			}
		}
		if p := platform; p != nil && (p.OS != "" || p.Architecture != "") {
			r.OS, r.Architecture = p.OS, p.Architecture
			r.Platforms = []PlatformRecord{{manifest.FormatPlatform(*p), r.Digest, r.Size, r.ImageSize}}
		}
	}
	if detail >= DetailCreated {
		made, err := g.Created(ctx, repo, r.Digest)
		if err != nil && !errdefs.IsNotFound(err) {
			return r, fmt.Errorf("creation time of %s: %w", manifest.Familiar(manifest.AtDigest(repo, r.Digest)), err)
		}
		r.Created = timeOrNil(made)
	}
	return r, nil
}

// maxFailures is how many failures an error lists one by one.
const maxFailures = 5

// unread returns the error for what could not be read, and is not merely absent.
func unread(failures []error) error {
	failures = slices.DeleteFunc(slices.Clone(failures), func(err error) bool { return err == nil || errdefs.IsNotFound(err) })
	if more := len(failures) - maxFailures; more > 0 {
		failures = append(failures[:maxFailures], fmt.Errorf("%d more could not be read", more))
	}
	return errors.Join(failures...)
}
