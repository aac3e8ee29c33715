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

		{"acr purge -r reg --filter app:v.* --ago 30d --untagged", "Plugin repo purge reg.azurecr.io/app --all --filter regex:.*(?:v.*).* --untagged --older-than 30d --force"},
		{"acr purge --registry Reg.azurecr.io -f a/b:^x -f a/b:y$ --ago 0d --keep 3 --untagged", "Plugin repo purge reg.azurecr.io/a/b --all --filter regex:.*(?:^x).* --filter regex:.*(?:y$).* --untagged --keep-old 3 --force"},
		{"acr purge -r reg --filter app:. --ago 1d2h --untagged --dry-run --concurrency 4", "Plugin repo purge reg.azurecr.io/app --all --filter regex:.*(?:.).* --untagged --older-than 1d2h"},
		{acr + " purge -r localhost:5000 --filter app:. --ago 1h15m --untagged", "Plugin repo purge localhost:5000/app --all --filter regex:.*(?:.).* --older-than 1h15m --force"},
		{"acr purge --filter app:. --ago 0d --untagged", "Plugin repo purge env.azurecr.io/app --all --filter regex:.*(?:.).* --untagged --force"},
		// As they are published.
		{"acr purge --registry myregistry --filter samples/hello-world:.* --ago 7d", "Plugin repo purge myregistry.azurecr.io/samples/hello-world --all --keep-manifests --older-than 7d --force"},
		{"acr purge --filter 'hello-world:.*' --untagged --ago 1d", "Plugin repo purge env.azurecr.io/hello-world --all --untagged --older-than 1d --force"},
		{"acr purge --filter '.*:.*' --ago 7d --untagged --repository-page-size 50", "Plugin repo purge env.azurecr.io --repositories regex:.* --all --untagged --older-than 7d --force"},
		{"acr purge --filter 'pix-.*:.*' --ago 30d --keep 5 --untagged --dry-run", "Plugin repo purge env.azurecr.io --repositories regex:pix-.* --all --untagged --older-than 30d --keep-old 5"},
		{"acr purge --filter 'a/one:.*' --filter 'a/two:.*' --ago 10d --untagged", "Plugin repo purge env.azurecr.io/a/one --all --untagged --older-than 10d --force && repo purge env.azurecr.io/a/two --all --untagged --older-than 10d --force"},
		{"acr purge --filter a:x --filter .*:y --filter a:z --ago 1d", "Plugin repo purge env.azurecr.io/a --all --filter regex:.*(?:x).* --filter regex:.*(?:z).* --keep-manifests --older-than 1d --force && " +
			"repo purge env.azurecr.io --repositories regex:.* --all --filter regex:.*(?:y).* --keep-manifests --older-than 1d --force"},
		{"acr purge --untagged-only --ago 3d --keep 5", "Plugin repo purge env.azurecr.io --repositories regex:.* --untagged --older-than 3d --keep-old 5 --force"},
		{"acr purge --filter 'hello-world:x' --untagged-only --verbose", "Plugin repo purge env.azurecr.io/hello-world --untagged --force"},
		{"acr purge -r localhost:5000 --untagged-only", "Plugin repo purge localhost:5000 --repositories regex:.* --untagged --force"},
		{"acr purge --filter 'app:^(?:v|w)[[:digit:]]+$' --ago 1d", "Plugin repo purge env.azurecr.io/app --all --filter regex:.*(?:^(?:v|w)[[:digit:]]+$).* --keep-manifests --older-than 1d --force"},
		{"acr purge --filter 'app:^(?!latest$|(v|w)1).*$' --ago 1d", "Plugin repo purge env.azurecr.io/app --all --exclude regex:(?:latest$|(v|w)1).* --keep-manifests --older-than 1d --force"},
		{"acr purge --filter 'foo\\/.*:a' --filter a.b:c --ago 1d", "Plugin repo purge env.azurecr.io --repositories regex:foo\\/.* --all --filter regex:.*(?:a).* --keep-manifests --older-than 1d --force && " +
			"repo purge env.azurecr.io --repositories regex:a.b --all --filter regex:.*(?:c).* --keep-manifests --older-than 1d --force"},
		{"acr tag list --registry reg --repository samples/hello-world", "Plugin repo tags reg.azurecr.io/samples/hello-world"},
		{"acr tag delete -r reg --repository app 1 2", "Plugin repo untag reg.azurecr.io/app:1 reg.azurecr.io/app:2"},
		{"acr manifest delete -r reg --repository app " + digest, "Plugin repo rm --force reg.azurecr.io/app@" + digest},
		{"acr manifest list --repository app", "Plugin repo manifests env.azurecr.io/app"},
		{"acr purge -r reg --filter a:(?!b) --ago 1d --untagged", ""}, // ( is for a shell
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
}

