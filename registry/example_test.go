package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/registry"
)

// A client reads what a name in a registry stands for. On this machine a registry needs no TLS.
func Example() {
	const index = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="example"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		fmt.Fprint(w, index)
	}))
	defer server.Close()

	client := registry.New(registry.Options{
		Credentials: func(_ context.Context, host, repository string, actions []string) (registry.Credential, error) {
			fmt.Println("credential to", actions, repository)
			return registry.Credential{Username: "me", Secret: "secret"}, nil
		},
	})
	name, err := manifest.ParseName(strings.TrimPrefix(server.URL, "http://") + "/team/app:1.0")
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := client.Fetch(context.Background(), name)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(list.Descriptor.MediaType, list.Descriptor.Digest)
	// Output:
	// credential to [pull] team/app
	// application/vnd.oci.image.index.v1+json sha256:dff9de10919148711140d349bf03f1a99eb06f94b03e51715ccebfa7cdc518e2
}
