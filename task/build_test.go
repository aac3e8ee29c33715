package task

import (
	"slices"
	"strings"
	"testing"

	"github.com/distribution/reference"
)

func TestBuildArguments(t *testing.T) {
	for _, tt := range []struct {
		build, args, tags, file, platforms, target, context string
	}{
		{build: ".", context: "."},
		{build: "-t app .", tags: "app:latest", context: "."},
		{build: "--tag=h:5000/a/b:1 -tc:2 --tag c:3 dir", tags: "h:5000/a/b:1 c:2 c:3", context: "dir"},
		{build: "-f a -f b .", file: "b", context: "."},
		{build: "-qf Dockerfile .", file: "Dockerfile", context: "."},
		{build: "--file=sub/Dockerfile .", file: "sub/Dockerfile", context: "."},
		{build: "--pull .", context: "."},
		{build: "--no-cache --rm=false --force-rm --squash --compress -D .", context: "."},
		{build: "--load --push --check .", context: "."},
		{build: "--build-arg A=1 --build-arg=B=. -m 1g -c 5 --shm-size 1 --isolation process .", context: "."},
		{build: "--platform linux/amd64,linux/arm64 --platform linux/s390x .", platforms: "linux/amd64 linux/arm64 linux/s390x", context: "."},
		{build: "--target base --secret id=a,src=b --ssh default --output type=local,dest=. .", target: "base", context: "."},
		{build: "https://github.com/a/b.git#main:dir", context: "https://github.com/a/b.git#main:dir"},
		{build: ". -t app", args: "-t app .", tags: "app:latest", context: "."},
		{build: "-t app . --pull", args: "-t app --pull .", tags: "app:latest", context: "."},
		{build: "-t app -f . .", tags: "app:latest", file: ".", context: "."},
		{build: ". -f . --target .", args: "-f . --target . .", file: ".", target: ".", context: "."},
		{build: "-t app -- .", tags: "app:latest", context: "."},
		{build: "-t app -- -x", tags: "app:latest", context: "-x"},
		{build: "--annotation a=b --attest type=sbom --allow x --call check --progress plain --provenance false --sbom true " +
			"--cache-from a --cache-to b --build-context c=d --metadata-file m --iidfile i --network host --no-cache-filter s " +
			"--add-host a:1 --label l --ulimit u --cgroup-parent p --builder b --resource memory=1 --policy filename=p --print x .", context: "."},
		{build: "--cpu-period 1 --cpu-quota 1 --cpuset-cpus 0 --cpuset-mems 0 --memory-swap -1 --security-opt s --disable-content-trust .", context: "."},
	} {
		typed := strings.Fields(tt.build)
		b, errs := parseBuild(typed)
		if len(errs) > 0 {
			t.Errorf("%s: %v", tt.build, errs)
			continue
		}
		if tt.args == "" {
			tt.args = tt.build
		}
		var tags []string
		for _, tag := range b.Tags {
			tags = append(tags, reference.FamiliarString(tag))
		}
		got := []string{strings.Join(b.Args, " "), strings.Join(tags, " "), b.File, strings.Join(b.Platforms, " "), b.Target, b.Context}
		want := []string{tt.args, tt.tags, tt.file, tt.platforms, tt.target, tt.context}
		if !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", tt.build, got, want)
		}
	}
}