// The name of the run's registry stands for that registry, wherever it is, and any other name for one in Azure.
func TestNameOfRegistry(t *testing.T) {
	for cmd, want := range map[string]string{
		"acr purge -r Reg --filter app:. --ago 1d --dry-run": "Plugin repo purge reg.example.com:5000/app --all --filter regex:.*(?:.).* --keep-manifests --older-than 1d",
		"acr tag delete -r reg --repository app 1":           "Plugin repo untag reg.example.com:5000/app:1",
		"acr tag delete -r other --repository app 1":         "Plugin repo untag other.azurecr.io/app:1",
		"az acr import -n reg --source q.io/a:1":             "Plugin import q.io/a:1 reg.example.com:5000/a:1",
		"az acr import -n other -r reg --source a:1 -t b:1":  "Plugin import reg.example.com:5000/a:1 other.azurecr.io/b:1",
		"az acr import -n reg.azurecr.io --source q.io/a:1":  "Plugin import q.io/a:1 reg.azurecr.io/a:1",
		"acr tag list -r reg.example.com --repository app":   "Plugin repo tags reg.example.com/app",
	} {
		a, err := commandOfText(cmd, "ACR_DEFAULT_REGISTRY=reg.example.com:5000")
		if err != nil {
			t.Errorf("%s: %v", cmd, err)
		} else if got := summary(a, cmd); got != want {
			t.Errorf("%s: got %s, want %s", cmd, got, want)
		}
	}
}

// A command of Azure's programs that has no equivalent runs in a container, which a warning explains.
func TestWithoutEquivalent(t *testing.T) {
	for cmd, want := range map[string]string{
		"acr purge -r reg --filter 'a:(?!b)' --ago 1d --untagged":           "invalid or unsupported Perl syntax: `(?!`",
		"acr purge -r reg --filter 'a:^(?!b).*' --filter a:c --ago 1d":      "invalid or unsupported Perl syntax",
		"acr purge -r reg --filter '*:.*' --ago 90d":                        `--filter "*:.*": error parsing regexp: missing argument to repetition`,
		"acr purge -r reg --filter a: --ago 1d --untagged":                  `--filter "a:": expected REPOSITORY:EXPRESSION`,
		"acr purge -r reg --filter a:b:c --ago 1d --untagged":               "expected REPOSITORY:EXPRESSION",
		"acr purge -r reg --filter a --ago 1d --untagged":                   "expected REPOSITORY:EXPRESSION",
		"acr purge -r reg --filter a:. --ago month":                         `--ago "month": expected an age`,
		"acr purge -r reg --filter a:. --ago=-1d":                           "expected an age",
		"acr purge -r reg --filter a:. --untagged":                          "expected --filter and --ago",
		"acr purge -r reg --ago 1d --untagged":                              "expected --filter and --ago",
		"acr purge -r reg --filter a:. --ago 1d --untagged --untagged-only": "expected --untagged or --untagged-only",
		"acr purge -r reg --filter a:. --ago 1d --include-locked":           "unknown flag: --include-locked",
		"acr purge -r reg --filter a:. --ago 1d x":                          `unexpected argument "x"`,
		"acr purge --filter a:. --ago 1d":                                   "expected --registry",
		"-e A=1 acr tag list -r reg":                                        "expected --registry and --repository",
		"acr tag list -r reg --repository A":                                "expected --registry and --repository",
		"acr purge -r reg --filter a:. --ago 1d -u me -p pw || true":        "unknown shorthand flag: 'u'",
		"az acr import -n reg --source q.io/a -u me -p pw":                  "unknown shorthand flag: 'u'",
		"az acr import -n reg --source alpine:3":                            "expected the registry in --source",
		"az acr import --source q.io/a":                                     "expected --name",
		"acr tag delete -r reg --repository a":                              "unexpected number of arguments: 0",
		"acr tag list -r reg --repository a 1":                              "unexpected number of arguments: 1",
		"acr annotate -r reg --filter a:.":                                  "it has none",
		"acr":                                                               "", "acr login reg": "", "az acr login": "", "alpine acr purge": "",
	} {
		a, err := commandOfText(cmd)
		if got := fmt.Sprint(notOurs(a)); err != nil || !StartsContainer(a) || (want == "") != (got == "<nil>") || !strings.Contains(got, want) {
			t.Errorf("%s: got %T, error %v and the reason %s, want a container and %q", cmd, a, err, got, want)
		}
	}
	_, findings := Parse(Rendered{Text: "steps:\n- cmd: acr purge -r reg --filter a:. --ago 1d --include-locked || true\n"})
	if len(findings) != 1 || findings[0].Severity != Warning || !strings.Contains(findings[0].Message, "unknown flag: --include-locked") {
		t.Errorf("got findings %v, want a warning of --include-locked", findings)
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
		var all []string
		for _, args := range a.Commands {
			all = append(all, strings.Join(args, " "))
		}
		return "Plugin " + strings.Join(all, " && ")
	}
	return fmt.Sprint(a)
}
