package credentials_test

import (
	"context"
	"fmt"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"

	"github.com/docker-multiarch/docker-multiarch/credentials"
)

// A store looks up what docker login stored for a registry. Docker Hub has several names.
func Example() {
	stored := credentials.New(func() *configfile.ConfigFile {
		file := configfile.New("")
		file.AuthConfigs = map[string]types.AuthConfig{
			"registry.example.com":        {Username: "me", Password: "secret"},
			"https://index.docker.io/v1/": {IdentityToken: "token"},
		}
		return file
	})
	for _, host := range []string{"registry.example.com", "docker.io", "other.example.com"} {
		auth, err := stored.Lookup(context.Background(), host, "", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: user %q, identity token %q\n", host, auth.Username, auth.IdentityToken)
	}
	// Output:
	// registry.example.com: user "me", identity token ""
	// docker.io: user "", identity token "token"
	// other.example.com: user "", identity token ""
}
