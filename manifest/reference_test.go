package manifest_test

import (
	_ "crypto/sha512" // for digests of that algorithm
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestParseRegistryAndRepository(t *testing.T) {
	for s, want := range map[string]string{
		"h.example.com": "h.example.com", "localhost:5000": "localhost:5000", "docker.io": "docker.io", "index.docker.io": "docker.io", "[::1]:5000": "[::1]:5000",
		"ubuntu": "", "h.example.com/app": "", "https://h.example.com": "", "": "", "a b": "",
	} {
		if got, err := manifest.ParseRegistry(s); got != want || (want == "") != errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{
		"ubuntu": "docker.io/library/ubuntu", "h.example.com/app": "h.example.com/app",
		"h.example.com/app:1": "", "App": "", "h.example.com/app@" + digest.FromString("").String(): "",
	} {
		got, err := manifest.ParseRepository(s)
		if (want == "") != errdefs.IsInvalidArgument(err) || want != "" && got.String() != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

// What a tag claims is taken for what it is: a digest, the start of a long one, or nothing.
func TestCutDigestTag(t *testing.T) {
	d, long := digest.FromString("x"), digest.SHA512.FromString("x")
	for tag, want := range map[string]struct {
		form   string
		digest digest.Digest
	}{
		manifest.ReferrersTag(d): {manifest.ReferrersTag(d), d}, manifest.ReferrersTag(d) + ".sig": {manifest.ReferrersTag(d), d},
		manifest.ReferrersTag(d) + ".att": {manifest.ReferrersTag(d), d}, manifest.ReferrersTag(d) + ".sbom": {manifest.ReferrersTag(d), d},
		manifest.ReferrersTag(long): {manifest.ReferrersTag(long), ""}, manifest.ReferrersTag(long) + ".sig": {manifest.ReferrersTag(long), ""},
		manifest.ReferrersTag(d) + ".": {}, manifest.ReferrersTag(d) + ".old": {}, manifest.ReferrersTag(d) + ".sig.sig": {}, "v" + manifest.ReferrersTag(d): {}, manifest.ReferrersTag(d) + "0": {},
		"sha256-abc": {}, "1.0": {}, "md5-" + strings.Repeat("0", 32): {}, "sha256-" + strings.Repeat("g", 64): {}, "-": {}, "": {},
	} {
		form, ok := manifest.CutDigestTag(tag)
		if ok != (want.form != "") || ok && (form != want.form || manifest.DigestOf(form) != want.digest) {
			t.Errorf("%s: got %s, %v", tag, form, ok)
		}
	}
}
