package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/display"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
	"github.com/docker-multiarch/docker-multiarch/verify"
)

func TestCreateFlags(t *testing.T) {
	base := func(change func(*createOptions)) createOptions {
		o := createOptions{list: "example.com/app:1", sources: []string{"app:amd64"}, attestations: "keep", progress: display.ProgressAuto}
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		opts createOptions
		want string // in the error
	}{
		"amend and replace":    {base(func(o *createOptions) { o.amend, o.replace = true, true }), "cannot be combined"},
		"amend and no clobber": {base(func(o *createOptions) { o.push, o.amend, o.creation.Condition.NoClobber = true, true, true }), "does not allow that"},
		"push and replace":     {base(func(o *createOptions) { o.push, o.replace = true, true }), "nothing to --replace"},
		"tag without push":     {base(func(o *createOptions) { o.tags = []string{"x"} }), "--tag requires --push"},
		"tag elsewhere":        {base(func(o *createOptions) { o.push, o.tags = true, []string{"team/app:x"} }), "neither a tag nor a name with a registry"},
		"list":                 {base(func(o *createOptions) { o.list = "App" }), "error parsing name for manifest list App"},
		"list with a digest":   {base(func(o *createOptions) { o.list = "app@sha256:" + strings.Repeat("0", 64) }), "the name of a manifest list has a tag"},
		"source":               {base(func(o *createOptions) { o.sources = []string{"a b"} }), `"a b" is not a reference`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.opts.parse(); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	c, err := base(func(o *createOptions) {
		o.push, o.tags, o.mediaType, o.attestations, o.from = true, []string{"2", "example.com/app:3"}, "oci", "strip", "daemon"
		o.creation.Choice.Platforms = []manifest.Platform{{Platform: ocispec.Platform{OS: "linux", Architecture: "arm64"}}}
	}).parse()
	if err != nil {
		t.Fatal(err)
	}
	if c.MediaType != ocispec.MediaTypeImageIndex || !c.Choice.Strip || c.Choice.From != publish.InDaemon || !c.Sources[0].Plain ||
		fmt.Sprint(c.Tags) != "[example.com/app:2 example.com/app:3]" || c.Choice.Platforms[0].String() != "linux/arm64" {
		t.Errorf("got %+v, want what the flags say", c)
	}
}

func TestAnnotateFlags(t *testing.T) {
	for name, opts := range map[string]annotateOptions{
		"no entry":          {list: "a"},
		"entry flags alone": {list: "a", indexAnnotations: []string{"a=b"}, platform: ocispec.Platform{OS: "linux"}},
		"no value":          {list: "a", source: "b", annotations: []string{"a"}},
		"no key":            {list: "a", source: "b", indexAnnotations: []string{"=a"}},
	} {
		if _, _, err := opts.annotation(); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: got error %v, want %v", name, err, errdefs.ErrInvalidArgument)
		}
	}
	a, _, err := annotateOptions{list: "a", source: "b", platform: ocispec.Platform{Architecture: "armhf"}, annotations: []string{"k=v=w"}}.annotation()
	if err != nil || a.Platform.Architecture != "arm" || a.Platform.Variant != "v7" || a.Descriptor["k"] != "v=w" {
		t.Errorf("got %+v and error %v, want arm/v7 and k=v=w", a, err)
	}
}

func TestPurgeFlag(t *testing.T) {
	for args, want := range map[string]purge{
		"":              {},
		"-p":            {list: true},
		"--purge":       {list: true},
		"--purge=true":  {list: true},
		"--purge=false": {},
		"-p=0":          {},
		"--purge=tags":  {list: true, tags: true},
	} {
		var got purge
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.VarPF(&parsed[purge]{to: &got, parse: parsePurge}, "purge", "p", "").NoOptDefVal = "true"
		if err := flags.Parse(strings.Fields(args)); err != nil || got != want {
			t.Errorf("%s: got %v and error %v, want %v", args, got, err, want)
		}
	}
	if _, err := parsePurge("list"); err == nil {
		t.Error("--purge=list: got no error, want one")
	}
}

func TestRetryTimeout(t *testing.T) {
	for args, want := range map[string]time.Duration{"": 30 * time.Second, "--retry-timeout=2m": 2 * time.Minute, "--retry-timeout 0s": 0, "--retry-timeout=0": 0} {
		var got network
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		got.addTo(flags, "")
		if err := flags.Parse(strings.Fields(args)); err != nil || got.retryTimeout != want {
			t.Errorf("%s: got %s and error %v, want %s", args, got.retryTimeout, err, want)
		}
		for _, s := range []string{"-1s", "30", "", "soon"} {
			if err := flags.Set("retry-timeout", s); err == nil || got.retryTimeout != want {
				t.Errorf("%q: got error %v and %s, want an error and %s", s, err, got.retryTimeout, want)
			}
		}
	}
}

func TestParseUntil(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	for filter, want := range map[string]time.Time{
		"until=24h":                  now.Add(-24 * time.Hour),
		"until=2026-05-01T00:00:00Z": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		"until=2026-05-01":           time.Date(2026, 5, 1, 0, 0, 0, 0, time.Local),
		"until=1136073600":           time.Unix(1136073600, 0),
	} {
		if got, err := parseUntil(filter, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %s and error %v, want %s", filter, got, err, want)
		}
	}
	for _, filter := range []string{"until=yesterday", "until=", "label=a"} {
		if _, err := parseUntil(filter, now); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: got error %v, want %v", filter, err, errdefs.ErrInvalidArgument)
		}
	}
	if code, _, stderr := runPlugin(t, "prune", "--force", "--filter=until=1h", "--filter=until=2h"); code != exitUsage || !strings.Contains(stderr, "more than one until filter") {
		t.Errorf("two filters: got exit code %d and stderr %q, want %d and an error", code, stderr, exitUsage)
	}
}

