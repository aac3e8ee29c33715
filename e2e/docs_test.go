package e2e

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// notRun are the commands of the documentation that no test runs, by their first words.
var notRun = []struct{ command, reason string }{
	{"sh install.sh", "the release that it downloads; TestRelease runs it"},
	{"sudo apt install", "root; TestRelease unpacks the deb"},
	{"docker multiarch import oci-layout://docker-multiarch-image.tar", "the release; TestRelease runs it"},
	{"git clone https://github.com/", "GitHub"},
	{"cd docker-multiarch\n", "the clone"},
	{"make ", "the clone; TestDemo runs make install"},
	{"docker login ", "a terminal"},
	{"cosign ", "the service that signs"},
	{"aws ", "Amazon"},
}

// docsBlock is a block of code: sh has commands, console commands after "$ " with their output, and any other
// language no command. The word after the language is the name of a file with the block as its content.
var docsBlock = regexp.MustCompile("(?ms)^```(\\w*)(?: (\\S+))?\n(.*?)^```$")

// docsStray is a block of code of another kind.
var docsStray = regexp.MustCompile("\n\n    .*|(?m)^ *```.*")

// docsCommand is a command of the documentation; the commands of a page run in one shell.
type docsCommand struct {
	line    int
	command string
	output  string // "" is not compared; "..." stands for any text
	skip    bool
}

// The commands of README.md and docs/*.md work in their order, and print what the pages show.
func TestDocs(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	used := make([]bool, len(notRun))
	commands, run := 0, 0
	for _, page := range append(pages, "../README.md") {
		files, list := readDocs(t, page, used)
		commands += len(list)
		for _, c := range list {
			if !c.skip {
				run++
			}
		}
		if len(list) > 0 {
			t.Run(filepath.Base(page), func(t *testing.T) {
				t.Parallel()
				own, other := harness.GraphDriver, harness.Containerd
				if strings.Contains(fmt.Sprint(list), "type=oci") { // which the docker driver of buildx only writes with that store
					own, other = other, own
				}
				newDocsScene(t, own).runDocs(page, files, list, harness.Daemon(t, other).Host)
			})
		}
	}
	for i, n := range notRun {
		if !used[i] {
			t.Errorf("no page has the command %q, which is not run because of %s", n.command, n.reason)
		}
	}
	t.Logf("%d of %d commands run", run, commands)
}

// readDocs returns the files and the commands of a page, and marks the entries of notRun that it uses.
func readDocs(t *testing.T, page string, used []bool) (files map[string]string, commands []docsCommand) {
	t.Helper()
	text := string(readFile(t, page))
	files = map[string]string{}
	for _, m := range docsBlock.FindAllStringSubmatchIndex(text, -1) {
		language, content := text[m[2]:m[3]], text[m[6]:m[7]]
		line := strings.Count(text[:m[6]], "\n") + 1
		if m[4] >= 0 {
			files[text[m[4]:m[5]]] = content
		}
		if language == "sh" || language == "console" {
			commands = append(commands, docsCommands(content, line, language == "console")...)
		} else if language == "" || strings.Contains(content, "docker multiarch") && m[4] < 0 {
			t.Errorf("%s:%d: got a block of the language %q, want sh or console for commands", page, line, language)
		}
	}
	for _, line := range docsStray.FindAllString(docsBlock.ReplaceAllString(text, ""), -1) {
		t.Errorf("%s: got %q outside of the blocks that are run", page, line)
	}
	for i := range commands {
		for j, n := range notRun {
			if strings.HasPrefix(commands[i].command, n.command) {
				commands[i].skip, used[j] = true, true
			}
		}
	}
	return files, commands
}

// docsCommands splits a block into commands. In sh, a command goes on in lines that are indented or end one of its
// words; in console, in lines after "> ".
func docsCommands(content string, line int, console bool) (commands []docsCommand) {
	for l := range strings.Lines(content) {
		last := max(0, len(commands)-1)
		first, ok := strings.CutPrefix(l, "$ ")
		more, continued := strings.CutPrefix(l, "> ")
		if !console {
			ok = l[0] != ' ' && l != "done\n" && l != "fi\n"
			more, continued = l, !ok
		}
		switch {
		case ok:
			commands = append(commands, docsCommand{line: line, command: first})
		case continued:
			commands[last].command += more
		default:
			commands[last].output += l
		}
		line++
	}
	return commands
}

// newDocsScene is a scene with all that the pages presume: a registry with images and lists, and two images in the daemon.
func newDocsScene(t *testing.T, store servers.Store) *scene {
	s := newScene(t, harness.V3)
	s.ownRegistry(harness.RegistryOptions{})
	s.useDaemon(harness.Daemon(t, store))
	s.UseBuildx(t)
	for _, tag := range []string{"1.0", "1.1", "1.2", "nightly-20260101", "nightly-20260102", "pr-17", "pr-18"} {
		index := docsList(tag)
		if tag == "1.0" {
			index = images.Attested(index.Children...)
			harness.Put(t, s.registry, "team/app", "1.0-amd64", index.Children[0])
			harness.Put(t, s.registry, "team/app", "1.0-arm64", index.Children[1])
			harness.Put(t, s.registry, "team/app", images.DigestTag(index.Digest(), "sig"), docsList("signature").Children[0])
			s.write(map[string]string{"digests/" + index.Children[0].Digest().Encoded(): "", "digests/arm64/digest": index.Children[1].Digest().String()})
		}
		harness.Put(t, s.registry, "team/app", tag, index)
	}
	s.putWrongLists()
	for _, arch := range []ocispec.Platform{amd64, arm64} {
		s.load(s.plain(arch.Architecture), arch)
	}
	s.write(map[string]string{"Dockerfile": "FROM scratch\nCOPY content /\n", "content": s.repo})
	for _, arch := range []string{"amd64", "arm64"} {
		s.write(map[string]string{"dockerfile." + arch: "FROM --platform=linux/" + arch + " scratch\nCOPY content /\n"})
	}
	return s
}

