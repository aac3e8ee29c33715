package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// platformNumber returns a different platform for each n.
func platformNumber(n int) ocispec.Platform {
	return ocispec.Platform{OS: "linux", Architecture: "arm", Variant: fmt.Sprintf("v%d", n)}
}

// job is one process of the plugin, started without the docker command.
type job struct {
	args []string
	code int
	text string
}

// together runs all jobs concurrently.
func (s *scene) together(jobs []*job) {
	s.Helper()
	plugin, err := harness.Plugin()
	if err != nil {
		s.Fatal(err)
	}
	begin := make(chan struct{})
	var group sync.WaitGroup
	for _, j := range jobs {
		group.Go(func() {
			<-begin
			var out bytes.Buffer
			cmd := s.Command(context.WithoutCancel(s.Context()), plugin, j.args...)
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
				out.WriteString(err.Error())
			}
			j.code, j.text = cmd.ProcessState.ExitCode(), out.String()
		})
	}
	close(begin)
	group.Wait()
}

// nothingLeft checks that no writer left a temporary folder in the store.
func (s *scene) nothingLeft() {
	s.Helper()
	items, err := os.ReadDir(filepath.Join(s.Config, "manifests"))
	if err != nil {
		s.Fatal(err)
	}
	for _, item := range items {
		if strings.HasPrefix(item.Name(), ".") && item.Name() != ".lock" {
			s.Errorf("got %s left in the store, want only lists and .lock", item.Name())
		}
	}
}

// Forty processes change the same and different lists concurrently: no change is lost, and no other list is affected.
func TestProcessesLoseNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	const each = 10
	var base []string
	for n := range each {
		s.put(s.repo, fmt.Sprintf("base%d", n), images.Spec{Platform: platformNumber(n)})
		s.put(s.repo, fmt.Sprintf("more%d", n), images.Spec{Platform: platformNumber(100 + n)})
		base = append(base, s.name(fmt.Sprintf("base%d", n)))
	}
	s.multiarch(append([]string{"create", s.list}, base...)...)
	s.multiarch("create", s.name("other"), base[0], base[1])
	other := s.multiarch("inspect", s.name("other")).Stdout
	var jobs []*job
	for n := range each {
		s.multiarch("tag", s.list, s.name(fmt.Sprintf("gone%d", n)))
		jobs = append(jobs,
			&job{args: []string{"create", "--amend", s.list, s.name(fmt.Sprintf("more%d", n))}},
			&job{args: []string{"annotate", s.list, base[n], "--annotation", fmt.Sprintf("n=%d", n)}},
			&job{args: []string{"create", s.name(fmt.Sprintf("own%d", n)), base[n], s.name(fmt.Sprintf("more%d", n))}},
			&job{args: []string{"rm", s.name(fmt.Sprintf("gone%d", n))}})
	}
	s.together(jobs)
	for _, j := range jobs {
		if j.code != 0 {
			t.Errorf("%v: got exit code %d, want 0\n%s", j.args, j.code, j.text)
		}
	}
	want := []string{s.list, s.name("other")}
	for n := range each {
		want = append(want, s.name(fmt.Sprintf("own%d", n)))
	}
	if names := s.names(); !maps.Equal(set(names), set(want)) || len(names) != len(want) {
		t.Errorf("got lists %v, want %v", names, want)
	}
	if now := s.multiarch("inspect", s.name("other")).Stdout; now != other {
		t.Errorf("got %s for the other list, want %s", now, other)
	}
	s.nothingLeft()
	s.multiarch("push", s.list)
	index, err := harness.Get(t, s.registry, s.repo, "1").Index()
	if err != nil || len(index.Manifests) != 2*each {
		t.Fatalf("got %d entries (error %v), want %d", len(index.Manifests), err, 2*each)
	}
	for n, d := range index.Manifests[:each] {
		if d.Annotations["n"] != fmt.Sprint(n) || d.Platform.Variant != fmt.Sprintf("v%d", n) {
			t.Errorf("got entry %+v, want the annotation and variant of %d", d, n)
		}
	}
}

func set(names []string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

// If several processes create the same list, one succeeds and the others report that it exists.
func TestProcessesCreateOneListOnce(t *testing.T) {
	s, _, _ := newListScene(t)
	var jobs []*job
	for range 12 {
		jobs = append(jobs, &job{args: []string{"create", s.name("new"), s.name("amd64"), s.name("arm64")}})
	}
	s.together(jobs)
	won := slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.code != 0 })
	if len(won) != 1 {
		t.Errorf("got %d processes that created the list, want 1", len(won))
	}
	for _, j := range jobs {
		if j.code != 0 {
			says(t, j.text, "--amend", s.name("new"))
		}
	}
	s.multiarch("push", s.name("new"))
	s.holds("new", "linux/amd64", "linux/arm64/v8")
}

