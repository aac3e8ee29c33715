package task

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// knownAliases are some of the format's own aliases and some invalid ones.
var knownAliases = map[string]string{
	"acr": "mcr.microsoft.com/acr/acr-cli:0.19", "az": "mcr.microsoft.com/acr/azure-cli:2ff604c",
	"two": "alpine:3 echo", "bad": "alpine 'echo", "none": "",
}

func TestActions(t *testing.T) {
	const acr = "mcr.microsoft.com/acr/acr-cli:0.19"
	digest := "sha256:" + strings.Repeat("0", 64)
	for _, tt := range []struct{ cmd, want string }{
		{"alpine:3 echo hi", "Container alpine:3 | echo hi"},
		{digest, "Container " + digest + " | "},
		{"h:5000/a", "Container h:5000/a | "},
		{"two hi", "Container alpine:3 | echo hi"},
		{"-it --rm -e A=1 alpine -t", "Container alpine | -t"},
		{"docker manifest create a b", "Plugin create a b"},
		{"docker manifest push --purge a", "Plugin push --purge a"},
		{"docker multiarch ls", "Plugin ls"},
		{"docker manifest", "Plugin "},
		{"docker build -t a .", "Docker build -t a ."},
		{"docker --context x ps", "Docker --context x ps"},
		{"docker:cli manifest", "Container docker:cli | manifest"},

		{"acr purge -r reg --filter app:v.* --ago 30d --untagged", "Plugin repo purge reg.azurecr.io/app --all --untagged --filter regex:.*(?:v.*).* --older-than 30d --force"},
		{"acr purge --registry Reg.azurecr.io -f a/b:^x -f a/b:y$ --ago 0d --keep 3 --untagged", "Plugin repo purge reg.azurecr.io/a/b --all --untagged --filter regex:.*(?:^x).* --filter regex:.*(?:y$).* --keep 3 --force"},
		{"acr purge -r reg --filter app:. --ago 1d2h --untagged --dry-run --concurrency 4", "Plugin repo purge reg.azurecr.io/app --all --untagged --filter regex:.*(?:.).* --older-than 26h"},
		{acr + " purge -r localhost:5000 --filter app:. --ago 3h --untagged", "Plugin repo purge localhost:5000/app --all --filter regex:.*(?:.).* --older-than 3h --force"},
		{"acr purge --filter app:. --ago 0d --untagged", "Plugin repo purge env.azurecr.io/app --all --untagged --filter regex:.*(?:.).* --force"},
		// These leave manifests, name several repositories, or are indistinguishable from such.
		{"acr purge -r reg --filter app:. --ago 1d", "Container " + acr + " | purge -r reg --filter app:. --ago 1d"},
		{"acr purge -r reg --filter .*:. --ago 1d --untagged", "Container " + acr + " | purge -r reg --filter .*:. --ago 1d --untagged"},
		{"acr purge -r reg --filter a.b:. --ago 1d --untagged", "Container " + acr + " | purge -r reg --filter a.b:. --ago 1d --untagged"},
		{"acr purge -r reg --filter a:. --filter b:. --ago 1d --untagged", "Container " + acr + " | purge -r reg --filter a:. --filter b:. --ago 1d --untagged"},
		{"acr purge -r reg --filter a:(?!b) --ago 1d --untagged", ""}, // ( is for a shell
		{"acr purge -r reg --filter 'a:(?!b)' --ago 1d --untagged", "Container " + acr + " | purge -r reg --filter a:(?!b) --ago 1d --untagged"},
		{"acr purge -r reg --filter a: --ago 1d --untagged", "Container " + acr + " | purge -r reg --filter a: --ago 1d --untagged"},
		{"acr purge -r reg --filter a:b:c --ago 1d --untagged", "Container " + acr + " | purge -r reg --filter a:b:c --ago 1d --untagged"},
		{"acr purge -r reg --filter a:. --ago 1d --untagged --keep 3", "Container " + acr + " | purge -r reg --filter a:. --ago 1d --untagged --keep 3"},
		{"acr purge -r reg --filter a:. --ago 30m --untagged", "Container " + acr + " | purge -r reg --filter a:. --ago 30m --untagged"},
		{"acr purge -r reg --filter a:. --untagged", "Container " + acr + " | purge -r reg --filter a:. --untagged"},
		{"acr purge -r reg --filter a:. --ago 1d --untagged --include-locked", "Container " + acr + " | purge -r reg --filter a:. --ago 1d --untagged --include-locked"},
		{"acr purge -r reg --ago 1d --untagged", "Container " + acr + " | purge -r reg --ago 1d --untagged"},
		{"acr tag list -r reg", "Container " + acr + " | tag list -r reg"},
		{"acr", "Container " + acr + " | "},

		{"az acr import -n reg --source docker.io/library/alpine:3", "Plugin import docker.io/library/alpine:3 reg.azurecr.io/library/alpine:3"},
		{"az acr import --name reg --source mcr.microsoft.com/a --image b:1 -t b:2 --force --no-wait", "Plugin import mcr.microsoft.com/a reg.azurecr.io/b:1 --tag 2 --force"},
		{"az acr import -n reg --source other.azurecr.io/a -t b", "Plugin import other.azurecr.io/a reg.azurecr.io/b"},
		{"az acr import -n reg.azurecr.io -r other --source a:1 -g group", "Plugin import other.azurecr.io/a:1 reg.azurecr.io/a:1"},
		{"az acr import -n reg -r other --source other.azurecr.io/a:1", "Plugin import other.azurecr.io/a:1 reg.azurecr.io/a:1"},
		{"az acr import -n reg --source q.io/a@" + digest + " -t a:1", "Plugin import q.io/a@" + digest + " reg.azurecr.io/a:1"},
		{"az acr import -n reg --source q.io/a@" + digest, "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr import -n reg --source q.io/a@" + digest},
		{"az acr import -n reg --source alpine:3", "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr import -n reg --source alpine:3"},
		{"az acr import -n reg --source q.io/a -t b:1 -t c:1", "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr import -n reg --source q.io/a -t b:1 -t c:1"},
		{"az acr import -n reg --source q.io/a -u me -p pw", "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr import -n reg --source q.io/a -u me -p pw"},
		{"az acr import -n reg --source q.io/a --repository b", "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr import -n reg --source q.io/a --repository b"},
		{"az acr import --source q.io/a", "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr import --source q.io/a"},
		{"az acr import -n reg -r /subscriptions/x --source a", "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr import -n reg -r /subscriptions/x --source a"},
		{"az acr login", "Container mcr.microsoft.com/acr/azure-cli:2ff604c | acr login"},

		{"bad x", ""}, {"none x", ""}, {"Alpine", ""}, {"-x alpine", ""}, {"-it", ""}, {"-v /etc:/x alpine", ""}, {"-m x alpine", ""}, {"-p x alpine", ""}, {"--pull=x alpine", ""}, {"a:b:c", ""},
	} {
		var got string
		a, err := commandOfText(tt.cmd, "A=1", "ACR_DEFAULT_REGISTRY=env")
		if err == nil {
			typed, _ := words(tt.cmd)
			got = summary(a, Quote(typed))
		}
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s: got action\n%s and error %v, want\n%s", tt.cmd, got, err, tt.want)
		}
	}
	if a, _ := commandOfText("acr purge --filter app:. --ago 0d --untagged"); fmt.Sprintf("%T", a) != "task.Container" {
		t.Errorf("acr purge without a registry: got %v, want a Container", a)
	}
}

