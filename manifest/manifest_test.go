package manifest

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/distribution"
	"github.com/docker/distribution/manifest/manifestlist"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The bytes are those of docker/distribution for the same descriptors, so the digests are equal too.
func TestIndexBytes(t *testing.T) {
	platforms := []ocispec.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm", Variant: "v7"},
		{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1", OSFeatures: []string{"win32k", "<&>"}},
	}
	for name, mediaType := range map[string]string{"docker": MediaTypeDockerManifest, "oci": ocispec.MediaTypeImageManifest} {
		t.Run(name, func(t *testing.T) {
			list := List{Name: parseName(t, "example.com/app:1")}
			var theirs []manifestlist.ManifestDescriptor
			for i, p := range platforms {
				d := digest.FromString(FormatPlatform(p))
				list.Entries = append(list.Entries, Entry{
					Ref: parseName(t, "example.com/app@"+d.String()), Source: parseName(t, "example.com/app:1"),
					Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(i + 100), Platform: &p},
				})
				theirs = append(theirs, manifestlist.ManifestDescriptor{
					Descriptor: distribution.Descriptor{MediaType: mediaType, Digest: d, Size: int64(i + 100)},
					Platform: manifestlist.PlatformSpec{Architecture: p.Architecture, OS: p.OS, OSVersion: p.OSVersion,
						OSFeatures: p.OSFeatures, Variant: p.Variant},
				})
			}
			index, err := list.Index()
			if err != nil {
				t.Fatal(err)
			}
			want, err := manifestlist.FromDescriptors(theirs)
			if err != nil {
				t.Fatal(err)
			}
			wantType, wantRaw, err := want.Payload()
			if err != nil {
				t.Fatal(err)
			}
			desc := index.Descriptor
			if string(index.Raw) != string(wantRaw) || desc.MediaType != wantType {
				t.Errorf("got %s\n%s\nwant %s\n%s", desc.MediaType, index.Raw, wantType, wantRaw)
			}
			if desc.Digest != digest.FromBytes(wantRaw) || desc.Size != int64(len(wantRaw)) {
				t.Errorf("got descriptor %v", desc)
			}
		})
	}
}

func TestIndexRefuses(t *testing.T) {
	d := digest.FromString("x")
	entry := func(change func(*Entry)) List {
		e := Entry{Ref: parseName(t, "example.com/app:a"), Source: parseName(t, "example.com/app:a"),
			Descriptor: ocispec.Descriptor{MediaType: MediaTypeDockerManifest, Digest: d, Size: 1, Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}}}
		change(&e)
		return List{Name: parseName(t, "example.com/app:1"), Entries: []Entry{e}}
	}
	annotated := entry(func(*Entry) {})
	annotated.Annotations = map[string]string{"a": "b"}
	annotated.MediaType = MediaTypeDockerList
	for name, c := range map[string]struct {
		list List
		want string
	}{
		"empty":       {List{Name: parseName(t, "example.com/app:1")}, "no entries"},
		"no platform": {entry(func(e *Entry) { e.Descriptor.Platform = nil }), "must have an OS and Architecture"},
		"no arch":     {entry(func(e *Entry) { e.Descriptor.Platform.Architecture = "" }), "annotate --os OS --arch ARCH example.com/app:1 example.com/app:a"},
		"pending":     {entry(func(e *Entry) { e.Descriptor.Digest = "" }), "no valid digest"},
		"bad digest":  {entry(func(e *Entry) { e.Descriptor.Digest = "sha256:1" }), "no valid digest"},
		"annotations": {annotated, "--type oci"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.list.Index()
			if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error()+Hint(err), c.want) {
				t.Errorf("got %v (hint: %s), want %q", err, Hint(err), c.want)
			}
		})
	}
}

