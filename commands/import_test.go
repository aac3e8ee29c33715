package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestImportFlags(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	base := func(change func(*importOptions)) importOptions {
		o := importOptions{source: "a.example.com/app:1", target: "b.example.com/app", progress: display.ProgressAuto}
		change(&o)
		return o
	}
	for want, opts := range map[string]importOptions{
		`"A B" is not a reference`:           base(func(o *importOptions) { o.source = "A B" }),
		`"B" is not a reference`:             base(func(o *importOptions) { o.target = "B" }),
		"has a digest":                       base(func(o *importOptions) { o.target += digest }),
		"is not in the repository":           base(func(o *importOptions) { o.tags = []string{"c.example.com/app:1"} }),
		"--filter requires --all-tags":       base(func(o *importOptions) { o.transfer.Filters = make([]manifest.Pattern, 1) }),
		"SOURCE and TARGET must be":          base(func(o *importOptions) { o.transfer.AllTags = true }),
		"--tag cannot be combined":           base(func(o *importOptions) { o.transfer.AllTags, o.tags = true, []string{"1"} }),
		"--metadata-file cannot be combined": base(func(o *importOptions) { o.transfer.AllTags, o.output.digestFile = true, "x" }),
		"requires --src-username":            base(func(o *importOptions) { o.passwordStdin = true }),
		"requires --src-password-stdin":      base(func(o *importOptions) { o.username = "ann" }),
	} {
		if _, err := opts.request(); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	for want, opts := range map[string]importOptions{
		"[b.example.com/app:1]":                     base(func(*importOptions) {}),
		"[b.example.com/app:2 b.example.com/app:3]": base(func(o *importOptions) { o.target, o.tags = o.target+":2", []string{"3", "2"} }),
		"[]":                         base(func(o *importOptions) { o.source = "app" + digest }),
		"[b.example.com/app:3]":      base(func(o *importOptions) { o.source, o.tags = "app"+digest, []string{"b.example.com/app:3"} }),
		"[b.example.com/app:latest]": base(func(o *importOptions) { o.source = "app" }),
	} {
		if i, err := opts.request(); err != nil || fmt.Sprint(i.Tags) != want || i.Source.String() == "docker.io/library/app" {
			t.Errorf("got %v, error %v, want tags %s", i, err, want)
		}
	}
	i, err := base(func(o *importOptions) { o.source, o.transfer.AllTags = "app", true }).request()
	if err != nil || i.Source.String() != "docker.io/library/app" || len(i.Tags) != 0 {
		t.Errorf("got %v, error %v, want the repository docker.io/library/app without tags", i, err)
	}
}

func TestPasswordFromStdin(t *testing.T) {
	for in, want := range map[string]string{"a\n": "a", "a\r\n": "a", " a b ": " a b ", "a\n\n": "a\n", strings.Repeat("x", maxPassword): strings.Repeat("x", maxPassword)} {
		if got, err := password(t.Context(), strings.NewReader(in)); err != nil || got != want {
			t.Errorf("input %q: got %q, error %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []io.Reader{strings.NewReader(""), strings.NewReader("\n"), strings.NewReader(strings.Repeat("x", maxPassword+1))} {
		if got, err := password(t.Context(), in); !errdefs.IsInvalidArgument(err) {
			t.Errorf("got %q, error %v, want an error", got, err)
		}
	}
}

// A command that waits for the password can be interrupted.
func TestPasswordInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, out := io.Pipe()
	defer out.Close()
	if _, err := password(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}