func TestRunFlags(t *testing.T) {
	cmd := "-itd --init --privileged --rm -e A=1 --env B --env-file f.env -v vol:/v -v /var/run/docker.sock:/s -p 80:8080 --add-host a:1.2.3.4 -l k=v " +
		"-w /w --entrypoint sh --name n --network host --platform linux/arm64 -u 1:2 -m 64m --pull always app:1 -x --name y"
	action, err := commandOfText(cmd)
	want := Container{Image: "app:1", Args: []string{"-x", "--name", "y"}, Flags: RunFlags{
		Detach: true, Init: true, Privileged: true, Pull: true, Env: []string{"A=1", "B"}, EnvFiles: []string{"f.env"},
		Mounts: []Mount{{"vol", "/v"}, {DockerSocket, "/s"}}, Ports: []string{"80:8080"}, Hosts: []string{"a:1.2.3.4"}, Labels: []string{"k=v"},
		Dir: "/w", EntryPoint: "sh", Name: "n", Network: "host", Platform: "linux/arm64", User: "1:2", Memory: 64 << 20,
	}}
	got, _ := action.(Container)
	if got.flagWords = nil; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v and error %v, want %+v", got, err, want)
	}
	if got := Commands(action); len(got) != 1 || got[0] != cmd {
		t.Errorf("got commands %q, want %q", got, cmd)
	}
}

func commandOfText(text string, env ...string) (Action, error) {
	parsed, err := parseText(text)
	if err != nil {
		return nil, err
	}
	return parseCommand(parsed, env, knownAliases, "")
}

func summary(a Action, cmd string) string {
	switch a := a.(type) {
	case Container:
		return "Container " + a.Image + " | " + strings.Join(a.Args, " ")
	case Docker:
		return "Docker " + strings.Join(a.Args, " ")
	case Plugin:
		if a.Replaces != "" && a.Replaces != cmd || a.Replaces == "" && !strings.HasPrefix(cmd, "docker ") {
			return "instead of " + a.Replaces
		}
		return "Plugin " + strings.Join(a.Args, " ")
	}
	return fmt.Sprint(a)
}