// putWrongLists puts a list for each way to be wrong of docs/verify.md, in its order.
func (s *scene) putWrongLists() {
	right := docsList("right").Children
	relabeled := docsList("relabeled").Children[0]
	relabeled.Descriptor.Platform = &arm64
	program := func(app, interpreter, base string) images.Manifest {
		return images.Image(images.Spec{Platform: arm64, Format: images.OCI, Entrypoint: []string{"/app"}, Files: map[string]string{
			"app": elfFile(app, elf.ET_EXEC, interpreter, 256), "bin/sh": elfFile(base, elf.ET_DYN, "", 256), "lib/libc.so.6": elfFile(base, elf.ET_DYN, "", 256),
		}})
	}
	for i, list := range [][]images.Manifest{
		right[:1], {right[0], relabeled}, {right[0], program("amd64", "", "arm64")}, {right[0], program("arm64", "/lib/ld-linux-aarch64.so.1", "amd64")},
		docsList("lost").Children, append(docsList("twice").Children[:1:1], right...),
	} {
		harness.Put(s.T, s.registry, "team/broken", fmt.Sprint(i+1), images.Index(images.OCI, list...))
	}
	s.must(s.registry.Delete(s.Context(), "team/broken", docsList("lost").Children[1].Digest()))
}

func docsList(seed string) images.Manifest {
	var children []images.Manifest
	for _, p := range []ocispec.Platform{amd64, arm64} {
		children = append(children, images.Image(images.Spec{Seed: seed, Platform: p, Format: images.OCI, Created: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}))
	}
	return images.Index(images.OCI, children...)
}

// runDocs runs the commands of a page, with another registry in place of Docker Hub and quay.io if it names them.
func (s *scene) runDocs(page string, files map[string]string, commands []docsCommand, otherDaemon string) {
	s.Helper()
	names := []string{
		"registry.example.com", s.registry.Host, " app:", " " + s.plain(""), "arm64/app:", "arm64/" + s.plain(""),
		"ssh://user@arm64.example.com", otherDaemon,
	}
	if text := fmt.Sprint(files, commands); strings.Contains(text, "alpine:") || strings.Contains(text, "quay.io") {
		other := harness.NewRegistry(s.T, harness.RegistryOptions{})
		harness.Put(s.T, other, "library/alpine", "3.22", docsList("alpine"))
		harness.Put(s.T, other, "team/app", "1.0", docsList("1.0"))
		names = append(names, "alpine:", other.Host+"/library/alpine:", "quay.io", other.Host)
	}
	local, script := strings.NewReplacer(names...), "exec 2>&1\n"
	for i := 0; i < len(names); i += 2 {
		names[i], names[i+1] = strings.TrimSpace(names[i+1]), strings.TrimSpace(names[i])
	}
	shown := strings.NewReplacer(names...)
	for name, content := range files {
		s.write(map[string]string{name: local.Replace(content)})
	}
	for _, c := range commands {
		if !c.skip {
			script += local.Replace(c.command) + "\ncode=$?; printf '\\001%d\\001' $code; (exit $code)\n"
		}
	}
	parts := strings.Split(harness.Run(s.T, s.Env, "bash", "-o", "pipefail", "-c", script).Stdout, "\001")
	for i, c := range commands {
		if c.skip {
			continue
		}
		if len(parts) < 3 {
			s.Fatalf("%s:%d: got the end of the shell in %s%s", page, c.line, c.command, parts[0])
		}
		output, code := shown.Replace(parts[0]), parts[1]
		parts = parts[2:]
		fails := strings.Contains(c.output, "hint: ") || i+1 < len(commands) && strings.HasPrefix(commands[i+1].command, "echo $?")
		if code != "0" && !fails {
			s.Errorf("%s:%d: got exit code %s, want 0\n%s%s", page, c.line, code, c.command, output)
		}
		want := docsElided.ReplaceAllString("^"+regexp.QuoteMeta(plainDocs(c.output))+"$", "(?s:.*)")
		if got := plainDocs(output); c.output != "" && !regexp.MustCompile(want).MatchString(got) {
			s.Errorf("%s:%d: %sgot:\n%s\nwant:\n%s\nwithout what changes, got:\n%s", page, c.line, c.command, output, c.output, got)
		}
	}
}

// docsElided is "..." with its line end in the text of a regular expression.
var docsElided = regexp.MustCompile(`(\\\.){3}\n?`)

var docsVolatile = regexp.MustCompile(`(sha256:)?[0-9a-f]{12,64}([.]{3})?|sha256:[.]{3}|\b[0-9.]+ ?[kMG]?i?B\b|\b(\d+|a|About an?|Less than a) (second|minute|hour|day|week|month|year)s?( ago)?\b`)

// plainDocs removes from an output what differs from run to run: digests, sizes, ages, and the width of columns.
func plainDocs(output string) string {
	output = docsVolatile.ReplaceAllString(output, "#")
	return regexp.MustCompile(`(?m)[ \t]+$`).ReplaceAllString(regexp.MustCompile(`[ \t]+`).ReplaceAllString(output, " "), "")
}
