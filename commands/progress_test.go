package commands

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/cli/cli/streams"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
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
				want := "Waiting for the registry, 2s\x1b[K\n\r\x1b[1A\x1b[Jresult\n"
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
