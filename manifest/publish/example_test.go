package publish_test

import (
	"fmt"

	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// A name without a registry is looked for in the daemon first, one with a registry there.
func ExampleParseSource() {
	for _, typed := range []string{"app:arm64", "registry.example.com/app:arm64"} {
		s, err := publish.ParseSource(typed, "registry.example.com/app:1")
		fmt.Println(s.Ref, s.Plain, err)
	}
	// Output:
	// docker.io/library/app:arm64 true <nil>
	// registry.example.com/app:arm64 false <nil>
}
