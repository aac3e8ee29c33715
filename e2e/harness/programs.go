package harness

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// Plugin returns the path of the plugin's binary: DOCKER_MULTIARCH_BINARY or, if that is not set, one that is built
// for this run, with race detection if the tests have it.
var Plugin = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("DOCKER_MULTIARCH_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	var flags []string // with -trimpath, `go test -race` could not share its compiled packages
	if raceDetection {
		flags = append(flags, "-race")
	}
	return build("docker-multiarch", "cli-plugin", flags...)
})

var registryProgram = sync.OnceValues(func() (string, error) {
	return build("registry", filepath.Join("e2e", "registry"))
})

func build(name, pkg string, flags ...string) (string, error) {
	shared.mu.Lock()
	dir, err := shared.folder()
	shared.mu.Unlock()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	return file, servers.Build(file, pkg, flags...)
}
