package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// crowdPutters is how many tags are put at a time.
const crowdPutters = 16

// Crowd puts tags t00000, t00001 and so on into repo. Every fourth is an index of two images of its own, the
// others are images. No manifest is there twice, and all images of a platform share their blobs.
func (c Client) Crowd(ctx context.Context, repo string, tags int) error {
	var bases []images.Manifest
	for _, arch := range []string{"amd64", "arm64"} {
		base := images.Image(images.Spec{Seed: repo, Format: images.OCI, Platform: ocispec.Platform{OS: "linux", Architecture: arch}})
		bases = append(bases, base)
		for _, b := range base.Blobs {
			if err := c.PutBlob(ctx, repo, b.Data); err != nil {
				return err
			}
		}
	}
	numbers, errs := make(chan int), make([]error, crowdPutters)
	var group sync.WaitGroup
	for i := range crowdPutters {
		group.Go(func() {
			for n := range numbers {
				errs[i] = errors.Join(errs[i], c.putOne(ctx, repo, n, bases))
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

// putOne puts the tag with this number, whose blobs are there.
func (c Client) putOne(ctx context.Context, repo string, n int, bases []images.Manifest) error {
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
