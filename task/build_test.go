package task

import (
	"slices"
	"strings"
	"testing"

	"github.com/distribution/reference"
)

func TestBuildArguments(t *testing.T) {
	for _, tt := range []struct {
		build, words, tags, file, platforms, target, context string
	}{
		{build: ".", words: ".", context: "."},
		{build: "-t app .", words: "--tag=app:latest .", tags: "app:latest", context: "."},
		{build: "--tag=h:5000/a/b:1 -tc:2 --tag c:3 dir", words: "--tag=h:5000/a/b:1 --tag=c:2 --tag=c:3 dir", tags: "h:5000/a/b:1 c:2 c:3", context: "dir"},
		{build: "--image app:1 --image=b -t c .", words: "--tag=app:1 --tag=b:latest --tag=c:latest .", tags: "app:1 b:latest c:latest", context: "."},
		{build: "-f a -f b .", words: "--file=a --file=b .", file: "b", context: "."},
		{build: "-qf Dockerfile .", words: "--file=Dockerfile --quiet .", file: "Dockerfile", context: "."},
		{build: "--file=sub/Dockerfile .", words: "--file=sub/Dockerfile .", file: "sub/Dockerfile", context: "."},
		{build: "--pull .", words: "--pull .", context: "."},
		{build: "--no-cache --rm=false --force-rm --squash --compress -D .", words: "--compress --debug --force-rm --no-cache --rm=false --squash .", context: "."},
		{build: "--load --push --check .", words: "--check --load --push .", context: "."},
		{build: "--build-arg A=1 --build-arg=B=. -m 1g -c 5 --shm-size 1 --isolation process .", words: "--build-arg=A=1 --build-arg=B=. --cpu-shares=5 --isolation=process --memory=1g --shm-size=1 .", context: "."},
		{build: "--platform linux/amd64,linux/arm64 --platform linux/s390x .", words: "--platform=linux/amd64,linux/arm64,linux/s390x .", platforms: "linux/amd64 linux/arm64 linux/s390x", context: "."},
		{build: "--target base --secret id=a,src=b --ssh default --output type=local,dest=. .", words: "--output=type=local,dest=. --secret=id=a,src=b --ssh=default --target=base .", target: "base", context: "."},
		{build: "https://github.com/a/b.git#main:dir", words: "https://github.com/a/b.git#main:dir", context: "https://github.com/a/b.git#main:dir"},
		{build: ". -t app", words: "--tag=app:latest .", tags: "app:latest", context: "."},
		{build: "-t app . --pull", words: "--pull --tag=app:latest .", tags: "app:latest", context: "."},
		{build: "-t app -f . .", words: "--file=. --tag=app:latest .", tags: "app:latest", file: ".", context: "."},
		{build: ". -f . --target .", words: "--file=. --target=. .", file: ".", target: ".", context: "."},
		{build: "-t app -- .", words: "--tag=app:latest .", tags: "app:latest", context: "."},
		{build: "-t app -- -x", words: "--tag=app:latest -- -x", tags: "app:latest", context: "-x"},
		{build: "--annotation a=b --attest type=sbom --allow x --call check --progress plain --provenance false --sbom true " +
			"--cache-from a --cache-to b --build-context c=d --metadata-file m --iidfile i --network host --no-cache-filter s " +
			"--add-host a:1 --label l --ulimit u --cgroup-parent p --builder b --resource memory=1 --policy filename=p --print x .",
			words: "--add-host=a:1 --allow=x --annotation=a=b --attest=type=sbom --build-context=c=d --builder=b --cache-from=a --cache-to=b " +
				"--call=check --cgroup-parent=p --iidfile=i --label=l --metadata-file=m --network=host --no-cache-filter=s --policy=filename=p " +
				"--print=x --progress=plain --provenance=false --resource=memory=1 --sbom=true --ulimit=u .", context: "."},
		{build: "--cpu-period 1 --cpu-quota 1 --cpuset-cpus 0 --cpuset-mems 0 --memory-swap -1 --security-opt s --disable-content-trust .", words: "--cpu-period=1 --cpu-quota=1 --cpuset-cpus=0 --cpuset-mems=0 --disable-content-trust --memory-swap=-1 --security-opt=s .", context: "."},
	} {
		typed := strings.Fields(tt.build)
		b, errs := parseBuild(typed)
		if len(errs) > 0 {
			t.Errorf("%s: got errors %v, want none", tt.build, errs)
			continue
		}
		var tags []string
		for _, tag := range b.Tags {
			tags = append(tags, reference.FamiliarString(tag))
		}
		got := []string{strings.Join(b.Words(), " "), strings.Join(tags, " "), b.File, strings.Join(b.Platforms, " "), b.Target, b.Context}
		want := []string{tt.words, tt.tags, tt.file, tt.platforms, tt.target, tt.context}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.build, got, want)
		}
	}
}
