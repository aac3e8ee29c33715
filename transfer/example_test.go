package transfer_test

import (
	"context"
	"fmt"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/internal/fakes"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/transfer"
)

func Example() {
	ctx, registry := context.Background(), fakes.NewRegistry() // package registry has the real one
	source, err := manifest.ParseName("quay.io/team/app:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	target, err := manifest.ParseListName("registry.example.com/app:1")
	if err != nil {
		fmt.Println(err)
		return
	}
	registry.Store(source, "application/vnd.oci.image.index.v1+json", []byte(`{"schemaVersion": 2, "manifests": []}`))

	request := transfer.Request{Source: source, Target: target, Tags: []reference.NamedTagged{target}}
	imported, err := transfer.Import(ctx, registry, &fakes.Reporter{}, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range imported {
		fmt.Println(i.Name, i.Descriptor.Digest)
	}
	_, err = transfer.Tag(ctx, registry, &fakes.Reporter{}, target, []reference.NamedTagged{manifest.AtTag(target, "latest")}, manifest.Condition{})
	fmt.Println(err)
	// Output:
	// registry.example.com/app:1 sha256:0a4be3fb1364bd1528d01ef54e2d12aa989d343f6f2fbe996e150a28e2b4a580
	// <nil>
}
