package display_test

import (
	"fmt"
	"os"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// A list is drawn as a tree, with attestations under the image that they describe.
func ExampleTree() {
	err := display.Tree(os.Stdout, inspect.View{
		Name:      "registry.example.com/app:1",
		MediaType: "application/vnd.oci.image.index.v1+json",
		Manifests: []inspect.ViewEntry{
			{Platform: "linux/amd64", Digest: "sha256:1", Size: 1234, Attestations: []inspect.ViewEntry{{Digest: "sha256:2", Size: 567}}},
			{Platform: "linux/arm64", Pending: true, Source: "app:arm64"},
		},
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// registry.example.com/app:1
	// application/vnd.oci.image.index.v1+json
	// ├── linux/amd64  sha256:1
	// │   └── attestation  sha256:2
	// └── linux/arm64  pending  app:arm64
}

// A format is that of the docker CLI: a Go template, or "json".
func ExampleExecute() {
	list := struct {
		Name      string   `json:"name"`
		Platforms []string `json:"platforms"`
	}{"registry.example.com/app:1", []string{"linux/amd64", "linux/arm64"}}
	for _, format := range []string{`{{.Name}} {{join .Platforms "+"}}`, "json"} {
		template, err := display.ParseTemplate(format)
		if err == nil {
			err = display.Execute(os.Stdout, template, list)
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// registry.example.com/app:1 linux/amd64+linux/arm64
	// {"name":"registry.example.com/app:1","platforms":["linux/amd64","linux/arm64"]}
}

func ExampleGraph() {
	file, _ := task.Parse(task.Rendered{Text: `
steps:
- {id: amd64, build: -t app:amd64 ., when: ["-"]}
- {id: arm64, build: -t app:arm64 ., when: ["-"], context: arm}
- {id: push, push: [app:amd64, app:arm64], when: [amd64, arm64]}
`})
	if err := display.Graph(os.Stdout, task.NewGraph(file)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// STEP      AFTER          PARALLEL   ACTION
	// amd64     -              arm64      docker build --tag=app:amd64 .
	// arm64     -              amd64      [arm] docker build --tag=app:arm64 .
	// push      amd64, arm64   -          docker push app:amd64; docker push app:arm64
}
