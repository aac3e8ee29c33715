package e2e

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

// What the tests see must be what a registry holds: all kinds of content go in
// and come out byte for byte.
func TestHarnessRegistryKeepsContent(t *testing.T) {
	for _, kind := range registryKinds {
		t.Run(string(kind), func(t *testing.T) {
			r := harness.Registry(t, kind)
			repo := harness.Repo(t)
			foreign := images.Spec{Seed: repo + "w", Platform: windows, Foreign: []string{"https://example.invalid/base"}}
			list := images.Index(images.Docker,
				images.Image(images.Spec{Seed: repo, Platform: amd64, Layers: 3, LayerSize: 10_000}),
				images.Image(foreign))
			nested := images.Index(images.OCI, list,
				images.Attested(images.Image(images.Spec{Seed: repo, Platform: arm64, Format: images.OCI})))
			harness.Put(t, r, repo, "nested", nested)
			harness.Sound(t, r, repo, "nested")
			harness.Absent(t, r, repo, "other")
			if m := harness.Get(t, r, repo, "nested"); m.Digest != nested.Digest() {
				t.Errorf("digest %s, not %s", m.Digest, nested.Digest())
			}
			if tags := harness.Tags(t, r, repo); len(tags) != 1 || tags["nested"] != nested.Digest().String() {
				t.Errorf("tags: %v", tags)
			}
			layer := list.Children[0].Blobs[1].Descriptor.Digest
			if ok, err := r.HasBlob(t.Context(), repo, layer); !ok || err != nil {
				t.Errorf("layer %s: %v %v", layer, ok, err)
			}
		})
	}
}

// The other half of Sound: content that is absent is told.
func TestHarnessCheckTellsWhatIsAbsent(t *testing.T) {
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
				t.Errorf("error: %v", err)
			}
		})
	}
}

// Round trips are counted by the registry's own log.
func TestHarnessCountsRequests(t *testing.T) {
	for _, kind := range registryKinds {
		t.Run(string(kind), func(t *testing.T) {
			r := harness.NewRegistry(t, harness.RegistryOptions{Kind: kind})
			repo := harness.Repo(t)
			harness.Put(t, r, repo, "1", images.Image(images.Spec{Seed: repo, Platform: amd64}))
			got := harness.Requests(t, r, func() { harness.Get(t, r, repo, "1") })
			want := servers.Request{Method: "GET", Path: "/v2/" + repo + "/manifests/1", Status: 200}
			if !slices.Equal(got, []servers.Request{want}) {
				t.Errorf("requests: %v", got)
			}
		})
	}
}

func TestHarnessRegistryAsksForLoginOverTLS(t *testing.T) {
	for _, kind := range registryKinds {
		t.Run(string(kind), func(t *testing.T) {
			options := harness.RegistryOptions{Kind: kind, User: "ann", Password: "secret", TLS: true}
			r := harness.NewRegistry(t, options)
			if _, err := r.Repositories(t.Context()); err != nil {
				t.Error(err)
			}
			r.User = ""
			_, err := r.Repositories(t.Context())
			if err == nil || !strings.Contains(err.Error(), "401") {
				t.Errorf("without a login: %v", err)
			}
			r.HTTP = http.DefaultClient
			if _, err = r.Repositories(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("without the certificate: %v", err)
			}
		})
	}
}

var stores = []servers.Store{harness.GraphDriver, harness.Containerd}

// Images of any platform can be loaded into either daemon, and what it pushes
// arrives whole in either registry.
func TestHarnessDaemonLoadsAndPushes(t *testing.T) {
	for _, store := range stores {
		for _, kind := range registryKinds {
			t.Run(string(store)+"/"+string(kind), func(t *testing.T) {
				d, r, repo := harness.Daemon(t, store), harness.Registry(t, kind), harness.Repo(t)
				env := harness.NewEnv(t)
				env.UseDaemon(d)
				name := r.Host + "/" + repo + ":arm64"
				image := images.Image(images.Spec{Seed: repo, Platform: arm64})
				harness.Load(t, d, name, image)
				id := harness.Images(t, d)[name]
				if store == harness.GraphDriver && id != image.ID().String() {
					t.Errorf("image ID %s, not %s", id, image.ID())
				}
				harness.MustRun(t, env, "docker", "push", name)
				harness.Sound(t, r, repo, "arm64")
			})
		}
	}
}

// A daemon with the containerd store keeps an index as it is, also when only
// one of its platforms is present.
func TestHarnessContainerdStoreLoadsIndexes(t *testing.T) {
	d, r, repo := harness.Daemon(t, harness.Containerd), harness.Registry(t, harness.V3), harness.Repo(t)
	env := harness.NewEnv(t)
	env.UseDaemon(d)
	index := images.Attested(
		images.Image(images.Spec{Seed: repo + "1", Platform: amd64, Format: images.OCI}),
		images.Image(images.Spec{Seed: repo + "2", Platform: arm64, Format: images.OCI}))
	whole := r.Host + "/" + repo + ":whole"
	harness.LoadOCI(t, d, whole, index, nil)
	if id := harness.Images(t, d)[whole]; id != index.Digest().String() {
		t.Errorf("image ID %s, not %s", id, index.Digest())
	}
	harness.MustRun(t, env, "docker", "push", whole)
	harness.Sound(t, r, repo, "whole")
	if m := harness.Get(t, r, repo, "whole"); m.Digest != index.Digest() {
		t.Errorf("pushed %s, not %s", m.Digest, index.Digest())
	}
	part := images.Attested(
		images.Image(images.Spec{Seed: repo + "3", Platform: amd64, Format: images.OCI}),
		images.Image(images.Spec{Seed: repo + "4", Platform: arm64, Format: images.OCI}))
	name := r.Host + "/" + repo + ":part"
	harness.LoadOCI(t, d, name, part, func(m images.Manifest) bool { return m.Descriptor.Platform.Architecture == "amd64" })
	if id := harness.Images(t, d)[name]; id != part.Digest().String() {
		t.Errorf("image ID %s, not %s", id, part.Digest())
	}
}

