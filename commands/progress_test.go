package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/streams"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// The default of --progress is that of buildx where there is such a mode, but help is always the same, and steps of a task
// have no terminal.
func TestProgressFlag(t *testing.T) {
	for _, tt := range []struct {
		environment, want string
		step              files
		typed             []string
	}{
		{"", display.ProgressAuto, nil, nil},
		{"plain", display.ProgressPlain, nil, nil},
		{"rawjson", display.ProgressAuto, nil, nil},
		{"tty", display.ProgressAuto, hostFiles{}, nil},
		{"plain", display.ProgressJSON, nil, []string{"--progress", "json"}},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Setenv("BUILDKIT_PROGRESS", tt.environment)
			root := newRootCommand(environment{step: tt.step})
			for _, name := range []string{"push", "create", "tag", "import"} {
				cmd, _, err := root.Find([]string{name})
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.ParseFlags(tt.typed); err != nil {
					t.Fatal(err)
				}
				if f := cmd.Flag("progress"); f.Value.String() != tt.want || f.DefValue != "" {
					t.Errorf("%s: got mode %q and default %q in the help, want %q and none", name, f.Value, f.DefValue, tt.want)
				}
			}
		})
	}
}

// What a command shows while it runs ends with its result, and with the command. Quiet commands show nothing.
func TestProgressEndsWithTheResult(t *testing.T) {
	for name, quiet := range map[string]bool{"quiet": true, "not quiet": false} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", "xterm")
			t.Setenv("BUILDKIT_PROGRESS", display.ProgressTTY)
			synctest.Test(t, func(t *testing.T) {
				var screen bytes.Buffer
				out := streams.NewOut(&screen)
				env := environment{Cli: stepCLI{out: out, err: out}, shown: &shown{}}
				cmd := &cobra.Command{RunE: func(*cobra.Command, []string) error {
					tools := newTools(env, quiet)
					tools.registries(network{})
					<-time.After(2*time.Second + 50*time.Millisecond)
					_, _ = fmt.Fprintln(env.Out(), "result")
					tools.progress.Count(manifest.CountedManifests, 1)
					return nil
				}}
				finish(cmd, env)
				if err := cmd.Execute(); err != nil {
					t.Fatal(err)
				}
				want := "Waiting for the registry, 2s\x1b[K\n\r\x1b[1A\x1b[K\n\x1b[J\x1b[1Aresult\n"
				if quiet {
					want = "result\n"
				}
				if screen.String() != want {
					t.Errorf("got %q, want %q", &screen, want)
				}
			})
		})
	}
}

// After a push the staging tags that remain are named once, with what removes them; on a terminal the last line is what was
// published.
func TestEndOfAPush(t *testing.T) {
	name, other := listName(t, "h.example.com/app:1.0"), listName(t, "i.example.com/app:1.0")
	d := digest.FromString("x")
	child := func(tag string, staging bool) publish.Child {
		return publish.Child{Ref: listName(t, "h.example.com/app:"+tag), Digest: d, Staging: staging}
	}
	pushed := publish.Pushed{Descriptor: ocispec.Descriptor{Digest: d}, Platforms: 2,
		Children: []publish.Child{child("a-1", true), child("own", false), child("b-2", true)}}
	const staging = "Staging tags remain in the registry; to remove them: docker multiarch repo untag h.example.com/app:a-1 h.example.com/app:b-2\n"
	last := "Published h.example.com/app@" + d.String() + " (2 platforms; tags 1.0, latest; also i.example.com/app:1.0)\n"
	for _, tt := range []struct {
		terminal, quiet bool
		want            string
	}{
		{true, false, staging + last}, {false, false, staging}, {true, true, ""}, {false, true, ""},
	} {
		var out bytes.Buffer
		stderr := streams.NewOut(&out)
		stderr.SetIsTerminal(tt.terminal)
		tools := newTools(environment{Cli: stepCLI{err: stderr}, shown: &shown{}}, tt.quiet)
		if err := tools.published(t.Context(), nil, pushed, false, []reference.NamedTagged{name, listName(t, "h.example.com/app:latest"), other}); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.want {
			t.Errorf("terminal %t, quiet %t: got\n%s\nwant\n%s", tt.terminal, tt.quiet, &out, tt.want)
		}
	}
}

func listName(t *testing.T, typed string) reference.NamedTagged {
	t.Helper()
	name, err := manifest.ParseListName(typed)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A command that is interrupted reports what it has copied.
func TestInterruptedCopy(t *testing.T) {
	var out bytes.Buffer
	stderr := streams.NewOut(&out)
	env := environment{Cli: stepCLI{err: stderr}, shown: &shown{}}
	cmd := &cobra.Command{SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
		tools := newTools(env, false)
		for n, state := range []manifest.TransferState{manifest.Sent, manifest.Sending} {
			blob := ocispec.Descriptor{Digest: digest.FromString(fmt.Sprint(n)), Size: 2000}
			tools.progress.Blob(manifest.Transfer{Blob: blob, State: state, Sent: 2000 - 500*int64(n)})
		}
		return context.Canceled
	}}
	finish(cmd, env)
	if err := cmd.Execute(); !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v, want %v", err, context.Canceled)
	}
	if want := "Sent 1 of 2 blobs, 2kB of 4kB; the same command resumes\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}
