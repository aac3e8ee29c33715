package task

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/spf13/pflag"
)

// valueFlags and booleanFlags are those of 'docker buildx build' and of 'docker build' without buildx, including hidden
// ones; a letter after a comma is the shorthand.
const (
	valueFlags = "add-host allow annotation attest build-arg build-context builder cache-from cache-to call cgroup-parent " +
		"cpu-period cpu-quota cpu-shares,c cpuset-cpus cpuset-mems file,f iidfile isolation label memory,m memory-swap " +
		"metadata-file network no-cache-filter output,o platform policy print progress provenance resource sbom secret " +
		"security-opt shm-size ssh tag,t target ulimit"
	booleanFlags = "check compress debug,D disable-content-trust force-rm help,h load no-cache pull push quiet,q rm squash"
)

// newFlags returns a set of flags that prints nothing.
func newFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// buildFlags returns the flags of a build. Those with a value collect all their values.
func buildFlags() *pflag.FlagSet {
	f := newFlags()
	f.SetInterspersed(false)
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "image" { // as the reference of ACR Tasks calls it
			name = "tag"
		}
		return pflag.NormalizedName(name)
	})
	for name := range strings.FieldsSeq(valueFlags) {
		name, short, _ := strings.Cut(name, ",")
		f.StringArrayP(name, short, nil, "")
	}
	for name := range strings.FieldsSeq(booleanFlags) {
		name, short, _ := strings.Cut(name, ",")
		f.BoolP(name, short, false, "")
	}
	return f
}

// parseBuild returns the build for the arguments of 'docker build', and what is wrong with them.
func parseBuild(words []string) (Build, []error) {
	flags := buildFlags()
	contexts, err := splitFlags(flags, words)
	if err != nil {
		return Build{}, []error{err}
	}
	var b Build
	var errs []error
	switch {
	case len(contexts) == 0:
		errs = append(errs, errors.New("no context found: expected a folder or URL as the last word, as in '-t myimage .'"))
	case len(contexts) > 1:
		errs = append(errs, fmt.Errorf("expected one context, found %d: %s", len(contexts), manifest.OneLine(Quote(contexts), maxShown)))
	case contexts[0] == "-":
		errs = append(errs, errors.New("the context - is standard input, which a step does not have: expected a folder or URL"))
	default:
		b.Context = contexts[0]
	}
	b.Flags = given(flags)
	last := func(name string) string {
		if all, _ := flags.GetStringArray(name); len(all) > 0 {
			return all[len(all)-1]
		}
		return ""
	}
	b.File, b.Target = last("file"), last("target")
	platforms, _ := flags.GetStringArray("platform")
	for _, p := range platforms {
		b.Platforms = append(b.Platforms, strings.FieldsFunc(p, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	tags, _ := flags.GetStringArray("tag")
	for _, t := range tags {
		tag, err := manifest.ParseListName(t)
		if err != nil {
			errs = append(errs, fmt.Errorf("--tag %w", notImage(t, "[REGISTRY/]REPOSITORY[:TAG]")))
			continue
		}
		b.Tags = append(b.Tags, tag)
	}
	return b, errs
}

// splitFlags parses words in any order, and returns those that are not flags.
func splitFlags(flags *pflag.FlagSet, words []string) (others []string, err error) {
	for rest := words; len(rest) > 0; rest = rest[1:] {
		if err := flags.Parse(rest); err != nil {
			return nil, flagError(err)
		}
		rest = flags.Args()
		if len(rest) == 0 {
			break
		}
		if flags.ArgsLenAtDash() >= 0 {
			return append(others, rest...), nil
		}
		others = append(others, rest[0])
	}
	return others, nil
}

// given returns the flags that were set, in the form of [Build].
func given(flags *pflag.FlagSet) []string {
	var out []string
	flags.Visit(func(f *pflag.Flag) {
		switch list, ok := f.Value.(pflag.SliceValue); {
		case f.Name == "tag" || f.Name == "platform":
		case ok:
			for _, value := range list.GetSlice() {
				out = append(out, "--"+f.Name+"="+value)
			}
		case f.Value.String() == "true":
			out = append(out, "--"+f.Name)
		default:
			out = append(out, "--"+f.Name+"="+f.Value.String())
		}
	})
	return out
}

// flagError returns an error without the value of the flag, which may be secret.
func flagError(err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var badValue *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return fmt.Errorf("unknown flag --%s", manifest.OneLine(unknown.GetSpecifiedName(), maxShown))
	case errors.As(err, &noValue):
		return fmt.Errorf("flag needs an argument: --%s", noValue.GetFlag().Name)
	case errors.As(err, &badValue):
		return fmt.Errorf("invalid value of --%s: expected true or false", badValue.GetFlag().Name)
	}
	return errors.New("invalid flag: expected - and a letter, or -- and a name")
}

// notImage is the error for an invalid image name.
func notImage(s, form string) error {
	hint := ""
	if strings.Contains(s, "$") {
		hint = "; $NAME is an alias only in a file with version: v1.1.0 that defines it"
	}
	return fmt.Errorf("%s is not the name of an image: expected %s%s", show(s), form, hint)
}

// pushed returns the reference of an image to push; the default tag is latest.
func pushed(s string) (reference.NamedTagged, error) {
	name, err := manifest.ParseName(s)
	if err != nil {
		return nil, notImage(s, "[REGISTRY/]REPOSITORY[:TAG]")
	}
	tagged, ok := name.(reference.NamedTagged)
	if _, digested := name.(reference.Digested); digested || !ok {
		return nil, fmt.Errorf("%s has a digest and cannot be pushed: expected [REGISTRY/]REPOSITORY[:TAG]", show(s))
	}
	return tagged, nil
}
