package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

var (
	amd64   = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	arm64   = ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	windows = ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.26100.1742"}
)

var registryKinds = []servers.RegistryKind{harness.V3, harness.V28}

// Complete fails when content is absent.
func TestHarnessCheckFindsAbsentContent(t *testing.T) {
	for _, kind := range registryKinds {
		t.Run(string(kind), func(t *testing.T) {
			r := harness.Registry(t, kind)
			repo := harness.Repo(t)
			child := images.Image(images.Spec{Seed: repo, Platform: amd64})
			harness.Put(t, r, repo, "list", images.Index(images.OCI, child))
			if err := r.Delete(t.Context(), repo, child.Digest()); err != nil {
				t.Fatal(err)
			}
			err := r.Check(t.Context(), repo, "list")
			if err == nil || !strings.Contains(err.Error(), child.Digest().String()) {
				t.Errorf("got error %v, want one that names %s", err, child.Digest())
			}
		})
	}
}

var stores = []servers.Store{harness.GraphDriver, harness.Containerd}

// Containers end with their daemon, and its networks leave nothing on the machine.
func TestHarnessContainersEndWithTheirDaemon(t *testing.T) {
	for _, store := range stores {
		for how, end := range map[string]func(*servers.Daemon) error{"stopped": (*servers.Daemon).Stop, "killed": (*servers.Daemon).Kill} {
			t.Run(string(store)+"/"+how, func(t *testing.T) {
				t.Parallel()
				d := harness.NewDaemon(t, servers.DaemonOptions{Store: store})
				image := harness.Busybox(t, d)
				env := harness.NewEnv(t)
				env.UseDaemon(d)
				bridge := "br-" + harness.MustRun(t, env, "docker", "network", "create", "net")[:12]
				id := strings.TrimSpace(harness.MustRun(t, env, "docker", "run", "--detach", "--network", "net", image, "sleep", "1000"))
				process := filepath.Join("/proc", strings.TrimSpace(harness.MustRun(t, env, "docker", "inspect", "--format", "{{.State.Pid}}", id)))
				if _, err := net.InterfaceByName(bridge); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(process); err != nil {
					t.Error(err)
				}
				if err := end(d); err != nil {
					t.Fatal(err)
				}
				if _, err := net.InterfaceByName(bridge); err == nil {
					t.Errorf("%s still exists", bridge)
				}
				if _, err := os.Stat(process); err == nil {
					t.Errorf("%s still exists", process)
				}
			})
		}
	}
}