func TestResults(t *testing.T) {
	dir := t.TempDir()
	digestFile, metadataFile := filepath.Join(dir, "digest"), filepath.Join(dir, "metadata")
	name, err := manifest.ParseListName("example.com/app:1")
	if err != nil {
		t.Fatal(err)
	}
	tag, err := manifest.ParseListName("example.com/app:2")
	if err != nil {
		t.Fatal(err)
	}
	files, err := output{digestFile: digestFile, metadataFile: metadataFile}.open(environment{})
	if err != nil {
		t.Fatal(err)
	}
	d := ocispec.Descriptor{MediaType: "m", Digest: "sha256:1", Size: 7}
	if err := files.write(d, name, []reference.NamedTagged{tag}); err != nil {
		t.Fatal(err)
	}
	files.discard()
	for path, want := range map[string]string{digestFile: "sha256:1", metadataFile: `{
  "containerimage.descriptor": {
    "mediaType": "m",
    "digest": "sha256:1",
    "size": 7
  },
  "image.name": "example.com/app:1,example.com/app:2"
}`} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: got %s and error %v, want %s", path, got, err, want)
		}
	}
	if files, err = (output{digestFile: digestFile, metadataFile: filepath.Join(dir, "absent", "metadata")}).open(environment{}); err == nil {
		t.Error("got no error for an absent folder, want one before the push")
	}
	files.discard()
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("got files %v, want the two results", left)
	}
}

func TestPluginArgs(t *testing.T) {
	for given, want := range map[string]string{
		"x":                               "x multiarch",
		"x create a b":                    "x multiarch create a b",
		"x multiarch ls":                  "x multiarch ls",
		"x docker-cli-plugin-metadata":    "x docker-cli-plugin-metadata",
		"x __complete multiarch inspect ": "x __complete multiarch inspect",
	} {
		if got := strings.Join(PluginArgs(strings.Fields(given)), " "); got != want {
			t.Errorf("%s: got %s, want %s", given, got, want)
		}
	}
}

// refusal is an error of a registry.
type refusal struct{ kind error }

func (refusal) Registry() string { return "example.com" }
func (refusal) Error() string    { return "example.com: refused\x1b[2J" }
func (r refusal) Unwrap() error  { return r.kind }

// other is an error of another registry, which wants no login.
type other struct{}

