// Package harness gives tests the built plugin, real registries and real daemons.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
//
// Servers are started when the first test needs them ([Registry], [Daemon]), shared by all tests of the package, and
// stopped by [Main], also after a failure and on Ctrl-C. Tests are isolated by repository names ([Repo]) and by
// configuration folders ([NewEnv]). Package servers starts the programs, package wire reads back what a registry has.
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

// run is the state that all tests of a package share.
type run struct {
	mu           sync.Mutex
	dir          string
	started      int
	stops        []func() error
	participants map[string]bool
	absent       map[string]bool
}

var shared = &run{participants: map[string]bool{}, absent: map[string]bool{}}

// Main runs the tests, stops the servers, prints which of them took part, and returns the exit code for the process.
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

// stop stops all servers in reverse order, and removes their folders. It keeps the lock: nothing is started after it.
func (r *run) stop() error {
	r.mu.Lock()
	var errs []error
	for _, stop := range slices.Backward(r.stops) {
		errs = append(errs, stop())
	}
	r.stops = nil
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// folder creates a new folder with a short path that exists until the end of the run.
func (r *run) folder() (string, error) {
	if r.dir == "" {
		return "", errors.New("TestMain of this package does not call harness.Main")
	}
	r.started++
	dir := filepath.Join(r.dir, strconv.Itoa(r.started))
	return dir, os.Mkdir(dir, 0o700)
}

// start runs one start function at a time and records how to stop its server.
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

// require ends the test if err is not nil. If a server is not available on this machine the test is skipped, unless
// CI=true; otherwise it fails.
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
		t.Fatalf("all servers are required with CI=true: %v", err)
	}
	t.Skip(err)
}
