package task

import (
	"strings"
	"testing"
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