func TestIndexType(t *testing.T) {
	entry := func(mediaType string, annotations map[string]string) Entry {
		return Entry{Ref: parseName(t, "a"), Source: parseName(t, "a"), Descriptor: ocispec.Descriptor{MediaType: mediaType, Annotations: annotations}}
	}
	docker, oci := entry(MediaTypeDockerManifest, nil), entry(ocispec.MediaTypeImageManifest, nil)
	for name, c := range map[string]struct {
		list List
		want string
	}{
		"docker":     {List{Entries: []Entry{docker, docker}}, MediaTypeDockerList},
		"oci last":   {List{Entries: []Entry{docker, oci}}, ocispec.MediaTypeImageIndex},
		"chosen":     {List{Entries: []Entry{oci}, MediaType: MediaTypeDockerList}, MediaTypeDockerList},
		"descriptor": {List{Entries: []Entry{entry(MediaTypeDockerManifest, map[string]string{"a": "b"})}}, ocispec.MediaTypeImageIndex},
		"list":       {List{Entries: []Entry{docker}, Annotations: map[string]string{"a": "b"}}, ocispec.MediaTypeImageIndex},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := c.list.IndexType(); err != nil || got != c.want {
				t.Errorf("got %s %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestParsePlatform(t *testing.T) {
	for typed, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/arm64/v8": "linux/arm64/v8", "linux/aarch64": "linux/arm64",
		"linux/x86_64": "linux/amd64", "macos/arm64": "darwin/arm64", "linux/armhf": "linux/arm/v7", "linux/armel": "linux/arm/v6",
		"windows(10.0.1)/amd64": "windows(10.0.1)/amd64", "wasip1/wasm": "wasip1/wasm", "linux/loong64": "linux/loong64",
		"windows/arm64": "windows/arm64", "linux/arm": "linux/arm",
	} {
		if p, err := ParsePlatform(typed); err != nil || p.String() != want {
			t.Errorf("%s: got %s, %v; want %s", typed, p, err, want)
		}
	}
	for typed, want := range map[string]string{
		"linux/amd46": "did you mean linux/amd64?", "linx/arm64": "did you mean linux/arm64?", "linux": "expected OS/ARCHITECTURE",
		"": "expected OS/ARCHITECTURE", "linux/": "expected OS/ARCHITECTURE", "linux/arm46": "did you mean linux/arm64?",
		"armv7": "did you mean linux/arm/v7?", "linux/arm64v8": "did you mean linux/arm64/v8?", "linux/arm32v6": "did you mean linux/arm/v6?",
		"arm64": "did you mean linux/arm64?", "x86_64": "did you mean linux/amd64?", "linus/arm64": "did you mean linux/arm64?",
		"windows/arm6": "did you mean windows/arm64?", "ARM64": "did you mean linux/arm64?", "linux/v7": "architectures of linux are 386, amd64, arm,",
		"foo/bar": "operating systems are aix, android,", "linux/foobar": "architectures of linux are 386, amd64, arm,",
		strings.Repeat("x", 2000) + "/amd64": "operating systems are aix,", strings.Repeat("x", 2000): "expected OS/ARCHITECTURE",
		"windows(/amd64": "in parentheses", "windows()/amd64": "in parentheses",
	} {
		_, err := ParsePlatform(typed)
		if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", typed, err, want)
		} else if n := len(err.Error()); n > 300 {
			t.Errorf("%.50s: got an error of %d bytes, want 300 at most", typed, n)
		}
	}
}

func TestPlatformMatches(t *testing.T) {
	for _, c := range []struct {
		selector string
		platform ocispec.Platform
		want     bool
	}{
		{"linux/arm64", ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, true},
		{"linux/arm64/v8", ocispec.Platform{OS: "linux", Architecture: "arm64"}, true},
		{"linux/arm", ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, false},
		{"linux/arm", ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, true},
		{"linux/arm", ocispec.Platform{OS: "linux", Architecture: "arm"}, true},
		{"linux/arm/v7", ocispec.Platform{OS: "linux", Architecture: "arm"}, true},
		{"linux/arm/*", ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, true},
		{"linux/arm/*", ocispec.Platform{OS: "linux", Architecture: "arm64"}, false},
		{"linux/amd64", ocispec.Platform{OS: "linux", Architecture: "amd64", Variant: "v1"}, true},
		{"linux/amd64", ocispec.Platform{OS: "linux", Architecture: "amd64", Variant: "v2"}, false},
		{"linux/amd64/v2", ocispec.Platform{OS: "linux", Architecture: "amd64", Variant: "v2"}, true},
		{"linux/amd64/v2", ocispec.Platform{OS: "linux", Architecture: "amd64"}, false},
		{"linux/arm64", ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v9"}, false},
		{"linux/arm/v7", ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, false},
		{"linux/amd64/v1", ocispec.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}, false},
		{"windows/amd64", ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.1"}, true},
		{"windows(10.0.2)/amd64", ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.1"}, false},
		{"linux/amd64", ocispec.Platform{OS: "windows", Architecture: "amd64"}, false},
		{runtime.GOOS + "/amd64", ocispec.Platform{Architecture: "amd64"}, false},
	} {
		p, err := ParsePlatform(c.selector)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Matches(c.platform); got != c.want {
			t.Errorf("%s matches %s: %v", c.selector, FormatPlatform(c.platform), got)
		}
	}
}

func TestDuplicates(t *testing.T) {
	entry := func(source string, p ocispec.Platform) Entry {
		return Entry{Ref: parseName(t, source), Source: parseName(t, source), Descriptor: ocispec.Descriptor{Platform: &p}}
	}
	list := List{Entries: []Entry{
		entry("a", ocispec.Platform{OS: "linux", Architecture: "arm64"}),
		entry("b", ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}),
		entry("w1", ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "1"}),
		entry("w2", ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "2"}),
	}}
	published := entry("c", ocispec.Platform{OS: "linux", Architecture: "riscv64"})
	const blob = `"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":1}`
	published.Raw = []byte(`{"config":{` + blob + `,"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip",` + blob + `]}`)
	published.Descriptor.Digest = digest.FromBytes(published.Raw)
	mixed := List{Entries: []Entry{published, entry("d", ocispec.Platform{OS: "linux", Architecture: "riscv64"})}}
	if got := mixed.Duplicates(); len(got) != 1 {
		t.Errorf("got duplicates %v of an image in a registry and one in the daemon, want one", got)
	}
	twice := list.Duplicates()
	if len(twice) != 1 || twice[0] != "a:latest and b:latest are both for linux/arm64/v8" {
		t.Errorf("got %v", twice)
	}
}

