package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// dropinImages are the images by the names that the scripts of the drop-in test use for them.
var dropinImages = sync.OnceValue(func() map[string]images.Manifest {
	all := map[string]images.Manifest{}
	add := func(name string, format images.Format, p ocispec.Platform, foreign ...string) {
		all[name] = images.Image(images.Spec{Seed: "drop-in " + name, Platform: p, Format: format, Foreign: foreign})
	}
	for _, p := range []ocispec.Platform{
		{OS: "linux", Architecture: "386"}, {OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "loong64"}, {OS: "linux", Architecture: "mips64le"},
		{OS: "linux", Architecture: "ppc64le"}, {OS: "linux", Architecture: "riscv64"},
		{OS: "linux", Architecture: "s390x"},
	} {
		add("a"+p.Architecture, images.Docker, p)
	}
	for _, name := range []string{"amd64", "amd64b", "local"} {
		add(name, images.Docker, ocispec.Platform{OS: "linux", Architecture: "amd64"})
	}
	add("arm64", images.Docker, ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"})
	add("armv5", images.Docker, ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v5"})
	add("armv6", images.Docker, ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v6"})
	add("armv7", images.Docker, ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"})
	add("ociamd64", images.OCI, ocispec.Platform{OS: "linux", Architecture: "amd64"})
	add("ociarm64", images.OCI, ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"})
	add("nothing", images.Docker, ocispec.Platform{})
	add("windows19", images.Docker, ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.6893"}, "https://example.invalid/19")
	add("windows25", images.Docker, ocispec.Platform{
		OS: "windows", Architecture: "amd64", OSVersion: "10.0.26100.1742", OSFeatures: []string{"win32k"},
	}, "https://example.invalid/25")
	add("windowsarm", images.Docker, ocispec.Platform{OS: "windows", Architecture: "arm64", OSVersion: "10.0.26100.1742"})

	all["indented"] = indented(all["amd64b"], "   ")
	all["spaced"] = indented(all["armv7"], "     ")
	untyped := all["ociarm64"]
	untyped.Raw = bytes.Replace(untyped.Raw, []byte(`"mediaType":"`+ocispec.MediaTypeImageManifest+`",`), nil, 1)
	all["untyped"] = described(untyped)
	bare := all["amd64"]
	bare.Descriptor.Platform = nil
	all["bare"] = images.Index(images.Docker, bare, all["arm64"])
	all["list"] = images.Index(images.Docker, all["amd64"], all["arm64"])
	all["one"] = images.Index(images.Docker, all["arm64"])
	all["gap"] = images.Index(images.Docker, all["amd64"], all["as390x"])
	all["index"] = images.Index(images.OCI, all["ociamd64"], all["ociarm64"])
	all["nested"] = images.Index(images.OCI, all["list"], all["ociamd64"])
	all["crossed"] = images.Index(images.OCI, all["amd64"], all["ociarm64"])
	all["attested"] = images.Attested(all["ociamd64"], all["ociarm64"])
	return all
})

// dropinAliases are additional tags of some images.
var dropinAliases = map[string]string{"again": "amd64", "latest": "amd64"}

// indented returns the image with its manifest's JSON indented: the same image with another digest.
func indented(image images.Manifest, indent string) images.Manifest {
	var raw bytes.Buffer
	if err := json.Indent(&raw, image.Raw, "", indent); err != nil {
		panic(err)
	}
	image.Raw = raw.Bytes()
	return described(image)
}

// described returns m with the digest and size of its bytes.
func described(m images.Manifest) images.Manifest {
	m.Descriptor.Digest, m.Descriptor.Size = digest.FromBytes(m.Raw), int64(len(m.Raw))
	return m
}

// named matches an image in a script: $R:tag, or $R@$tag for its digest.
var named = regexp.MustCompile(`\$([ROX])(:|@\$)(\w+)`)

// seed puts the images of the script into its repositories: R is the list's own, O another one in the same registry,
// X one in another registry.
func (r *dropinRun) seed(t *testing.T, script string) {
	t.Helper()
	for _, m := range named.FindAllStringSubmatch(script, -1) {
		image, ok := dropinImages()[cmp.Or(dropinAliases[m[3]], m[3])]
		if !ok {
			continue // a list that the script creates, or a tag that is to be absent
		}
		in, tag := r.repos[m[1]], m[3]
		if m[2] != ":" {
			tag = image.Digest().String()
		}
		if m[3] == "local" {
			d := harness.Daemon(t, servers.GraphDriver)
			r.env.UseDaemon(d)
			harness.Load(t, d, in.name()+":"+tag, image)
			continue
		}
		harness.Put(t, in.registry, in.path, tag, image)
		if m[3] == "gap" {
			if err := in.registry.Delete(t.Context(), in.path, image.Children[1].Digest()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