// A process that is killed during an amend leaves the old list or the new one, for both tools, and does not block the
// next one.
func TestKilledProcessLeavesOldOrNew(t *testing.T) {
	s, a, _ := newListScene(t)
	plugin, err := harness.Plugin()
	if err != nil {
		t.Fatal(err)
	}
	amend := []string{"create", "--amend", s.list, s.name("arm64"), s.name("amd64")}
	started := time.Now()
	harness.MustRun(t, s.Env, plugin, amend...)
	whole := time.Since(started)
	const kills = 50
	killed, moved, random := 0, 0, newRandom(t)
	now := s.digestOf("arm64")
	for n := range kills {
		next := s.put(s.repo, "arm64", images.Spec{Seed: fmt.Sprint(s.repo, n), Platform: arm64}).Digest().String()
		cmd := s.Command(t.Context(), plugin, amend...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.killSomewhere(cmd, n, whole, random)
		if cmd.ProcessState.ExitCode() != 0 {
			killed++
		}
		theirs, ours := s.docker("manifest", "inspect", s.list), harness.MustRun(t, s.Env, plugin, "inspect", s.list)
		if !strings.Contains(theirs, a.Digest().String()) || !strings.Contains(ours, a.Digest().String()) {
			t.Fatalf("got lists without %s:\n%s\n%s", a.Digest(), theirs, ours)
		}
		isNew := strings.Contains(ours, next)
		if isNew {
			now = next
			moved++
		}
		if !strings.Contains(ours, now) || !strings.Contains(theirs, now) || strings.Count(ours, `"digest"`) != 2 {
			t.Fatalf("got neither the old nor the new list:\n%s\n%s", theirs, ours)
		}
	}
	t.Logf("%d of %d processes were killed, %d lists changed", killed, kills, moved)
	if killed == 0 {
		t.Error("got no process killed before its end, want at least one")
	}
	harness.MustRun(t, s.Env, plugin, amend...)
	s.nothingLeft()
	s.multiarch("push", s.list)
	s.holds("1", "linux/amd64", "linux/arm64/v8")
}

var seedFlag = flag.Uint64("seed", 0, "seed of the random moments at which processes are killed (0 for a random one)")

// newRandom returns the random numbers of -seed. If the test fails, it logs how to run it with the same ones.
func newRandom(t testing.TB) *rand.Rand {
	seed := *seedFlag
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("run again with: go test -run '^%s$' . -seed %d", t.Name(), seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// killSomewhere kills a process that takes about as long as whole: at any moment, or, every other time, while it
// writes to the store.
func (s *scene) killSomewhere(cmd *exec.Cmd, n int, whole time.Duration, random *rand.Rand) {
	s.Helper()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	if n%2 == 0 {
		select {
		case <-ended:
		case <-time.After(time.Duration(random.Int64N(int64(whole * 5 / 4)))):
		}
	} else {
		s.awaitWriter(ended)
		select {
		case <-ended:
		case <-time.After(time.Duration(random.Int64N(int64(3 * time.Millisecond)))):
		}
	}
	_ = cmd.Process.Kill()
	<-ended
}

// awaitWriter waits until a writer has created a temporary folder in the store.
func (s *scene) awaitWriter(ended chan struct{}) {
	s.Helper()
	for {
		if found, err := filepath.Glob(filepath.Join(s.Config, "manifests", ".tmp-*")); err != nil || len(found) > 0 {
			return
		}
		select {
		case <-ended:
			return
		default:
		}
	}
}

// digestOf returns the digest of a tag of the target repository.
func (s *scene) digestOf(tag string) string {
	s.Helper()
	return harness.Get(s.T, s.registry, s.repo, tag).Digest.String()
}

// pushers is how many processes push the same images concurrently.
const pushers = 3

// Several pushes of the same images to one list all succeed, and none of their staging tags is left. Whether one
// removes another's tag depends on timing here; manifest's TestPushStagedOnceMore forces it.
func TestProcessesPushTheSameImages(t *testing.T) {
	for name, command := range map[string]func(s *scene) []string{
		"push":   func(s *scene) []string { return []string{"push", s.list} },
		"create": func(s *scene) []string { return []string{"create", "--push", s.list, s.plain("a"), s.plain("b")} },
	} {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(s *scene) {
				a, b := s.load(s.plain("a"), amd64), s.load(s.plain("b"), arm64)
				before := s.daemonTags()
				s.multiarch("create", s.list, s.plain("a"), s.plain("b"))
				var jobs []*job
				for range pushers {
					jobs = append(jobs, &job{args: command(s)})
				}
				s.together(jobs)
				for _, j := range jobs {
					if j.code != 0 {
						s.Errorf("%v: got exit code %d, want 0\n%s", j.args, j.code, j.text)
					}
					s.noWarning(j.text)
				}
				s.holdsImages(s.holds("1", "linux/amd64", "linux/arm64/v8"), a, b)
				s.sameDaemonTags(before)
				if name == "push" {
					s.nothingPending()
				}
			})
		})
	}
}
