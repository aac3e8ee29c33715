package e2e

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
	"github.com/docker-multiarch/docker-multiarch/e2e/wire"
)

// graphs is how many random repositories are purged in a real registry with the built binary; every tenth through the
// docker command.
const graphs = 500

// After a purge of any repository, all content of the kept tags exists, and what should be removed is absent, by a
// model that shares no code with the plugin.
func TestPurgeOfRandomRepositories(t *testing.T) {
	t.Parallel()
	c := &purgeCheck{Env: harness.NewEnv(t), registry: harness.NewRegistry(t, harness.RegistryOptions{})}
	c.base = images.Image(images.Spec{Seed: "purge", Platform: amd64, Format: images.OCI})
	const parts = 4
	for part := range uint64(parts) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < graphs; seed += parts {
				if err := c.run(t, seed); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

type purgeCheck struct {
	*harness.Env
	registry *servers.Registry
	base     images.Manifest
}

// purgeArgs returns random flags of a purge, and the tags that they select.
func (g *repoGraph) purgeArgs() (args []string, asked map[string]bool, deep bool) {
	args, pattern, keep := []string{"--all", "--filter", "old-*"}, "^old-", g.random.IntN(3)
	if g.random.IntN(3) == 0 {
		args, pattern, keep = []string{"--all", "--filter", "regex:(old|sha256)-.*"}, "^(old|sha256)-", 0
	}
	if keep > 0 {
		args = append(args, "--orderby", "name", "--keep", fmt.Sprint(keep))
	}
	if deep = g.random.IntN(2) == 0; deep {
		args = append(args, "-r")
	}
	var matching []string
	asked = map[string]bool{}
	follows := g.follows()
	for _, tag := range slices.Sorted(maps.Keys(g.tags)) {
		switch _, follow := follows[tag]; {
		case !regexp.MustCompile(pattern).MatchString(tag):
		case follow:
			asked[tag] = true
		default:
			matching = append(matching, tag)
		}
	}
	for _, tag := range matching[:max(len(matching)-keep, 0)] {
		asked[tag] = true
	}
	return args, asked, deep
}

func (c *purgeCheck) run(t *testing.T, seed uint64) error {
	g, repo := newRepoGraph(seed, c.base), fmt.Sprintf("purge/%d", seed)
	if err := g.put(t, c.registry.Client, repo); err != nil {
		return err
	}
	args, asked, deep := g.purgeArgs()
	want := g.model(asked, deep)
	name := []string{"docker", "multiarch"}
	if seed%10 != 0 {
		plugin, err := harness.Plugin()
		if err != nil {
			return err
		}
		name = []string{plugin}
	}
	command := slices.Concat(name[1:], []string{"repo", "purge", "--force"}, args, []string{c.registry.Host + "/" + repo})
	r := harness.Run(t, c.Env, name[0], command...)
	if lost := g.lostIndex(); lost != "" {
		if r.Code != 1 || !strings.Contains(r.Stderr, "--assume-gone "+lost) {
			return fmt.Errorf("%v: got exit code %d, want 1 and a hint with %s\n%s%s", command, r.Code, lost, r.Stdout, r.Stderr)
		}
		if err := g.check(t, c.registry.Client, repo, purged{}); err != nil {
			return fmt.Errorf("%v: %w\n%s%s", command, err, r.Stdout, r.Stderr)
		}
		command = append(command, "--assume-gone", lost)
		r = harness.Run(t, c.Env, name[0], command...)
	}
	if r.Code != 0 {
		return fmt.Errorf("%v: got exit code %d, want 0\n%s%s", command, r.Code, r.Stdout, r.Stderr)
	}
	if err := g.check(t, c.registry.Client, repo, want); err != nil {
		return fmt.Errorf("%v: %w\n%s%s", command, err, r.Stdout, r.Stderr)
	}
	return nil
}

// put puts the repository into the registry.
func (g *repoGraph) put(t *testing.T, r wire.Client, repo string) error {
	for _, b := range g.base.Blobs {
		if err := r.PutBlob(t.Context(), repo, b.Data); err != nil {
			return err
		}
	}
	for _, m := range g.manifests {
		if err := r.PutManifest(t.Context(), repo, m.Digest().String(), m.Descriptor.MediaType, m.Raw); err != nil {
			return err
		}
	}
	for tag, i := range g.tags {
		if err := r.PutManifest(t.Context(), repo, tag, g.manifests[i].Descriptor.MediaType, g.manifests[i].Raw); err != nil {
			return err
		}
	}
	for _, m := range g.manifests {
		if m.absent {
			if err := r.Delete(t.Context(), repo, m.Digest()); err != nil {
				return err
			}
		}
	}
	return nil
}

// check compares the registry with the model: nothing else is removed, and every tag that was complete still is.
func (g *repoGraph) check(t *testing.T, r wire.Client, repo string, want purged) error {
	var problems []error
	for i, m := range g.manifests {
		_, err := r.Get(t.Context(), repo, m.Digest().String())
		if gone := errors.Is(err, wire.ErrNotFound); gone != (m.absent || want.manifests[i]) {
			problems = append(problems, fmt.Errorf("manifest %s with the tags %v: got absent: %t, want %t", m.Digest(), g.names(i), gone, !gone))
		}
	}
	tags, err := r.Snapshot(t.Context(), repo)
	problems = append(problems, err)
	for tag, i := range g.tags {
		if left := tags[tag] == g.manifests[i].Digest().String(); left == want.tags[tag] {
			problems = append(problems, fmt.Errorf("tag %s: got kept: %t, want %t", tag, left, !left))
		}
		if !want.tags[tag] && g.isComplete(i) {
			problems = append(problems, r.Check(t.Context(), repo, tag))
		}
	}
	return errors.Join(problems...)
}

func (g *repoGraph) isComplete(i int) bool {
	return !g.manifests[i].absent && !slices.ContainsFunc(g.manifests[i].children, func(c int) bool { return !g.isComplete(c) })
}

func (g *repoGraph) isReferrer(i int) bool {
	return len(g.manifests[i].subjects) > 0 ||
		slices.ContainsFunc(g.manifests, func(m graphManifest) bool { _, ok := m.attests[i]; return ok })
}

func (g *repoGraph) names(i int) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g.tags)), func(tag string) bool { return g.tags[tag] != i })
}

