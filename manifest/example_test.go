package manifest_test

import (
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// A list has its entries in the order of the user. Its index has the bytes, and so the digest, that docker manifest
// would push.
func ExampleList_With() {
	name, err := manifest.ParseListName("registry.example.com/app:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	list := manifest.List{Name: name}
	for _, arch := range []string{"amd64", "arm64"} {
		ref, err := manifest.ParseName("registry.example.com/app:" + arch)
		if err != nil {
			fmt.Println(err)
			return
		}
		list = list.With(manifest.Entry{Ref: ref, Source: ref, Descriptor: ocispec.Descriptor{
			MediaType: manifest.MediaTypeDockerManifest, Digest: digest.FromString(arch), Size: 527,
			Platform: &ocispec.Platform{OS: "linux", Architecture: arch},
		}})
	}
	for _, e := range list.Entries {
		fmt.Println(manifest.FormatPlatform(e.Platform()), e.Ref)
	}
	index, err := list.Index()
	fmt.Println(index.Descriptor.MediaType, err)
	// Output:
	// linux/amd64 registry.example.com/app:amd64
	// linux/arm64 registry.example.com/app:arm64
	// application/vnd.docker.distribution.manifest.list.v2+json <nil>
}

func ExampleParsePlatform() {
	p, _ := manifest.ParsePlatform("linux/aarch64")
	fmt.Println(p)
	_, err := manifest.ParsePlatform("linux/amd46")
	fmt.Println(err)
	// Output:
	// linux/arm64
	// unknown platform linux/amd46: did you mean linux/amd64?
}
