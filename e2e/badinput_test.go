package e2e

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// badArguments are invalid arguments, and what the message contains.
func badArguments(s *scene) []badArgument {
	a := s.name("amd64")
	at := s.registry.Host + "/" + s.repo + "@" + digest.FromString("x").String()
	return []badArgument{
		{[]string{"create", "example.com/UPPER:1", a}, []string{"example.com/UPPER:1", "lowercase"}},
		{[]string{"create", s.name("2"), "with space"}, []string{`"with space"`, "reference"}},
		{[]string{"create", s.name("2"), a, "a\x1b[31mb"}, []string{`a\x1b[31mb`, "reference"}},
		{[]string{"create", s.name("2"), ""}, []string{`""`, "reference"}},
		{[]string{"push", "x::1"}, []string{"x::1", "reference"}},
		{[]string{"rm", "x:"}, []string{"x:", "reference"}},
		{[]string{"annotate", "x y", a}, []string{"x y", "reference"}},
		{[]string{"inspect", "X"}, []string{`"X"`, "reference"}},
		{[]string{"tag", s.list, "X:Y:Z"}, []string{"X:Y:Z", "reference"}},
		{[]string{"create", at, a}, []string{at, "digest", "tag"}},
		{[]string{"push", at}, []string{at, "digest", "tag"}},
		{[]string{"annotate", at, a, "--os", "linux"}, []string{at, "digest", "tag"}},
		{[]string{"drop", at, a}, []string{at, "digest", "tag"}},
		{[]string{"tag", s.list, at}, []string{at, "digest", "tag"}},
		{[]string{"create", "--amend", "--replace", s.list, a}, []string{"--amend", "--replace"}},
		{[]string{"create", "--push", "--replace", s.list, a}, []string{"--push", "--replace"}},
		{[]string{"create", "-t", "latest", s.name("2"), a}, []string{"--tag", "--push"}},
		{[]string{"create", "--require", "linux/s390x", s.name("2"), a}, []string{"linux/s390x", "--require"}},
		{[]string{"create", "--replace", "--require", "linux/s390x", s.list, a}, []string{"linux/s390x", "--require"}},
		{[]string{"create", "--platform", "linux/s390x", s.name("2"), a}, []string{"no source has an image for linux/s390x (they have: linux/amd64)"}},
		{[]string{"annotate", s.list, a, "--os", "linux", "--arch", "amd65"}, []string{"linux/amd65", "did you mean linux/amd64?"}},
		{[]string{"annotate", s.list, a, "--annotation", "novalue"}, []string{"--annotation", "novalue", "KEY=VALUE"}},
		{[]string{"annotate", s.list, "--annotation", "k=v"}, []string{s.list, "SOURCE"}},
		{[]string{"annotate", s.list, s.name("none"), "--os", "linux"}, []string{s.name("none"), "does not exist", s.list}},
		{[]string{"annotate", s.name("none"), a, "--os", "linux"}, []string{"No such manifest", s.name("none")}},
		{[]string{"inspect", "--verbose", "--tree", s.list}, []string{"--verbose", "--tree"}},
		{[]string{"rm", s.name("none")}, []string{"No such manifest", s.name("none")}},
		{[]string{"create", s.name("2")}, []string{"requires at least 2 arguments"}},
	}
}

type badArgument struct{ args, words []string }

// badFlags are rejected with exit code 125.
func badFlags(s *scene) []badArgument {
	a := s.name("arm64")
	return []badArgument{
		{[]string{"drop", "-x-", a}, []string{"shorthand"}},
		{[]string{"create", "--from", "moon", s.name("2"), a}, []string{"--from", `"moon"`, "daemon", "registry"}},
		{[]string{"create", "--attestations", "some", s.name("2"), a}, []string{"--attestations", "keep", "strip"}},
		{[]string{"create", "--type", "zip", s.name("2"), a}, []string{"--type", "docker", "oci"}},
		{[]string{"create", "--platform", "linux/amd65", s.name("2"), a}, []string{"linux/amd65", "did you mean linux/amd64?"}},
		{[]string{"create", "--require", "linx/arm64", s.name("2"), a}, []string{"linx/arm64", "did you mean linux/arm64?"}},
		{[]string{"create", "--require", "arm64", s.name("2"), a}, []string{`"arm64"`, "did you mean linux/arm64?"}},
	}
}

// Invalid arguments are refused before any request or change, with a message that names them.
func TestBadArguments(t *testing.T) {
	s, _, _ := newListScene(t)
	arguments, flags := badArguments(s), badFlags(s)
	for i, test := range append(arguments, flags...) {
		code := 1
		if i >= len(arguments) {
			code = 125
		}
		unchanged := s.unchanged()
		r := harness.MustFail(t, s.Env, code, test.words, "docker", append([]string{"multiarch"}, test.args...)...)
		if r.Stdout != "" || strings.Contains(r.Stderr, "\x1b") {
			t.Errorf("%q: got stdout %q and stderr %q, want no stdout and no escape sequence", test.args, r.Stdout, r.Stderr)
		}
		unchanged()
	}
	if names := s.names(); len(names) != 1 {
		t.Errorf("got lists %v, want none", names)
	}
}