// The random repositories have the cases in which other purges have failed.
func TestRandomRepositoriesHaveEveryCase(t *testing.T) {
	base := images.Image(images.Spec{Seed: "purge", Platform: amd64, Format: images.OCI})
	met := map[string]int{}
	for seed := range uint64(graphs) {
		g := newRepoGraph(seed, base)
		_, asked, deep := g.purgeArgs()
		want := g.model(asked, deep)
		for i, m := range g.manifests {
			nested := slices.ContainsFunc(m.children, func(c int) bool { return len(g.manifests[c].children) > 0 })
			kept := !want.manifests[i]
			met["nested"] += timesMet(nested)
			met["absent"] += timesMet(m.absent)
			met["absent index"] += timesMet(m.Digest().String() == g.lostIndex())
			met["index removed, its child kept"] += timesMet(!kept && slices.ContainsFunc(m.children, func(c int) bool { return !want.manifests[c] && !g.manifests[c].absent }))
			met["referrer removed"] += timesMet(!kept && g.isReferrer(i))
			met["referrer kept"] += timesMet(kept && g.isReferrer(i))
			met["manifest kept, its tag removed"] += timesMet(kept && slices.ContainsFunc(g.names(i), func(tag string) bool { return want.tags[tag] }))
		}
		for tag := range g.tags {
			met["digest tag removed"] += timesMet(want.tags[tag] && strings.HasPrefix(tag, "sha256-"))
			met["digest tag kept"] += timesMet(!want.tags[tag] && strings.HasPrefix(tag, "sha256-"))
		}
		met["deep"] += timesMet(deep)
	}
	for _, kind := range []string{"nested", "absent", "absent index", "index removed, its child kept", "referrer removed", "referrer kept",
		"manifest kept, its tag removed", "digest tag removed", "digest tag kept", "deep"} {
		if met[kind] < 20 {
			t.Errorf("%s: got %d cases, want at least 20", kind, met[kind])
		}
	}
}

func timesMet(b bool) int {
	if b {
		return 1
	}
	return 0
}
