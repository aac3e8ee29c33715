package commands

import (
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Common platforms come first; after a comma those follow that are not given yet.
func TestCompletionOfPlatforms(t *testing.T) {
	for typed, want := range map[string]string{"": "linux/amd64 linux/arm64 linux/arm/v7", "linux/amd64,": "linux/amd64,linux/arm64 linux/amd64,linux/arm/v7"} {
		got, _ := platformsAfter(nil, nil, typed)
		if !strings.HasPrefix(strings.Join(got, " ")+" ", want+" ") || slices.Contains(got, typed+"linux/amd64") == (typed != "") {
			t.Errorf("%q: got %q, want %s first and no platform twice", typed, got, want)
		}
	}
}

// named matches a value that the help of a flag names: "json", 'table' or "until=<timestamp>".
var named = regexp.MustCompile(`["']([a-z]+)(=)?(?:<[a-z]+>)?["']`)

// Each flag whose help names values offers them, and each flag that takes platforms offers those.
func TestCompletionOfFlags(t *testing.T) {
	offered := 0
	runnable(t, func(cmd *cobra.Command, words []string) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			var want []string
			for _, m := range named.FindAllStringSubmatch(f.Usage, -1) {
				want = append(want, m[1]+m[2])
			}
			if slices.Contains([]string{"platform", "require", "exact"}, f.Name) {
				want = append(want, "linux/arm/v7")
			}
			var got []string
			if complete, ok := cmd.GetFlagCompletionFunc(f.Name); ok {
				got, _ = complete(cmd, nil, "")
			}
			for _, w := range want {
				offered++
				if !slices.Contains(got, w) {
					t.Errorf("%s --%s: got completions %q, want %q among them", strings.Join(words, " "), f.Name, got, w)
				}
			}
		})
	})
	if offered < 60 {
		t.Errorf("got %d values in the help of flags, want 60 or more", offered)
	}
}

// newCompletionEnvironment returns one with logins, and a list registry.example.com/app:1 of amd64 and arm64/v8 images.
func newCompletionEnvironment(t *testing.T) environment {
	t.Helper()
	env := environment{Cli: newTestCLI(t, io.Discard, io.Discard), listsDir: t.TempDir()}
	file := env.ConfigFile()
	file.AuthConfigs = map[string]types.AuthConfig{"https://index.docker.io/v1/": {}, "https://index.docker.io/v1/access-token": {}, "localhost:5000": {}, noRegistry: {}, "no host/": {}}
	file.CredentialHelpers = map[string]string{"localhost:5000": "x", "https://r.example.com/v2/": "x"}
	name, err := reference.ParseNormalizedNamed("localhost:5000/app:1")
	if err != nil {
		t.Fatal(err)
	}
	tagged := name.(reference.NamedTagged)
	err = env.lists().Update(t.Context(), tagged, func(l manifest.List) (manifest.List, error) {
		l.Name = tagged
		for _, p := range []ocispec.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}} {
			source, err := manifest.ParseName("localhost:5000/app:" + p.Architecture)
			if err != nil {
				return l, err
			}
			l = l.With(manifest.Entry{Source: source, Ref: source, Descriptor: ocispec.Descriptor{Platform: &p}})
		}
		return l, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// Names and repositories complete the registries of config.json, whose credential helpers are not run; entries complete
// their sources and platforms.
func TestCompletionOfNames(t *testing.T) {
	env := newCompletionEnvironment(t)
	root := newRootCommand(env)
	const hosts, list = "docker.io/ localhost:5000/ r.example.com/", "localhost:5000/app:1"
	const entries = "linux/amd64 linux/arm/v7 localhost:5000/app:amd64 localhost:5000/app:arm"
	for _, tt := range []struct{ command, want, second string }{
		{"annotate", list, entries},
		{"create", hosts + " " + list, hosts},
		{"diff", hosts + " " + list, hosts},
		{"drop", list, entries},
		{"exists", hosts + " " + list, hosts},
		{"import", hosts, hosts},
		{"inspect", hosts + " " + list, entries},
		{"ls", "", ""},
		{"prune", "", ""},
		{"push", list, ""},
		{"repo ls", "docker.io localhost:5000 r.example.com", ""},
		{"repo manifests", hosts, ""},
		{"repo purge", hosts, ""},
		{"repo purge --repositories x", "docker.io localhost:5000 r.example.com", ""},
		{"repo rm", hosts, hosts},
		{"repo show", hosts, ""},
		{"repo tags", hosts, ""},
		{"repo untag", hosts, hosts},
		{"rm", list, ""},
		{"tag", hosts + " " + list, hosts + " " + list},
		{"verify", hosts + " " + list, hosts},
	} {
		cmd, flags, err := root.Find(strings.Fields(tt.command))
		if err == nil {
			err = cmd.ParseFlags(flags)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // no daemon is asked
		cmd.SetContext(ctx)
		for _, at := range []struct {
			args []string
			want string
		}{{nil, tt.want}, {[]string{list}, tt.second}} {
			offers, _ := cmd.ValidArgsFunction(cmd, at.args, "")
			want := strings.Fields(at.want)
			slices.Sort(offers)
			slices.Sort(want)
			if !slices.Equal(offers, want) {
				t.Errorf("%s %q: got completions %q, want %q", tt.command, at.args, offers, want)
			}
		}
	}
	for _, tt := range []struct{ command, flag, want string }{
		{"create", "tag", hosts}, {"push", "tag", hosts}, {"task run", "login", "docker.io localhost:5000 r.example.com"},
		{"task render", "registry", "docker.io localhost:5000 r.example.com"},
	} {
		cmd, _, _ := root.Find(strings.Fields(tt.command))
		complete, ok := cmd.GetFlagCompletionFunc(tt.flag)
		if !ok {
			t.Fatalf("%s --%s: got no completion", tt.command, tt.flag)
		}
		if got, _ := complete(cmd, nil, ""); strings.Join(got, " ") != tt.want {
			t.Errorf("%s --%s: got completions %q, want %q", tt.command, tt.flag, got, tt.want)
		}
	}
}

// A space follows a name, and none a registry.
func TestCompletionOfRegistriesAddsNoSpace(t *testing.T) {
	env := newCompletionEnvironment(t)
	for typed, want := range map[string]cobra.ShellCompDirective{"loc": 0, "r": cobra.ShellCompDirectiveNoSpace, "": 0} {
		if _, got := env.completeNames(nil, nil, typed); got != want|cobra.ShellCompDirectiveNoFileComp {
			t.Errorf("%q: got directive %d, want %d", typed, got, want|cobra.ShellCompDirectiveNoFileComp)
		}
	}
}
