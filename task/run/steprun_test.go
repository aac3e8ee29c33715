package run

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// A text is found in pieces of any size, and the output is unchanged.
func TestSearch(t *testing.T) {
	text := "first line\nconnection reset by peer\n"
	for _, c := range []struct {
		texts []string
		found bool
	}{
		{[]string{"reset by"}, true},
		{[]string{"first", "second"}, true},
		{[]string{"line\nconn"}, true},
		{[]string{"peer\n"}, true},
		{[]string{text}, true},
		{[]string{"r"}, true},
		{[]string{""}, true},
		{[]string{"Reset"}, false},
		{[]string{text + "."}, false},
		{[]string{"first reset", "peer line"}, false},
	} {
		for size := range len(text) {
			var stdout, stderr bytes.Buffer
			out, found := search(Output{&stdout, &stderr}, c.texts)
			writer := []io.Writer{out.Stdout, out.Stderr}[size%2]
			for rest := text; rest != ""; rest = rest[min(size+1, len(rest)):] {
				_, _ = io.WriteString(writer, rest[:min(size+1, len(rest))])
			}
			if found() != c.found || stdout.String()+stderr.String() != text {
				t.Errorf("%q in pieces of %d bytes: got found %t, want %t; got output %q", c.texts, size+1, found(), c.found, stdout.String()+stderr.String())
			}
		}
	}
}

// A text that is split between the streams is not found.
func TestSearchSeparatesStreams(t *testing.T) {
	out, found := search(Output{io.Discard, io.Discard}, []string{"ab"})
	_, _ = io.WriteString(out.Stdout, "a")
	_, _ = io.WriteString(out.Stderr, "b")
	if found() {
		t.Error("got a text found across two streams, want none")
	}
}

// Of any amount of output, less than the length of the text is kept.
func TestSearchKeepsLittle(t *testing.T) {
	out, _ := search(Output{io.Discard, io.Discard}, []string{"needle"})
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		_, _ = out.Stdout.Write(bytes.Repeat([]byte("n"), r.IntN(10000)))
	}
	if s := out.Stdout.(*searcher); len(s.tail) != 5 || cap(s.tail) > 64 {
		t.Errorf("got %d bytes kept with capacity %d, want 5 and at most 64", len(s.tail), cap(s.tail))
	}
}

// If no program ran, retryOnErrors applies to the error.
func TestRetryOnErrorsSearchesErrors(t *testing.T) {
	for code, want := range map[int]int{-1: 2, 3: 1} {
		synctest.Test(t, func(t *testing.T) {
			steps := []task.Step{{ID: "a", Retries: 1, RetryOnErrors: []string{"nothing", "broke"}}}
			results, _ := Steps(t.Context(), steps, Options{}, failing(9, code), &recorder{})
			if got := results[0].Attempts; got != want {
				t.Errorf("exit code %d: got %d attempts, want %d", code, got, want)
			}
		})
	}
}

// Events contain the attempt and repetition, and how the previous attempt ended.
func TestEventsOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		progress := &recorder{}
		step := task.Step{ID: "a", StartDelay: time.Second, Retries: 1, RetryDelay: time.Second, Repeat: 1}
		if _, err := Steps(t.Context(), []task.Step{step}, Options{}, failing(3, 5), progress); err == nil {
			t.Error("got no error, want one")
		}
		var got []string
		start := progress.events[0].Time
		for _, e := range progress.events {
			got = append(got, fmt.Sprint(e.Time.Sub(start), " ", e.State, " ", e.Repetition, " ", e.Attempt, " ", e.ExitCode, " ", e.Err, " ", e.Took))
		}
		want := `0s waiting 0 0 -1 <nil> 0s
1s running 0 1 -1 <nil> 0s
1s running 0 2 5 broken 0s
2s running 1 1 5 broken 0s
2s running 1 2 5 broken 0s
3s failed 0 4 5 1 of 2 repetitions failed: broken 2s`
		if strings.Join(got, "\n") != want {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
	})
}

// The output of all attempts goes to the same streams, in order.
func TestOutputOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		progress, n := &recorder{}, 0
		runner := runnerFunc(func(_ context.Context, _ task.Step, out Output, _ func()) (int, error) {
			n++
			fmt.Fprintln(out.Stdout, n)
			return 1, errBroken
		})
		_, _ = Steps(t.Context(), []task.Step{{ID: "a", Retries: 2, RetryOnErrors: []string{"\n"}}}, Options{}, runner, progress)
		if got := progress.outputs["a"].String(); got != "1\n2\n3\n" {
			t.Errorf("got output %q, want 1, 2 and 3", got)
		}
	})
}
