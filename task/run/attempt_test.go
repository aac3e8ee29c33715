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

// A text is found however it comes, and all is written on as it came.
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
				t.Errorf("%q in pieces of %d: %v", c.texts, size+1, found())
			}
		}
	}
}

// What is on two streams is not one text.
func TestSearchTakesStreamsApart(t *testing.T) {
	out, found := search(Output{io.Discard, io.Discard}, []string{"ab"})
	_, _ = io.WriteString(out.Stdout, "a")
	_, _ = io.WriteString(out.Stderr, "b")
	if found() {
		t.Error("found")
	}
}

// However much is written, what is kept of it is no longer than the text.
func TestSearchKeepsLittle(t *testing.T) {
	out, _ := search(Output{io.Discard, io.Discard}, []string{"needle"})
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		_, _ = out.Stdout.Write(bytes.Repeat([]byte("n"), r.IntN(10000)))
	}
	if s := out.Stdout.(*searched); len(s.tail) != 5 || cap(s.tail) > 64 {
		t.Errorf("%d bytes of %d", len(s.tail), cap(s.tail))
	}
}

// Where no program ran, its error is what it has to say.
func TestRetryOnErrorsLooksAtErrors(t *testing.T) {
	for code, tries := range map[int]int{-1: 2, 3: 1} {
		synctest.Test(t, func(t *testing.T) {
			steps := []task.Step{{ID: "a", Retries: 1, RetryOnErrors: []string{"nothing", "broke"}}}
			results, _ := Steps(t.Context(), steps, Options{}, failing(9, code), &recorder{})
			if results[0].Tries != tries {
				t.Errorf("%d tries", results[0].Tries)
			}
		})
	}
}

// Events say which try and repetition it is, and how that before ended.
func TestEventsOfTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &recorder{}
		step := task.Step{ID: "a", StartDelay: time.Second, Retries: 1, RetryDelay: time.Second, Repeat: 1}
		if _, err := Steps(t.Context(), []task.Step{step}, Options{}, failing(3, 5), told); err == nil {
			t.Error("no error")
		}
		var got []string
		start := told.events[0].Time
		for _, e := range told.events {
			got = append(got, fmt.Sprint(e.Time.Sub(start), " ", e.State, " ", e.Repetition, " ", e.Try, " ", e.ExitCode, " ", e.Err, " ", e.Took))
		}
		want := `0s waiting 0 0 -1 <nil> 0s
1s running 0 1 -1 <nil> 0s
1s running 0 2 5 broken 0s
2s running 1 1 5 broken 0s
2s running 1 2 5 broken 0s
3s failed 0 4 5 1 of 2 repetitions failed: broken 2s`
		if strings.Join(got, "\n") != want {
			t.Errorf("got\n%s", strings.Join(got, "\n"))
		}
	})
}

// Output of all tries comes in order through one pair of streams.
func TestOutputOfTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, n := &recorder{}, 0
		runner := runnerFunc(func(_ context.Context, _ task.Step, out Output, _ func()) (int, error) {
			n++
			fmt.Fprintln(out.Stdout, n)
			return 1, errBroken
		})
		_, _ = Steps(t.Context(), []task.Step{{ID: "a", Retries: 2, RetryOnErrors: []string{"\n"}}}, Options{}, runner, told)
		if got := told.outputs["a"].String(); got != "1\n2\n3\n" {
			t.Errorf("got %q", got)
		}
	})
}
