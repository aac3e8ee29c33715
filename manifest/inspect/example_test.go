package inspect_test

import (
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

// A local list is shown with the digest that a push would give it.
func ExampleInspection_View() {
	name, err := manifest.ParseListName("registry.example.com/app:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	list := manifest.List{Name: name}.With(manifest.Entry{Ref: name, Source: name, Descriptor: ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("arm64"), Size: 527,
		Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"},
	}})
	view, err := inspect.Inspection{Name: name, Local: true, List: list}.View()
	index, _ := list.Index()
	fmt.Println(view.Name, view.Digest == index.Descriptor.Digest, err)
	for _, m := range view.Manifests {
		fmt.Println(m.Platform, m.Size)
	}
	// Output:
	// registry.example.com/app:1 true <nil>
	// linux/arm64 527
}
