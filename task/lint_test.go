package task

import (
	"cmp"
	"errors"
	"path"
	"testing"
)

// dockerfiles are those of the examples.
var dockerfiles = map[string]string{
	"Dockerfile":        "FROM scratch\nCOPY . /\n",
	"src/Dockerfile":    "FROM scratch\n",
	"dockerfile.amd64":  "FROM --platform=linux/amd64 alpine\n",
	"dockerfile.arm64":  "FROM --platform=linux/arm64 alpine\n",
	"Dockerfile.base":   "FROM arm64v8/alpine\n",
	"Dockerfile.build":  "FROM --platform=$BUILDPLATFORM golang AS build\nFROM scratch\n",
	"Dockerfile.stages": "FROM --platform=linux/arm64 alpine AS base\nFROM base AS arm\nFROM --platform=linux/amd64 alpine\n",
}

func readDockerfile(step Step) ([]byte, error) {
	b := step.Action.(Build)
	if text, ok := dockerfiles[cmp.Or(b.File, path.Join(b.Context, "Dockerfile"))]; ok {
		return []byte(text), nil
	}
	return nil, errors.New("no Dockerfile")
}

func TestLints(t *testing.T) {
	for _, e := range examples(t, "lints.txt") {
		r := Rendered{Text: e.file}
		findings := Lints(r, parsed(t, e.file), readDockerfile)
		if got := lines(findings); got != e.findings {
			t.Errorf("%s\ngot findings\n%swant\n%s", e.file, got, e.findings)
		}
	}
}