func TestAnnotate(t *testing.T) {
	list := List{Name: parseName(t, "example.com/app:1"), Entries: []Entry{{
		Ref: parseName(t, "a"), Source: parseName(t, "a"),
		Descriptor: ocispec.Descriptor{MediaType: MediaTypeDockerManifest, Digest: digest.FromString("a"), Platform: &ocispec.Platform{
			OS: "windows", Architecture: "amd64", OSVersion: "1", OSFeatures: []string{"x"}, Variant: "v2"}},
	}}}
	before, _ := json.Marshal(list.Entries)
	got, err := list.Annotate(0, Annotation{Platform: ocispec.Platform{OSVersion: "2", OSFeatures: []string{"x", "y"}},
		Descriptor: map[string]string{"k": "v"}, List: map[string]string{"i": "w"}})
	if err != nil {
		t.Fatal(err)
	}
	p := got.Entries[0].Platform()
	if p.OSVersion != "2" || strings.Join(p.OSFeatures, ",") != "x,y" || p.Variant != "v2" || got.Annotations["i"] != "w" {
		t.Errorf("got %+v %v", p, got.Annotations)
	}
	cleared, err := got.Annotate(0, Annotation{Clear: true, Platform: ocispec.Platform{Variant: "v3"}})
	if err != nil {
		t.Fatal(err)
	}
	if p := cleared.Entries[0].Platform(); p.OSVersion != "" || p.OSFeatures != nil || p.Variant != "v3" || cleared.Entries[0].Descriptor.Annotations != nil {
		t.Errorf("got platform %+v after --clear", p)
	}
	if _, err := list.Annotate(0, Annotation{Platform: ocispec.Platform{Architecture: "amd46"}}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("got %v, want an error for an unknown architecture", err)
	}
	list.MediaType = MediaTypeDockerList
	if _, err := list.Annotate(0, Annotation{Descriptor: map[string]string{"k": "v"}}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("got %v, want an error for an annotation in a Docker list", err)
	}
	list.MediaType = ""
	if after, _ := json.Marshal(list.Entries); string(after) != string(before) {
		t.Errorf("got %s, want the original list unchanged", after)
	}
}