func (other) Registry() string { return "other.example.com" }
func (other) Error() string    { return "gone" }

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		want string
	}{
		"none":         {nil, 0, ""},
		"plain":        {errors.New("a\nb\x07"), 1, "a\nb\\a\n"},
		"flag":         {cli.StatusError{Status: "unknown flag", StatusCode: 125}, 125, "unknown flag\n"},
		"interrupted":  {fmt.Errorf("pushing: %w", context.Canceled), 130, "interrupted\n"},
		"unauthorized": {refusal{errdefs.ErrUnauthenticated}, 1, "example.com: refused\\x1b[2J\nhint: if the name is right, log in: docker login example.com\n"},
		"several": {fmt.Errorf("run: %w", errors.Join(other{}, fmt.Errorf("push: %w", refusal{errdefs.ErrUnauthenticated}))), 1,
			"hint: if the name is right, log in: docker login example.com"},
		"forbidden": {refusal{errdefs.ErrPermissionDenied}, 1, "\nhint: your account on example.com is not allowed to do this; log in with another: docker login example.com\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if code := Report(&out, c.err); code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("got %d %q, want %d %q", code, out.String(), c.code, c.want)
			}
		})
	}
}

func TestFailedLoginIsReportedWithItsHint(t *testing.T) {
	var out bytes.Buffer
	l := logins{reporter: display.NewReporter(&out, true), warned: &sync.Map{}}
	failed := manifest.WithHint(errors.New("credential helper x failed"), "repair it")
	for range 2 {
		if err := l.withoutLogin(t.Context(), failed); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	}
	if got, want := out.String(), "WARNING: credential helper x failed (repair it); continuing without a login\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJobs(t *testing.T) {
	var n network
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	n.addTo(flags, "insecure")
	if n.jobs < 24 || flags.Parse([]string{"--jobs=3"}) != nil || n.jobs != 3 {
		t.Errorf("got %d, want at least 24 by default and 3 after --jobs=3", n.jobs)
	}
	for _, wrong := range []string{"0", "-1", "many"} {
		if err := flags.Parse([]string{"--jobs", wrong}); err == nil || !strings.Contains(err.Error(), "positive integer") {
			t.Errorf("%s: got error %v, want one about a positive integer", wrong, err)
		}
	}
}

// Any failure of exists and verify, except an interruption, has exit code 2.
func TestWithVerdict(t *testing.T) {
	no := &verdict{exitNo, nil}
	for name, tt := range map[string]struct {
		args []string
		err  error
		code int
		said string
	}{
		"yes":         {[]string{"a"}, nil, 0, ""},
		"no":          {[]string{"a"}, no, 1, ""},
		"failure":     {[]string{"a"}, errors.New("no route"), 2, "no route\n"},
		"interrupted": {[]string{"a"}, context.Canceled, 130, "interrupted\n"},
		"arguments":   {nil, nil, 2, "requires 1 argument"},
		"flag":        {[]string{"--what"}, nil, 2, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := withVerdict(&cobra.Command{Use: "exists", Args: cli.ExactArgs(1), RunE: func(*cobra.Command, []string) error { return tt.err }})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(tt.args)
			if code := Report(&out, cmd.Execute()); code != tt.code || !strings.Contains(out.String(), tt.said) || (out.Len() == 0) != (tt.said == "") {
				t.Errorf("got %d and %q, want %d and %q", code, &out, tt.code, tt.said)
			}
		})
	}
}

// Invalid takes precedence over unknown, and unknown over ok.
func TestConclusion(t *testing.T) {
	ok, invalid := verify.Result{Name: "a", State: verify.StateOK}, verify.Result{Name: "b", State: verify.StateInvalid}
	unknown := verify.Result{Name: "c", State: verify.StateUnknown, Findings: []verify.Finding{{Err: refusal{errdefs.ErrUnauthenticated}}}}
	for name, tt := range map[string]struct {
		found []verify.Result
		quiet bool
		code  int
		said  string
	}{
		"ok":                  {[]verify.Result{ok}, false, 0, ""},
		"invalid":             {[]verify.Result{ok, invalid}, false, 1, "invalid: b\n"},
		"invalid, quiet":      {[]verify.Result{ok, invalid}, true, 1, ""},
		"unknown":             {[]verify.Result{ok, unknown}, false, 2, "could not be verified: c\nhint: if the name is right, log in"},
		"unknown, quiet":      {[]verify.Result{unknown}, true, 2, "could not be verified: c\nhint: if the name is right, log in"},
		"unknown and invalid": {[]verify.Result{unknown, invalid}, false, 1, "could not be verified: c\ninvalid: b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if code := Report(&out, conclusion(tt.found, tt.quiet)); code != tt.code || !strings.Contains(out.String(), tt.said) || (tt.said == "") != (out.Len() == 0) {
				t.Errorf("got %d and %q, want %d and %q", code, &out, tt.code, tt.said)
			}
		})
	}
}

