package verify_test

import (
	"context"
	"fmt"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

func Example() {
	ctx, registry := context.Background(), fakes.NewRegistry() // package registry has the real one
	name, err := manifest.ParseName("registry.example.com/app:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	// The manifest of an image whose config the registry does not have.
	registry.Store(name, "application/vnd.oci.image.manifest.v1+json", []byte(`{
		"config": {
			"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2,
			"digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
		},
		"layers": []
	}`))
	fmt.Println("exists:", verify.Exists(ctx, registry, name, nil) == nil)

	results, err := verify.Check(ctx, registry, []reference.Named{name}, verify.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results {
		fmt.Println(r.Name, r.State)
		for _, f := range r.Findings {
			fmt.Println(f.Severity, f.Message)
		}
	}
	// Output:
	// exists: true
	// registry.example.com/app:1 invalid
	// error config sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a is not in the repository registry.example.com/app
}
