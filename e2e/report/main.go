// Command report reads the output of `go test -json`, prints the result of each package and the output of failed
// tests, and ends with a summary: how many tests ran, which were skipped and why, the slowest, and which servers took
// part. Its exit code is 1 if a test failed, if one was skipped with CI=true, or if no test ran.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is a line of test2json; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

type key struct{ pkg, test string }

// report is the state after the events so far.
type report struct {
	out          io.Writer
	output       map[key][]string
	passed       int
	failed       []key
	skipped      map[key]string
	participants map[string]bool
	times        []timing // of top-level tests
}

type timing struct {
	key
	seconds float64
}

func main() {
	r := newReport(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(r.out, lines.Text())
			continue
		}
		r.add(e)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	if !r.summary(os.Getenv("CI") == "true") {
		os.Exit(1)
	}
}

func newReport(out io.Writer) *report {
	return &report{
		out: out, output: map[key][]string{},
		skipped: map[key]string{}, participants: map[string]bool{},
	}
}

func (r *report) add(e event) {
	k := key{e.Package, e.Test}
	if e.Test != "" && e.Elapsed > 0 && !strings.Contains(e.Test, "/") {
		r.times = append(r.times, timing{k, e.Elapsed})
	}
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			k = key{pkg: e.ImportPath}
		}
		r.output[k] = append(r.output[k], e.Output)
		r.notice(e)
	case "build-fail":
		r.show(key{pkg: e.ImportPath})
	case "pass", "skip", "fail":
		r.end(k, e)
		delete(r.output, k)
	}
}

// notice collects the servers that package harness prints.
func (r *report) notice(e event) {
	for _, prefix := range []string{"participant: ", "absent: "} {
		if e.Test == "" && strings.HasPrefix(e.Output, prefix) {
			r.participants[strings.TrimSpace(e.Output)] = true
		}
	}
}

func (r *report) end(k key, e event) {
	switch {
	case k.test == "":
		if e.Action == "fail" {
			r.showUnfinished(k.pkg)
			r.show(k)
			r.failed = append(r.failed, k)
		}
		if e.Action != "skip" {
			fmt.Fprintf(r.out, "%-4s %s %.1fs\n", e.Action, k.pkg, e.Elapsed)
		}
	case e.Action == "pass":
		r.passed++
	case e.Action == "skip":
		r.skipped[k] = reason(r.output[k])
	default:
		r.show(k)
		r.failed = append(r.failed, k)
	}
}

func (r *report) show(k key) {
	for _, line := range r.output[k] {
		fmt.Fprint(r.out, line)
	}
}

// showUnfinished prints the tests that a panic or the timeout interrupted, and counts them as failed: they have no
// end of their own.
func (r *report) showUnfinished(pkg string) {
	for k := range r.output {
		if k.pkg == pkg && k.test != "" {
			r.show(k)
			r.failed = append(r.failed, k)
			delete(r.output, k)
		}
	}
}

// reason returns why a test was skipped, from its output.
func reason(output []string) string {
	var lines []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// summary prints the end of the report and returns whether the run succeeded.
func (r *report) summary(ci bool) bool {
	fmt.Fprintf(r.out, "\n%d tests passed, %d failed, %d skipped\n", r.passed, len(r.failed), len(r.skipped))
	for _, k := range r.failed {
		fmt.Fprintln(r.out, "failed:", k.pkg, k.test)
	}
	for k, why := range r.skipped {
		fmt.Fprintln(r.out, "skipped:", k.pkg, k.test, why)
	}
	slices.SortFunc(r.times, func(a, b timing) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, slow := range r.times[:min(len(r.times), 5)] {
		fmt.Fprintf(r.out, "slow: %s %s %.1fs\n", slow.pkg, slow.test, slow.seconds)
	}
	for _, line := range slices.Sorted(maps.Keys(r.participants)) {
		fmt.Fprintln(r.out, line)
	}
	return len(r.failed) == 0 && r.passed > 0 && (!ci || len(r.skipped) == 0)
}