// An unknown command is an error that names the nearest one, and import has a second name.
func TestCommandNames(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"verfy a", "hint: did you mean: docker multiarch verify\n"},
		{"pusk", "hint: did you mean: docker multiarch push\n"},
		{"tags example.com/app", "hint: did you mean: docker multiarch repo tags\n"},
		{"repo tagz", "hint: did you mean: docker multiarch repo tags\n"},
		{"task rnu", "hint: did you mean: docker multiarch task run\n"},
		{"xyzzy", "unknown command: docker multiarch xyzzy"},
		{"copy a", "'docker multiarch import' requires 2 arguments"},
		{"--version", "docker-multiarch dev, commit unknown"},
		{"version", "docker-multiarch dev, commit unknown"},
	} {
		var out bytes.Buffer
		dockerCLI, err := command.NewDockerCli(command.WithCombinedStreams(&out))
		if err != nil {
			t.Fatal(err)
		}
		docker := &cobra.Command{Use: "docker", SilenceErrors: true, SilenceUsage: true}
		root := NewRootCommand(dockerCLI)
		root.PersistentPreRunE = nil
		docker.AddCommand(root)
		docker.SetArgs(append([]string{Name}, strings.Fields(c.typed)...))
		Report(&out, docker.Execute())
		if got := out.String(); !strings.Contains(got, c.want) || strings.Contains(got, "hint") != strings.Contains(c.want, "hint") {
			t.Errorf("%s: got %q, want %q in it", c.typed, got, c.want)
		}
	}
}

// A TARGET of tag --remote is a tag, or a name with a registry: a word never names a repository of Docker Hub.
func TestTargets(t *testing.T) {
	for _, c := range []struct{ source, typed, want, hint string }{
		{"example.com/app:1", "stable", "example.com/app:stable", ""},
		{"example.com/app:1", "example.com/other:2", "example.com/other:2", ""},
		{"example.com/app:1", "other.example.com/app", "other.example.com/app:latest", ""},
		{"example.com/app:1", "docker.io/team/app:2", "docker.io/team/app:2", ""},
		{"team/app:1", "stable", "docker.io/team/app:stable", ""},
		{"team/app:1", "team/other:2", "docker.io/team/other:2", ""},
		{"example.com/app:1", "team/other:2", "neither a tag nor a name with a registry", "use a tag of example.com/app, such as 2, or the whole name: example.com/team/other:2"},
		{"example.com/app:1", "app:2", "neither a tag nor a name with a registry", "use a tag of example.com/app, such as 2, or the whole name: example.com/app:2"},
		{"example.com/app:1", "+", "is not a reference", "use a tag of example.com/app, such as latest, or a whole name, such as example.com/app:latest"},
	} {
		source, err := manifest.ParseName(c.source)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if name, err := parseTarget(source, c.typed, manifest.SameRegistry); err != nil {
			got = err.Error()
			if hint := manifest.Hint(err); hint != c.hint || !errdefs.IsInvalidArgument(err) {
				t.Errorf("%s for %s: got hint %q of %v, want %q", c.typed, c.source, hint, err, c.hint)
			}
		} else {
			got = name.String()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s for %s: got %q, want %q", c.typed, c.source, got, c.want)
		}
	}
}

// A list in Docker's own repositories is noted.
func TestOfficialNameIsNoted(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"app:1.0", "app:1.0 is docker.io/library/app:1.0, which only Docker can push to; use NAME/app:1.0 for Docker Hub, or HOST/app:1.0\n"},
		{"team/app:1.0", ""}, {"docker.io/library/app:1.0", ""}, {"localhost:5000/app:1.0", ""},
	} {
		name, err := manifest.ParseListName(c.typed)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		noteOfficial(display.NewReporter(&out, false), c.typed, name)
		if out.String() != c.want {
			t.Errorf("%s: got %q, want %q", c.typed, out.String(), c.want)
		}
	}
}
