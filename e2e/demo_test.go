package e2e

import (
	"cmp"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// The demo works with either daemon and without one, and leaves neither images nor lists behind.
func TestDemo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "demo")
	if err := servers.Build(program, filepath.Join("e2e", "demo")); err != nil {
		t.Fatal(err)
	}
	for _, store := range append([]servers.Store{""}, stores...) {
		t.Run(cmp.Or(string(store), "no daemon"), func(t *testing.T) {
			env := harness.NewEnv(t)
			env.UseGo(t)
			env.Dir = ".."
			env.Set("DOCKER_CONFIG", "") // counts as unset: the plugin is in .docker of the home
			want := []string{"push --purge", "create --push", "linux/amd64", "linux/arm64", "\nsha256:", "No daemon answers"}
			if store != "" {
				env.UseDaemon(harness.Daemon(t, store))
				want[len(want)-1] = "$ docker load"
			}
			out := harness.MustRun(t, env, program)
			says(t, out, want...)
			if left := leftByDemo(t, env, store); len(left) > 0 {
				t.Errorf("got %v left behind, want nothing", left)
			}
		})
	}
}

// leftByDemo returns the demo's local lists and its names in the daemon.
func leftByDemo(t *testing.T, env *harness.Env, store servers.Store) []string {
	left, err := filepath.Glob(filepath.Join(env.Config, "manifests", "[^.]*"))
	if err != nil {
		t.Fatal(err)
	}
	if store == "" {
		return left
	}
	for name := range harness.Images(t, harness.Daemon(t, store)) {
		if strings.Contains(name, "docker-multiarch-demo") || strings.Contains(name, "team/hello") {
			left = append(left, name)
		}
	}
	return left
}
