package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// concurrentTags is how many tags PutTags puts at a time.
const concurrentTags = 16

// PutTags puts tags t00000, t00001 and so on into repo. Every fourth is an index of two images of its own, the others
// are images. All manifests differ, and all images of a platform share their blobs.
func (c Client) PutTags(ctx context.Context, repo string, tags int) error {
	var bases []images.Manifest
	for _, arch := range []string{"amd64", "arm64"} {
		base := images.Image(images.Spec{Seed: repo, Format: images.OCI, Platform: ocispec.Platform{OS: "linux", Architecture: arch}, Layers: 12})
		bases = append(bases, base)
		for _, b := range base.Blobs {
			if err := c.PutBlob(ctx, repo, b.Data); err != nil {
				return err
			}
		}
	}
	numbers, errs := make(chan int), make([]error, concurrentTags)
	var group sync.WaitGroup
	for i := range concurrentTags {
		group.Go(func() {
			for n := range numbers {
				errs[i] = errors.Join(errs[i], c.putTag(ctx, repo, n, bases))
			}
		})
	}
	for n := range tags {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	return errors.Join(errs...)
}

// putTag puts the tag with this number, whose blobs exist.
func (c Client) putTag(ctx context.Context, repo string, n int, bases []images.Manifest) error {
	var children []images.Manifest
	for _, base := range bases {
		m := images.Annotated(base, map[string]string{"number": fmt.Sprint(n)})
		m.Blobs = nil
		children = append(children, m)
	}
	top := children[0]
	if n%4 == 0 {
		top = images.Index(images.OCI, children...)
	}
	return c.Put(ctx, repo, fmt.Sprintf("t%05d", n), top)
}
