package repository_test

import (
	"context"
	"fmt"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/repository"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// newRegistry returns a registry with one image for each of names.
func newRegistry(names ...string) (*fakes.Registry, reference.Named) {
	registry := fakes.NewRegistry()
	var repo reference.Named
	for _, name := range names {
		ref, err := manifest.ParseName(name)
		if err != nil {
			panic(err)
		}
		config := ocispec.DescriptorEmptyJSON
		registry.Store(ref, ocispec.MediaTypeImageManifest, fmt.Appendf(nil,
			`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],"annotations":{"name":%q}}`,
			ocispec.MediaTypeImageConfig, config.Digest, name))
		repo = reference.TrimNamed(ref)
	}
	return registry, repo
}

func ExampleTags() {
	registry, repo := newRegistry("registry.example.com/app:1.10", "registry.example.com/app:1.9", "registry.example.com/app:latest")
	filter, err := manifest.ParsePattern("1.*")
	if err != nil {
		panic(err)
	}
	tags, err := repository.Tags(context.Background(), registry, repo, repository.Query{Filter: filter, Detail: repository.DetailManifest})
	if err != nil {
		panic(err)
	}
	for _, tag := range tags {
		fmt.Println(tag.Tag, tag.Kind)
	}
	// Output:
	// 1.9 image
	// 1.10 image
}

// A purge shows its steps to Confirm, and removes nothing unless that agrees.
func ExamplePurge() {
	registry, repo := newRegistry("registry.example.com/app:pr-1", "registry.example.com/app:pr-2", "registry.example.com/app:stable")
	filter, err := manifest.ParsePattern("pr-*")
	if err != nil {
		panic(err)
	}
	selection := repository.Selection{Filters: []manifest.Pattern{filter}, Keep: 1, ByName: true}
	err = repository.Purge(context.Background(), registry, &manifest.Diagnostics{}, repo, selection, repository.Removal{
		Confirm: func(steps []repository.Step) (bool, error) {
			for _, step := range steps {
				fmt.Println("to remove:", step.Kind, step.Tags)
			}
			return true, nil
		},
		Removed: func(name reference.Named) {
			if tagged, ok := name.(reference.Tagged); ok {
				fmt.Println("removed:", tagged.Tag())
			}
		},
	})
	if err != nil {
		panic(err)
	}
	// Output:
	// to remove: image [pr-1]
	// removed: pr-1
}
