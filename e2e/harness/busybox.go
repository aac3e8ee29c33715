package harness

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

const busyboxName = "test/busybox:1"

// busyboxes maps daemons to a func() error that loads the image once.
var busyboxes sync.Map

// Busybox loads an image with a shell and the common programs (sh, cat, sleep, wget, httpd, ...) in /bin into the
// daemon, and returns its name. All tests share it; a test that removes or pushes it adds another name first.
func Busybox(t testing.TB, d *servers.Daemon) string {
	t.Helper()
	load, _ := busyboxes.LoadOrStore(d, sync.OnceValue(func() error {
		image, err := busybox()
		if err != nil {
			return err
		}
		return d.Load(lasting(t), images.DockerArchive(map[string]images.Manifest{busyboxName: image}))
	}))
	require(t, "busybox", load.(func() error)())
	return busyboxName
}

// Package returns the path of a Debian package, such as bash_arm64.deb.
func Package(t testing.TB, name string) string {
	t.Helper()
	tools, err := servers.FindTools()
	file := ""
	if err == nil {
		file, err = tools.Package(name)
	}
	require(t, "Debian packages", err)
	return file
}

var busybox = sync.OnceValues(func() (images.Manifest, error) {
	tools, err := servers.FindTools()
	if err != nil {
		return images.Manifest{}, err
	}
	program, err := tools.Busybox()
	if err != nil {
		return images.Manifest{}, err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return images.Manifest{}, err
	}
	names, err := exec.Command(program, "--list").Output()
	if err != nil {
		return images.Manifest{}, err
	}
	links := map[string]string{}
	for _, name := range strings.Fields(string(names)) {
		if name != "busybox" {
			links["bin/"+name] = "busybox"
		}
	}
	return images.Image(images.Spec{
		Seed:     "busybox",
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Files:    map[string]string{"bin/busybox": string(data), "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"},
		Links:    links,
	}), nil
})
