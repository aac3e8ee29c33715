// Package harness gives tests the built plugin, real registries and real daemons.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
//
// Servers are started when the first test asks for them, shared by all tests of
// the package, and stopped by Main, after a failure and on Ctrl-C too. Tests stay
// apart by repository names (Repo) and by configuration folders (NewEnv).
package harness

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// run is everything that the tests of one package share.
type run struct {
	mu           sync.Mutex
	dir          string
	started      int
	stops        []func() error
	participants map[string]bool
	absent       map[string]bool
}

var shared = &run{participants: map[string]bool{}, absent: map[string]bool{}}

// Main runs the tests, stops what they started, prints which servers took part,
// and returns the exit code for the process.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dm-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		return 1
	}
	shared.dir = dir
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		_ = shared.stop()
		os.Exit(130)
	}()
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		code = max(code, 1)
	}
	shared.print()
	return code
}

// stop ends all servers, the last one first, and removes their folders. The lock
// stays held: nothing is started after it.
func (r *run) stop() error {
	r.mu.Lock()
	var errs []error
	for _, stop := range slices.Backward(r.stops) {
		errs = append(errs, stop())
	}
	r.stops = nil
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// folder makes a new folder with a short path that lives as long as the run.
func (r *run) folder() (string, error) {
	if r.dir == "" {
		return "", errors.New("TestMain of this package does not call harness.Main")
	}
	r.started++
	dir := filepath.Join(r.dir, strconv.Itoa(r.started))
	return dir, os.Mkdir(dir, 0o700)
}

// start runs one start function at a time and remembers how to stop its server.
func (r *run) start(f func(dir string) (name string, stop func() error, err error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	dir, err := r.folder()
	if err != nil {
		return err
	}
	name, stop, err := f(dir)
	if err != nil {
		return err
	}
	r.participants[name] = true
	r.stops = append(r.stops, stop)
	return nil
}

func (r *run) print() {
	for _, name := range slices.Sorted(maps.Keys(r.participants)) {
		fmt.Println("participant:", name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.absent)) {
		fmt.Println("absent:", name)
	}
}

// require ends the test when err is not nil: as skipped when a server cannot be
// had on this machine, unless CI=true, and as failed otherwise.
func require(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if !errors.Is(err, servers.ErrUnavailable) {
		t.Fatal(err)
	}
	shared.mu.Lock()
	shared.absent[what] = true
	shared.mu.Unlock()
	if os.Getenv("CI") == "true" {
		t.Fatalf("with CI=true nothing may be absent: %v", err)
	}
	t.Skip(err)
}