// What is parsed takes a small multiple of its bytes, whatever it claims to list.
func TestParseInLittleMemory(t *testing.T) {
	const child = `{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`
	many := strings.Repeat("{},", 1<<18)
	for name, tt := range map[string]struct {
		raw   string
		words string
		parse func([]byte) error
	}{
		"index": {`{"manifests":[` + many + `{}]}`, "index has 262145 entries, more than 4096", parseIndexError},
		"image": {`{"config":` + child + `,"layers":[` + many + `{}]}`, "manifest has 262145 layers, more than 4096", parseImageError},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := tt.parse([]byte(tt.raw))
		runtime.ReadMemStats(&after)
		if !errdefs.IsInvalidArgument(err) || err.Error() != tt.words {
			t.Errorf("%s: got %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 10*uint64(len(tt.raw)) {
			t.Errorf("%s: got %d KiB of memory for %d KiB of JSON", name, took>>10, len(tt.raw)>>10)
		}
	}
	most := strings.TrimSuffix(strings.Repeat(child+",", MaxEntries), ",")
	if children, _, err := ParseIndex([]byte(`{"manifests":[` + most + `]}`)); err != nil || len(children) != MaxEntries {
		t.Errorf("got %d entries (%v), want the maximum", len(children), err)
	}
}

func parseIndexError(raw []byte) error {
	_, _, err := ParseIndex(raw)
	return err
}

func parseImageError(raw []byte) error {
	_, _, err := ParseImage(raw)
	return err
}

// Only an array is a list of descriptors; an image may have none.
func TestParseDescriptors(t *testing.T) {
	const config = `{"config":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`
	for raw, words := range map[string]string{
		`{"manifests":null}`: "not an index", `{"manifests":{}}`: "index is not valid JSON", `{"manifests":[1]}`: "index is not valid JSON",
		`{"manifests":[null]}`: `index has a child with the digest ""`, `{"manifests": [] }`: "",
	} {
		if err := parseIndexError([]byte(raw)); words == "" && err != nil || words != "" && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), words)) {
			t.Errorf("%s: got %v, want %q", raw, err, words)
		}
	}
	for raw, words := range map[string]string{
		config + `}`: "", config + `,"layers":null}`: "", config + `,"layers":"x"}`: "manifest is not valid JSON", config + `,"layers":[{}]}`: `manifest has a blob with the digest ""`,
	} {
		if err := parseImageError([]byte(raw)); words == "" && err != nil || words != "" && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), words)) {
			t.Errorf("%s: got %v, want %q", raw, err, words)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"manifests":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":1}]}`))
	f.Add([]byte(`{"config":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"layers":[]}`))
	f.Add([]byte(`{"os":"linux","architecture":"arm64"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if children, _, err := ParseIndex(raw); err == nil {
			for _, d := range children {
				if d.Digest.Validate() != nil || d.Size < 0 {
					t.Errorf("got an invalid child %v", d)
				}
			}
			if _, _, err := ParseImage(raw); err == nil {
				t.Error("got both an index and an image, want one of them")
			}
		}
		_, _ = ParseConfig(raw)
	})
}

func FuzzReference(f *testing.F) {
	f.Add("app")
	f.Add("localhost:5000/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Add("oci-layout://C:\\a:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Add("docker-archive://a.tar:app:1")
	f.Add("context://arm/app:1")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSourceName(s); err == nil {
			if again, err := ParseSourceName(Familiar(n)); err != nil || again.String() != n.String() {
				t.Errorf("%q: got %s, and for that %v (%v)", s, n, again, err)
			}
		}
		if n, err := ParseListName(s); err == nil {
			if again, err := ParseListName(n.String()); err != nil || again.String() != n.String() {
				t.Errorf("%q: got %s, and for that %v (%v)", s, n, again, err)
			}
		}
		if p, err := ParsePlatform(s); err == nil && !p.Matches(p.Platform) {
			t.Errorf("got no match of %q with itself", s)
		}
	})
}

func TestNearest(t *testing.T) {
	known := []string{"name", "mountPath", "steps"}
	for given, want := range map[string]string{
		"names": "name", "mountpath": "mountPath", "step": "steps", "setps": "steps", "mount": "mountPath", "path": "mountPath", "x": "", "": "", strings.Repeat("name", 1000): "",
	} {
		if got := Nearest(given, known); got != want {
			t.Errorf("%.20s is near %q, want %q", given, got, want)
		}
	}
}

func parseName(t *testing.T, s string) reference.Named {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestArchitectureIn(t *testing.T) {
	for name, want := range map[string]string{
		"1.0-amd64": "amd64", "x86_64": "amd64", "linux_x86-64-1": "amd64", "AMD64": "amd64", "v1.arm64v8": "arm64", "aarch64": "arm64",
		"armv7l": "arm/v7", "arm32v6-1": "arm/v6", "armhf": "arm/v7", "build/arm/Dockerfile": "arm", "1-s390x": "s390x", "i386": "386",
		"1.386": "", "alarm": "", "amd64x": "", "arm64-amd64": "", "arm64-aarch64": "arm64", "": "", "latest": "",
	} {
		if got := ArchitectureIn(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
