package store

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerstore "github.com/docker/cli/cli/manifest/store"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// jobs are what this binary runs instead of the tests when a test starts it with STORE_JOB.
var jobs = map[string]func(s *Store, arg string) error{
	"work": func(s *Store, arg string) error { return workers(s, arg) },
	"loop": loop,
}

func TestMain(m *testing.M) {
	if job := jobs[os.Getenv("STORE_JOB")]; job != nil {
		s := New(os.Getenv("STORE_ROOT"))
		if os.Getenv("STORE_ASIDE") != "" {
			s.swap = moveAside
		}
		if err := job(s, os.Getenv("STORE_ARG")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start returns a command that runs a job of this binary on the store s.
func start(t *testing.T, s *Store, aside bool, job, arg string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	// By default a process with the race detector waits a second before it exits.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "STORE_JOB="+job, "STORE_ROOT="+s.root, "STORE_ARG="+arg)
	if aside {
		cmd.Env = append(cmd.Env, "STORE_ASIDE=1")
	}
	cmd.Stderr = os.Stderr
	return cmd
}

const (
	processes          = 3
	workersPerProcess  = 4
	roundsPerWorker    = 6
	sharedList         = "h.io/shared:1"
	stateList, perTurn = "h.io/state:1", 4
)

// TestConcurrentWriters lets goroutines of several processes create, amend, annotate and remove one shared list and
// lists of their own, 252 writes in 72 rounds, and expects that none of them is lost.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	for _, aside := range []bool{false, true} {
		t.Run(fmt.Sprintf("aside=%t", aside), func(t *testing.T) {
			t.Parallel()
			s := New(memoryRoot(t))
			if aside {
				s.swap = moveAside
			}
			var others []*exec.Cmd
			for i := range processes - 1 {
				cmd := start(t, s, aside, "work", fmt.Sprint(i))
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				others = append(others, cmd)
			}
			if err := workers(s, "here"); err != nil {
				t.Error(err)
			}
			for _, cmd := range others {
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}
			wantWorkDone(t, s)
		})
	}
}

func workers(s *Store, process string) error {
	errs := make(chan error)
	for i := range workersPerProcess {
		go func() { errs <- work(s, fmt.Sprintf("%s-%d", process, i)) }()
	}
	var failed error
	for range workersPerProcess {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}

// work adds, in each round, an entry to the shared list, annotates it, and creates a list of its own, which it removes
// in every other round.
func work(s *Store, worker string) error {
	ctx := context.Background()
	shared := mustParse(sharedList)
	for round := range roundsPerWorker {
		ref := fmt.Sprintf("h.io/%s:%d", worker, round)
		if err := s.Update(ctx, shared, add(pendingEntry(ref))); err != nil {
			return err
		}
		if err := s.Update(ctx, shared, annotate(ref, "by", worker)); err != nil {
			return err
		}
		own := mustParse(ref)
		if err := s.Update(ctx, own, add(pendingEntry(ref))); err != nil {
			return err
		}
		if round%2 == 1 {
			if err := s.Remove(ctx, own); err != nil {
				return err
			}
		}
	}
	return nil
}

func wantWorkDone(t *testing.T, s *Store) {
	t.Helper()
	total := processes * workersPerProcess * roundsPerWorker
	list := mustGet(t, s, sharedList)
	if len(list.Entries) != total {
		t.Errorf("got %d entries, want %d", len(list.Entries), total)
	}
	for _, e := range list.Entries {
		worker := reference.Path(e.Ref)
		if e.Descriptor.Annotations["by"] != worker {
			t.Errorf("got annotations %v of %s, want by=%s", e.Descriptor.Annotations, e.Ref, worker)
		}
		round, err := strconv.Atoi(e.Ref.(reference.Tagged).Tag())
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(e.Ref)
		if kept := err == nil; kept != (round%2 == 0) || !kept && !errdefs.IsNotFound(err) {
			t.Errorf("list %s of round %d: got error %v, want a list after every even round", e.Ref, round, err)
		}
	}
	for stored, err := range s.All() {
		if err != nil || strings.HasPrefix(stored.Folder, ".") {
			t.Errorf("got %+v (error %v), want a list", stored, err)
		}
	}
}

func mustParse(s string) reference.Named {
	ref, err := manifest.ParseName(s)
	if err != nil {
		panic(err)
	}
	return ref
}

func pendingEntry(ref string) manifest.Entry {
	return manifest.Entry{Ref: mustParse(ref), Source: mustParse(ref)}
}

func annotate(ref, key, value string) func(manifest.List) (manifest.List, error) {
	return func(l manifest.List) (manifest.List, error) {
		found, err := l.Select(ref)
		if err != nil {
			return l, err
		}
		return l.Annotate(found[0], manifest.Annotation{Descriptor: map[string]string{key: value}})
	}
}

// state returns state k of the list: k modulo perTurn entries, with k in an annotation of the list and of each entry.
func state(k int) manifest.List {
	annotations := map[string]string{"k": fmt.Sprint(k)}
	l := manifest.List{Name: mustParse(stateList), Annotations: annotations}
	for i := range k % perTurn {
		e := pendingEntry(fmt.Sprintf("h.io/state:entry-%d", i))
		e.Descriptor.Annotations = annotations
		l.Entries = append(l.Entries, e)
	}
	return l
}

// stateOf returns the k of the list, -1 for an absent list, or an error for a mix of states.
func stateOf(l manifest.List, err error) (int, error) {
	if errdefs.IsNotFound(err) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	k, err := strconv.Atoi(l.Annotations["k"])
	if err != nil || len(l.Entries) != k%perTurn {
		return 0, fmt.Errorf("got list of state %q with %d entries (error %w)", l.Annotations["k"], len(l.Entries), err)
	}
	for _, e := range l.Entries {
		if e.Descriptor.Annotations["k"] != l.Annotations["k"] {
			return 0, fmt.Errorf("got list of state %d with an entry of state %q", k, e.Descriptor.Annotations["k"])
		}
	}
	return k, nil
}

// loop writes one state after the other, starting after arg, and prints a dot after each.
func loop(s *Store, arg string) error {
	k, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	for {
		k++
		err := s.Update(context.Background(), mustParse(stateList), func(manifest.List) (manifest.List, error) { return state(k), nil })
		if err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString("."); err != nil {
			return err
		}
	}
}

var seedFlag = flag.Uint64("seed", 0, "seed of the random moments at which writers are killed (0 for a random one)")

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

// TestKill kills a writer at any moment, and expects the last written state or the next one.
func TestKill(t *testing.T) {
	t.Parallel()
	const kills = 50
	for _, aside := range []bool{false, true} {
		t.Run(fmt.Sprintf("aside=%t", aside), func(t *testing.T) {
			t.Parallel()
			s := New(memoryRoot(t))
			k, random := 0, newRandom(t)
			for range kills {
				k = wantStateAfter(t, s, k+killWriter(t, s, aside, k, random))
				if t.Failed() {
					return
				}
			}
			t.Logf("%d states in %d lives", k, kills)
			mustPut(t, s, "h.io/other:1", image(t, "h.io/other:a"))
			if err := s.Replace(t.Context(), state(0)); err != nil {
				t.Fatal(err)
			}
			wantNoLeftovers(t, s.root, "h.io_other-1")
		})
	}
}

// killWriter lets a process write states after k, kills it, and returns how many it has written.
func killWriter(t *testing.T, s *Store, aside bool, k int, random *rand.Rand) int {
	t.Helper()
	cmd := start(t, s, aside, "loop", fmt.Sprint(k))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	written := 0
	progress := bufio.NewReader(out)
	for range random.IntN(4) + 1 {
		if _, err := progress.ReadByte(); err != nil {
			t.Fatal(err)
		}
		written++
	}
	time.AfterFunc(time.Duration(random.Int64N(int64(4*time.Millisecond))), func() { _ = cmd.Process.Kill() })
	rest, err := io.ReadAll(progress)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return written + len(rest)
}

// wantStateAfter checks that the list has state k or the next, also for docker manifest, and returns which.
func wantStateAfter(t *testing.T, s *Store, k int) int {
	t.Helper()
	got, err := stateOf(s.Get(mustParse(stateList)))
	if err != nil {
		t.Error(err)
	}
	if got == -1 {
		got = (k + 1) / perTurn * perTurn
	}
	if got != k && got != k+1 {
		t.Errorf("got state %d, want %d or the next", got, k)
	}
	images, err := dockerstore.NewStore(s.root).GetList(mustParse(stateList))
	if err != nil && !errdefs.IsNotFound(err) || len(images) != got%perTurn {
		t.Errorf("got %d entries of state %d from docker (error %v), want %d", len(images), got, err, got%perTurn)
	}
	return got
}

// TestReadersSeeWholeLists reads a list while a writer exchanges and removes it.
func TestReadersSeeWholeLists(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, s *Store) {
		var readers sync.WaitGroup
		done := make(chan struct{})
		for range 3 {
			readers.Go(func() { readStates(t, s, done) })
		}
		for k := range 120 {
			if err := s.Replace(t.Context(), state(k)); err != nil {
				t.Error(err)
			}
		}
		close(done)
		readers.Wait()
	})
}

// readStates reads the list until done, by name and by walking the store, and checks that its states only increase and
// that it is absent only where a state without entries can have been.
func readStates(t *testing.T, s *Store, done chan struct{}) {
	last, reads := 0, 0
	for ; ; reads++ {
		select {
		case <-done:
			t.Logf("%d reads", reads)
			return
		default:
		}
		k, err := stateOf(s.Get(mustParse(stateList)))
		if err != nil {
			t.Error(err)
		}
		if k != -1 && k < last {
			t.Errorf("got state %d after %d", k, last)
		}
		last = max(last, k)
		for stored, err := range s.All() {
			if k, err = stateOf(stored.List, err); err != nil || k < last {
				t.Errorf("walk: got state %d after %d (error %v)", k, last, err)
			}
			last = max(last, k)
		}
	}
}
