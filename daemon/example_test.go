package daemon_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/client"

	"github.com/docker-multiarch/docker-multiarch/daemon"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// A daemon is connected to at the first request, here to find an image by its name.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.47")
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/images/app:arm64/json") {
			fmt.Fprintf(w, `{"Id":"sha256:%064d","Os":"linux","Architecture":"arm64","RepoTags":["app:arm64"]}`, 1)
		}
	}))
	defer server.Close()

	connect := func() (client.APIClient, error) { // commands pass daemon.FromCLI instead
		return client.NewClientWithOpts(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithAPIVersionNegotiation())
	}
	noLogin := func(context.Context, string, string, []string) (string, error) { return "e30=", nil }
	name, err := reference.ParseNormalizedNamed("app:arm64")
	if err != nil {
		fmt.Println(err)
		return
	}
	image, err := daemon.New(connect, noLogin).Find(context.Background(), name)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(manifest.Familiar(image.Name), manifest.FormatPlatform(image.Platform), image.ID.Encoded()[60:])
	// Output: app:arm64 linux/arm64 0001
}
