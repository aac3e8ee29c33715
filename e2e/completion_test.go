package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// complete returns what a shell completes after docker multiarch ARGS, without descriptions.
func (s *scene) complete(args ...string) []string {
	s.Helper()
	var offers []string
	for line := range strings.Lines(s.docker(append([]string{"__complete", "multiarch"}, args...)...)) {
		offer, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !strings.HasPrefix(offer, ":") {
			offers = append(offers, offer)
		}
	}
	return offers
}

func (s *scene) offers(want []string, args ...string) {
	s.Helper()
	got := s.complete(args...)
	for _, w := range want {
		if !slices.Contains(got, w) {
			s.Errorf("%v: got completions %v, want %q among them", args, got, w)
		}
	}
}

// Shell completion offers commands, local lists, their entries, images of the daemon and values of flags.
func TestCompletion(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.load(s.plain("local"), amd64)
		s.put(s.repo, "amd64", images.Spec{Platform: amd64})
		s.put(s.repo, "arm64", images.Spec{Platform: arm64})
		s.multiarch("create", s.list, s.name("amd64"), s.name("arm64"))
		lists, entries, local := []string{s.list}, []string{s.name("amd64"), s.name("arm64")}, []string{s.plain("local")}
		s.offers([]string{"create", "push", "version"}, "")
		for _, command := range []string{"annotate", "drop", "inspect", "push", "rm", "create", "tag"} {
			s.offers(lists, command, "")
		}
		s.offers(entries, "annotate", s.list, "")
		s.offers(entries, "drop", s.list, "")
		s.offers(entries[1:], "drop", s.list, entries[0], "")
		s.offers(local, "create", s.list, "")
		s.offers(local, "tag", "")
		s.offers([]string{"linux/amd64", "windows/arm64"}, "create", "--platform", "")
		s.offers([]string{"linux/riscv64"}, "create", "--require", "")
		s.offers([]string{"daemon", "registry"}, "create", "--from", "")
		s.offers([]string{"loong64"}, "annotate", "--arch", "")
		s.offers([]string{"tags"}, "push", "--purge=")
		if got := s.complete("rm", s.list, ""); len(got) != 0 {
			s.Errorf("got completions %v, want none, as the list is typed already", got)
		}
	})
}

// With a broken store or daemon, completion offers everything else.
func TestCompletionWithoutStoreAndDaemon(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.silentDaemon()
	for _, args := range [][]string{{"rm", ""}, {"annotate", "x:1", ""}, {"create", s.list, ""}, {"tag", ""}} {
		if got := s.complete(args...); len(got) != 0 {
			t.Errorf("%v: got completions %v, want none", args, got)
		}
	}
	if err := os.WriteFile(filepath.Join(s.Config, "manifests"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.offers([]string{"push"}, "p")
	if got := s.complete("rm", ""); len(got) != 0 {
		t.Errorf("got completions %v, want none", got)
	}
}

// The docker command lists the plugin, and the binary also works on its own.
func TestPluginIsListedAndWorksAlone(t *testing.T) {
	s, _, _ := newListScene(t)
	says(t, s.docker("--help"), "multiarch*", "Publish images for several architectures under one name")
	says(t, harness.Run(t, s.Env, "docker", "info").Stdout, "multiarch: Publish images", filepath.Join(s.Config, "cli-plugins", "docker-multiarch"))
	plugin, err := harness.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"version"}, {"ls", "-q"}, {"inspect", s.list}, {"--help"}, {"create", "--help"}} {
		alone, under := harness.Run(t, s.Env, plugin, args...), s.multiarch(args...)
		if alone.Code != 0 || alone.Stdout != under.Stdout {
			t.Errorf("%v: got exit code %d and %q from the binary, want %q as from docker", args, alone.Code, alone.Stdout, under.Stdout)
		}
	}
	harness.MustFail(t, s.Env, 125, []string{"unknown flag: --nope"}, plugin, "create", "--nope")
	harness.MustFail(t, s.Env, 1, []string{"No such manifest"}, plugin, "rm", s.name("none"))
	says(t, s.docker("multiarch", "version"), "docker-multiarch ", ", commit ", ", built ")
}