// buildx works without a base image and adds attestations on the containerd store.
func TestHarnessBuildxBuildsWithAttestations(t *testing.T) {
	d, r, repo := harness.Daemon(t, harness.Containerd), harness.Registry(t, harness.V3), harness.Repo(t)
	env := harness.NewEnv(t)
	env.UseDaemon(d)
	env.UseBuildx(t)
	dockerfile := "FROM scratch\nCOPY Dockerfile /\n"
	if err := os.WriteFile(filepath.Join(env.Dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	name := r.Host + "/" + repo + ":built"
	harness.MustRun(t, env, "docker", "buildx", "build", "--platform", "linux/arm64", "-t", name, env.Dir)
	harness.MustRun(t, env, "docker", "push", name)
	harness.Sound(t, r, repo, "built")
	index, err := harness.Get(t, r, repo, "built").Index()
	if err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 2 || index.Manifests[1].Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
		t.Errorf("not an image and its attestation: %+v", index.Manifests)
	}
}

// A daemon that a test has for itself can be stopped in the middle.
func TestHarnessDaemonCanBeKilled(t *testing.T) {
	d := harness.NewDaemon(t, harness.GraphDriver)
	env := harness.NewEnv(t)
	env.UseDaemon(d)
	harness.MustRun(t, env, "docker", "version")
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	harness.MustFail(t, env, 1, []string{"Is the docker daemon running?"}, "docker", "version")
}

// Containers run on either daemon, find each other by name in a network, and can be
// reached at their published ports from here.
func TestHarnessDaemonRunsContainers(t *testing.T) {
	for _, store := range stores {
		t.Run(string(store), func(t *testing.T) {
			d, name := harness.Daemon(t, store), harness.Repo(t)
			image := harness.Busybox(t, d)
			env := harness.NewEnv(t)
			env.UseDaemon(d)
			harness.MustRun(t, env, "docker", "network", "create", name)
			serve := "mkdir /www && echo hello >/www/index.html && exec httpd -f -p 80 -h /www"
			id := strings.TrimSpace(harness.MustRun(t, env, "docker", "run", "--rm", "--detach", "--network", name, "--network-alias", "web", "--publish", "127.0.0.1::80", image, "sh", "-c", serve))
			get := "until wget -q -O - http://web; do usleep 10000; done"
			if got := harness.MustRun(t, env, "docker", "run", "--rm", "--network", name, image, "sh", "-c", get); got != "hello\n" {
				t.Errorf("from a container: %q", got)
			}
			address := strings.TrimSpace(harness.MustRun(t, env, "docker", "port", id, "80"))
			rsp, err := http.Get("http://" + address)
			if err != nil {
				t.Fatal(err)
			}
			defer rsp.Body.Close()
			if got, err := io.ReadAll(rsp.Body); string(got) != "hello\n" || err != nil {
				t.Errorf("from here: %q, %v", got, err)
			}
			harness.MustRun(t, env, "docker", "kill", id)
			harness.MustRun(t, env, "docker", "run", "--rm", "--network", "none", image, "true")
		})
	}
}

// What ran on a daemon ends with it, and its networks leave nothing on the machine.
func TestHarnessContainersEndWithTheirDaemon(t *testing.T) {
	for _, store := range stores {
		for how, end := range map[string]func(*servers.Daemon) error{"stopped": (*servers.Daemon).Stop, "killed": (*servers.Daemon).Kill} {
			t.Run(string(store)+"/"+how, func(t *testing.T) {
				t.Parallel()
				d := harness.NewDaemon(t, store)
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
					t.Errorf("%s is still there", bridge)
				}
				if _, err := os.Stat(process); err == nil {
					t.Errorf("%s is still there", process)
				}
			})
		}
	}
}

// The docker command finds the plugin in an otherwise empty home.
func TestHarnessPluginIsInstalled(t *testing.T) {
	env := harness.NewEnv(t)
	if help := harness.MustRun(t, env, "docker", "multiarch", "--help"); !strings.Contains(help, "docker multiarch COMMAND") {
		t.Errorf("help: %s", help)
	}
}

// Two daemons and two registries: what the project promises to be tested with.
func TestHarnessEveryoneTakesPart(t *testing.T) {
	for _, kind := range registryKinds {
		harness.Registry(t, kind)
	}
	for _, store := range stores {
		harness.Daemon(t, store)
	}
	all := strings.Join(harness.Participants(), "\n")
	for _, name := range []string{string(harness.V3), string(harness.V28), string(harness.GraphDriver), string(harness.Containerd)} {
		if !strings.Contains(all, name) {
			t.Errorf("%s did not take part:\n%s", name, all)
		}
	}
}
