package manifest

import (
	"fmt"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func BenchmarkIndex(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list := benchmarkList(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := list.Index(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchmarkList has n images of as many platforms, with an annotation each.
func benchmarkList(b *testing.B, n int) List {
	name, err := reference.ParseNormalizedNamed("example.com/bench:1")
	if err != nil {
		b.Fatal(err)
	}
	list := List{Name: name}
	for i := range n {
		d := digest.FromString(fmt.Sprint(i))
		ref, err := reference.WithDigest(reference.TrimNamed(name), d)
		if err != nil {
			b.Fatal(err)
		}
		list.Entries = append(list.Entries, Entry{Ref: ref, Source: ref, Descriptor: ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageManifest, Size: 1234, Digest: d,
			Platform:    &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: fmt.Sprintf("v%d", i)},
			Annotations: map[string]string{ocispec.AnnotationVersion: fmt.Sprint(i)},
		}})
	}
	return list
}
