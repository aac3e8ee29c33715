package transport_test

import (
	"fmt"
	"net/http"

	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// A header may have several challenges, and a challenge several parameters.
func ExampleParseChallenges() {
	header := http.Header{"Www-Authenticate": {`Basic realm="registry", Bearer realm="https://auth.example.com/token",service="registry.example.com"`}}
	for _, c := range transport.ParseChallenges(header) {
		fmt.Println(c.Scheme, c.Parameters)
	}
	// Output:
	// basic map[realm:registry]
	// bearer map[realm:https://auth.example.com/token service:registry.example.com]
}