// Unknown flags and flags without a value end with exit code 125, as docker's own do.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	env := harness.NewEnv(t)
	for _, args := range []string{
		"create --nope x y", "push --purge=some x", "ls --format", "prune --force=maybe", "--nope", "inspect -x y",
		"annotate --os", "push --quiet=x y", "rm --force x", "version --nope",
	} {
		ours := harness.Run(t, env, "docker", append([]string{"multiarch"}, strings.Fields(args)...)...)
		if ours.Code != 125 || ours.Stdout != "" || !strings.Contains(ours.Stderr, "--help' for more information") {
			t.Errorf("%s: got %+v, want exit code 125, no stdout and a hint at --help", args, ours)
		}
	}
}

// A Docker list cannot have annotations: they are refused, never dropped.
func TestAnnotationsNeedOCI(t *testing.T) {
	s, _, _ := newListScene(t)
	s.multiarch("create", "--replace", "--type", "docker", s.list, s.name("amd64"), s.name("arm64"))
	s.refused([]string{s.name("arm64"), "annotations", "--type oci"}, "annotate", s.list, s.name("arm64"), "--annotation", "k=v")
	s.refused([]string{s.list, "annotations", "--type oci"}, "annotate", s.list, "--index-annotation", "k=v")
	attested := images.Attested(images.Image(images.Spec{Seed: s.repo, Platform: riscv64, Format: images.OCI}))
	source := harness.Put(t, s.registry, s.repo, "attested", attested)
	s.refused([]string{"annotations", "--type oci", "--attestations strip"}, "create", "--type", "docker", s.name("2"), source)
	s.refused([]string{"annotations", "--type oci"}, "create", "--amend", s.list, source)
	s.multiarch("create", "--push", "--type", "docker", "--attestations", "strip", s.name("2"), source)
	if index := s.holds("2", "linux/riscv64"); index.MediaType != images.DockerList {
		t.Errorf("got media type %s, want %s", index.MediaType, images.DockerList)
	}
}

// Two images for the same platform are a warning if annotate can still change that, and an error if not.
func TestTwoImagesOfOnePlatform(t *testing.T) {
	s, _, _ := newListScene(t)
	s.put(s.repo, "again", images.Spec{Platform: amd64})
	both := []string{s.name("amd64"), s.name("again"), "linux/amd64"}
	says(t, s.multiarch("create", "--replace", s.list, s.name("amd64"), s.name("again")).Stderr, append(both, "WARNING")...)
	says(t, s.multiarch("push", s.list).Stderr, append(both, "WARNING")...)
	s.refused(append(both, "without --push"), "create", "--push", s.list, s.name("amd64"), s.name("again"))
}

// An entry without a platform is stored; push names the command that sets the platform.
func TestEntryWithoutPlatform(t *testing.T) {
	s, _, _ := newListScene(t)
	s.put(s.repo, "odd", images.Spec{})
	s.multiarch("create", "--amend", s.list, s.name("odd"))
	s.refused([]string{"must have an OS and Architecture", "docker multiarch annotate --os OS --arch ARCH " + s.list + " " + s.name("odd")}, "push", s.list)
	s.refused([]string{"must have an OS and Architecture"}, "create", "--push", s.name("2"), s.name("odd"))
	s.multiarch("annotate", "--os", "linux", "--arch", "riscv64", s.list, s.name("odd"))
	s.multiarch("push", s.list)
	s.holds("1", "linux/amd64", "linux/arm64/v8", "linux/riscv64")
}

// Different names that map to the same folder or file are kept apart.
func TestNamesWithTheSameFolderOrFile(t *testing.T) {
	s, _, _ := newListScene(t)
	slash, under := s.registry.Host+"/"+s.repo+"/b:1", s.registry.Host+"/"+s.repo+"_b:1"
	s.multiarch("create", slash, s.name("amd64"))
	s.refused([]string{under, slash, "docker multiarch rm"}, "create", under, s.name("amd64"))
	s.refused([]string{under, slash}, "rm", under)
	harness.Put(t, s.registry, s.repo+"/c", "1", images.Image(images.Spec{Seed: "/", Platform: amd64}))
	harness.Put(t, s.registry, s.repo+"_c", "1", images.Image(images.Spec{Seed: "_", Platform: arm64}))
	c, d := s.registry.Host+"/"+s.repo+"/c:1", s.registry.Host+"/"+s.repo+"_c:1"
	s.refused([]string{c, d}, "create", s.name("2"), c, d)
}
