package task

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestPlatform(t *testing.T) {
	for _, tt := range []struct{ name, dockerfile, target, want string }{
		{"none", "FROM alpine", "", ""},
		{"one", "FROM --platform=linux/arm64 alpine", "", "linux/arm64"},
		{"lower case and quotes", "from --platform='linux/arm64' alpine as x", "X", "linux/arm64"},
		{"not a constant", "FROM --platform=$TARGETPLATFORM alpine", "", ""},
		{"partly a constant", "FROM --platform=linux/${ARCH} alpine", "", ""},
		{"the last", "FROM --platform=linux/arm64 a\nFROM --platform=linux/amd64 b", "", "linux/amd64"},
		{"the last has none", "FROM --platform=linux/arm64 a AS x\nFROM b\nCOPY --from=x / /", "", ""},
		{"target", "FROM --platform=linux/arm64 a AS x\nFROM b", "x", "linux/arm64"},
		{"target by number", "FROM --platform=linux/arm64 a\nFROM b", "0", "linux/arm64"},
		{"target that is not there", "FROM --platform=linux/arm64 a", "x", ""},
		{"of the base", "FROM --platform=linux/arm64 a AS x\nFROM x AS y\nFROM y", "", "linux/arm64"},
		{"base of the same name", "FROM --platform=linux/arm64 a AS x\nFROM x AS x", "", "linux/arm64"},
		{"image of the name of a later stage", "FROM x\nFROM --platform=linux/arm64 a AS x", "0", ""},
		{"comments and arguments", "# FROM --platform=linux/arm64 x\nARG V=1\n\n  FROM --platform=linux/amd64 a:$V # x", "", "linux/amd64"},
		{"continued", "FROM \\\n# a comment\n\n  --platform=linux/arm64 \\\r\n  alpine\r\nRUN a \\\n FROM --platform=linux/amd64 b", "", "linux/arm64"},
		{"escape directive", "# syntax=docker/dockerfile:1\n# escape=`\nFROM `\n --platform=linux/arm64 a\nRUN dir c:\\\nFROM --platform=linux/amd64 b", "", "linux/amd64"},
		{"escape directive too late", "# a comment\n# escape=`\nFROM \\\n --platform=linux/arm64 a", "", "linux/arm64"},
		{"here-documents", "FROM --platform=linux/arm64 a\nRUN <<EOF cat <<-'E2'\nFROM --platform=linux/amd64 b\nEOF\nFROM c\n\tE2\nCOPY <<A /\nFROM d\nA\n", "", "linux/arm64"},
		{"no here-document", "FROM a\nRUN echo <<EOF\nFROM --platform=linux/arm64 b", "", "linux/arm64"},
		{"nothing", "", "", ""},
		{"no image", "FROM\nFROM --platform=linux/arm64", "", "linux/arm64"},
		{"unfinished", "FROM --platform=linux/arm64 a \\", "", "linux/arm64"},
	} {
		if got := Platform([]byte(tt.dockerfile), tt.target); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzPlatform(f *testing.F) {
	f.Add("FROM --platform=linux/arm64 alpine AS base\nFROM base AS arm\nFROM --platform=linux/amd64 alpine\n", "arm")
	f.Add("RUN <<A <<-B\nA\nB\nFROM a \\\n", "0")
	f.Fuzz(func(t *testing.T, text, target string) {
		if got := Platform([]byte(text), target); got != "" && !strings.Contains(text, got) {
			t.Errorf("got platform %q, want one of the file", got)
		}
	})
}

// A FROM by digest counts where the build's platforms are known and it has no platform of its own.
func TestPinnedBases(t *testing.T) {
	const d = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	dockerfile := "# syntax=x\nFROM --platform=$BUILDPLATFORM golang" + d + " AS build\n\nFROM \\\n  h.example.com/base:1" + d + "\nRUN <<END\nFROM no" + d +
		"\nEND\nFROM $BASE" + d + "\nFROM --platform=${TARGETPLATFORM} other" + d + "\nFROM plain:1\nFROM build\n"
	f, findings := Parse(Rendered{Text: "steps:\n- build: --platform linux/amd64,linux/arm64 -t h.example.com/app:1 .\n- build: -t h.example.com/app:2 .\n- build: --platform linux/arm64 -t h.example.com/app:3 .\n"})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	bases := PinnedBases(f, func(Step) ([]byte, error) { return []byte(dockerfile), nil })
	var got []string
	for _, b := range bases {
		got = append(got, fmt.Sprint(b.Line, " ", b.Image.Name()))
	}
	want := []string{"4 h.example.com/base", "10 docker.io/library/other", "4 h.example.com/base", "10 docker.io/library/other"}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for _, tt := range []struct {
		base int
		own  string
		want string
	}{
		{0, "amd64", "2:3: warning: steps[0].build: FROM in line 4 of the Dockerfile: h.example.com/base:1" + d + " is an image for linux/amd64 only, not an index: the build for linux/arm64 gets files for another architecture"},
		{2, "amd64", "the build for linux/arm64 gets"},
		{2, "arm64", ""},
	} {
		found := bases[tt.base].Check(f, ocispec.Platform{OS: "linux", Architecture: tt.own})
		if got := fmt.Sprint(found); !strings.Contains(got, tt.want) || tt.want == "" && len(found) > 0 {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
