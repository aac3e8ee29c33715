package daemon

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

var (
	digestA = digest.FromString("a")
	digestB = digest.FromString("b")
	digestC = digest.FromString("c")
)

// allVersions are those at which the API changed in what is used here, the first and the last.
var allVersions = []string{"1.24", "1.41", "1.46", "1.47", "1.48", "1.51"}

// inspected is what a graph-driver store answers.
func inspected() map[string]any {
	return map[string]any{
		"Id": digestA, "Os": "linux", "Architecture": "arm", "Variant": "v7", "OsVersion": "1.2",
		"RepoTags":    []string{"<none>:<none>", "other:1", "app:1"},
		"RepoDigests": []string{"app@" + digestB.String(), "h.example/x@" + digestB.String(), "h.example/x@" + digestC.String(), "junk@x"},
	}
}

func TestFindInGraphDriverStore(t *testing.T) {
	for _, version := range allVersions {
		f := newFake(t, version, map[string]http.HandlerFunc{"GET /images/app:1/json": answer(inspected())})
		got, err := f.daemon().Find(t.Context(), parse(t, "app:1"))
		if err != nil {
			t.Fatalf("API %s: got error %v, want none", version, err)
		}
		want := manifest.Local{
			Name: parse(t, "app:1"), ID: digestA,
			Platform:    ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7", OSVersion: "1.2"},
			RepoDigests: []digest.Digest{digestB, digestC},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("API %s: got %+v, want %+v", version, got, want)
		}
		query := "GET /images/app:1/json"
		if version == "1.48" || version == "1.51" {
			query += "?manifests=1"
		}
		if asked := f.asked(); !slices.Equal(asked, []string{query}) || f.pings != 1 {
			t.Errorf("API %s: got requests %q and %d pings, want %q and 1", version, asked, f.pings, query)
		}
	}
}

// content is what a containerd store of API 1.48 answers for an index of two images, one of them absent,
// with an attestation and something unknown.
func content() map[string]any {
	mediaType := ocispec.MediaTypeImageManifest
	annotations := map[string]string{"vnd.docker.reference.digest": digestB.String()}
	child := func(d digest.Digest, annotations map[string]string) map[string]any {
		return map[string]any{"mediaType": mediaType, "digest": d, "size": 7, "annotations": annotations,
			"platform": map[string]string{"os": "unknown", "architecture": "unknown"}}
	}
	image := func(os, arch string) map[string]any {
		return map[string]any{"Platform": map[string]string{"os": os, "architecture": arch}, "Containers": nil}
	}
	return map[string]any{
		"Id": digestA, "Os": "linux", "Architecture": "amd64",
		"RepoTags":    []string{"app:1"},
		"RepoDigests": []string{"app@" + digestA.String()},
		"Descriptor":  map[string]any{"mediaType": ocispec.MediaTypeImageIndex, "digest": digestA, "size": 9},
		"Manifests": []any{
			map[string]any{"Kind": "image", "Available": true, "Descriptor": child(digestB, nil), "ImageData": image("linux", "amd64")},
			map[string]any{"Kind": "image", "Available": false, "Descriptor": child(digestC, nil), "ImageData": image("linux", "arm64")},
			map[string]any{"Kind": "attestation", "Available": true, "Descriptor": child(digest.FromString("d"), annotations),
				"AttestationData": map[string]any{"For": digestB}},
			map[string]any{"Kind": "unknown", "Available": true, "Descriptor": child(digest.FromString("e"), nil)},
		},
	}
}

func TestFindInContainerdStore(t *testing.T) {
	f := newFake(t, "1.51", map[string]http.HandlerFunc{"GET /images/app:1/json": answer(content())})
	got, err := f.daemon().Find(t.Context(), parse(t, "app:1"))
	if err != nil {
		t.Fatal(err)
	}
	type brief struct {
		digest   digest.Digest
		platform string
		avail    bool
		subject  digest.Digest
		notes    int
	}
	var briefs []brief
	for _, m := range got.Manifests {
		platform := ""
		if m.Descriptor.Platform != nil {
			platform = manifest.FormatPlatform(*m.Descriptor.Platform)
		}
		briefs = append(briefs, brief{m.Descriptor.Digest, platform, m.Available, m.Subject, len(m.Descriptor.Annotations)})
	}
	want := []brief{
		{digestB, "linux/amd64", true, "", 0},
		{digestC, "linux/arm64", false, "", 0},
		{digest.FromString("d"), "unknown/unknown", true, digestB, 1},
		{digest.FromString("e"), "", true, "", 0},
	}
	if !slices.Equal(briefs, want) {
		t.Errorf("got %+v, want %+v", briefs, want)
	}
	if got.ID != digestA || manifest.FormatPlatform(got.Platform) != "linux/amd64" {
		t.Errorf("got %+v, want ID %s for linux/amd64", got, digestA)
	}
}

// The daemon names no platform for an index of which nothing runs on its own machine.
func TestFindTakesThePlatformThatIsThere(t *testing.T) {
	c := content()
	c["Os"], c["Architecture"] = "", ""
	manifests := c["Manifests"].([]any)
	manifests[0].(map[string]any)["Available"] = false
	manifests[1].(map[string]any)["Available"] = true
	f := newFake(t, "1.48", map[string]http.HandlerFunc{"GET /images/app:1/json": answer(c)})
	got, err := f.daemon().Find(t.Context(), parse(t, "app:1"))
	if err != nil || manifest.FormatPlatform(got.Platform) != "linux/arm64" {
		t.Errorf("got %+v and error %v, want the platform linux/arm64", got, err)
	}
	manifests[1].(map[string]any)["Available"] = false
	got, err = f.daemon().Find(t.Context(), parse(t, "app:1"))
	if err != nil || got.Platform.OS != "" {
		t.Errorf("got %+v and error %v, want no platform", got, err)
	}
}

// A containerd store keeps notes of its own at the descriptor of an image that is one manifest.
func TestFindDropsAnnotationsOfTheStore(t *testing.T) {
	c := content()
	descriptor := map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": digestA, "size": 9,
		"annotations": map[string]string{"config.digest": digestB.String()}}
	c["Descriptor"] = descriptor
	c["Manifests"] = []any{map[string]any{"Kind": "image", "Available": true, "Descriptor": descriptor,
		"ImageData": map[string]any{"Platform": map[string]string{"os": "linux", "architecture": "arm64"}}}}
	f := newFake(t, "1.51", map[string]http.HandlerFunc{"GET /images/app:1/json": answer(c)})
	got, err := f.daemon().Find(t.Context(), parse(t, "app:1"))
	if err != nil || len(got.Manifests) != 1 || got.Manifests[0].Descriptor.Annotations != nil {
		t.Errorf("got %+v and error %v, want one manifest without annotations", got, err)
	}
}

func TestFindByNameOnly(t *testing.T) {
	byID := inspected()
	byID["RepoTags"] = []string{"app:1"}
	f := newFake(t, "1.51", map[string]http.HandlerFunc{
		"GET /images/app:1/json":                        answer(inspected()),
		"GET /images/sha256:abcdef/json":                answer(byID),
		"GET /images/deadbeef:latest/json":              answer(map[string]any{"Id": digestA, "RepoTags": []string{"deadbeef:latest"}}),
		"GET /images/app@" + digestB.String() + "/json": answer(inspected()),
		"GET /images/app@" + digestA.String() + "/json": answer(inspected()),
		"GET /images/h.example/x:1/json":                answer(map[string]any{"Id": digestA, "RepoTags": []string{"h.example/x:1"}}),
	})
	for name, found := range map[string]bool{
		"app:1":                         true,
		"docker.io/library/app:1":       true,
		"index.docker.io/library/app:1": true,
		"h.example/x:1":                 true,
		"deadbeef":                      true,
		"app@" + digestB.String():       true,
		"app:other@" + digestB.String(): true,
		"app@" + digestA.String():       false,
		"sha256:abcdef":                 false,
		"app:2":                         false,
		"h.example/x":                   false,
	} {
		_, err := f.daemon().Find(t.Context(), parse(t, name))
		if found != (err == nil) || !found && !errors.Is(err, errdefs.ErrNotFound) {
			t.Errorf("%s: got error %v, want found %t", name, err, found)
		}
		if !found {
			checkText(t, err, "the Docker daemon has no image")
		}
	}
}

// podman is the answer of podman to a request for its version.
var podman = answer(map[string]any{"Version": "4.3.1", "Components": []any{map[string]string{"Name": "Podman Engine"}, map[string]string{"Name": "Conmon"}}})

// Podman looks for a name without a registry in several: only its localhost counts. It reports no variants.
func TestFindInPodman(t *testing.T) {
	tags := func(names ...string) http.HandlerFunc {
		return answer(map[string]any{"Id": digestA, "Os": "linux", "Architecture": "arm", "RepoTags": names})
	}
	f := newFake(t, "1.41", map[string]http.HandlerFunc{
		"GET /version":                    podman,
		"GET /images/app:1/json":          tags("quay.io/app:1", "localhost/app:1"),
		"GET /images/team/app:1/json":     tags("localhost/team/app:1"),
		"GET /images/app:2/json":          tags("localhost/app:1", "quay.io/app:2"),
		"GET /images/h.example/x:1/json":  tags("localhost/x:1"),
		"GET /images/localhost/x:1/json":  tags("localhost/x:1"),
		"GET /images/h.example/x:2/json":  tags("h.example/x:2"),
		"GET /images/localhost/x:no/json": tags("quay.io/x:no"),
		"GET /images/h.example/x:3/json":  tags("localhost/h.example/x:3"),
		"GET /images/hub:1/json":          tags("localhost/hub:1", "docker.io/library/hub:1"),
	})
	f.experimental = true
	for name, want := range map[string]string{
		"app:1":          "localhost/app:1",
		"team/app:1":     "localhost/team/app:1",
		"app:2":          "",
		"h.example/x:1":  "",
		"localhost/x:1":  "localhost/x:1",
		"h.example/x:2":  "h.example/x:2",
		"localhost/x:no": "",
		"h.example/x:3":  "",
		"hub:1":          "docker.io/library/hub:1",
	} {
		got, err := f.daemon().Find(t.Context(), parse(t, name))
		if (want != "") != (err == nil) || want == "" && !errors.Is(err, errdefs.ErrNotFound) {
			t.Errorf("%s: got error %v, want the name %q", name, err, want)
		}
		if want != "" && (!got.NoVariant || got.Name.String() != want) {
			t.Errorf("%s: got %+v, want the name %s and no variant", name, got, want)
		}
	}
}

// A missing variant may be unknown if the daemon is podman, or does not answer what it is. Only a daemon that is
// experimental is asked.
func TestFindWithoutVariant(t *testing.T) {
	docker := answer(map[string]any{"Version": "20.10", "Components": []any{map[string]string{"Name": "Engine"}}})
	for _, tt := range []struct {
		name, variant string
		experimental  bool
		version       http.HandlerFunc
		want          bool
		requests      int
	}{
		{"Docker", "", false, docker, false, 1},
		{"experimental Docker", "", true, docker, false, 2},
		{"experimental Docker with a variant", "v8", true, docker, false, 1},
		{"podman", "", true, podman, true, 2},
		{"refused", "", true, refuse(http.StatusForbidden, "no"), true, 2},
	} {
		f := newFake(t, "1.41", map[string]http.HandlerFunc{
			"GET /images/app:1/json": answer(map[string]any{"Id": digestA, "Os": "linux", "Architecture": "arm64",
				"Variant": tt.variant, "RepoTags": []string{"app:1"}}),
			"GET /version": tt.version,
		})
		f.experimental = tt.experimental
		got, err := f.daemon().Find(t.Context(), parse(t, "app:1"))
		if err != nil || got.NoVariant != tt.want || len(f.asked()) != tt.requests {
			t.Errorf("%s: got %+v, error %v and requests %q, want NoVariant %t and %d requests", tt.name, got, err, f.asked(), tt.want, tt.requests)
		}
	}
}

func TestFindRefusesWhatIsNoImage(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"no ID":     func(c map[string]any) { delete(c, "Id") },
		"an ID":     func(c map[string]any) { c["Id"] = "sha256:1\x1b[31m" },
		"no digest": func(c map[string]any) { c["Manifests"] = []any{map[string]any{"Kind": "image"}} },
	} {
		c := content()
		change(c)
		f := newFake(t, "1.51", map[string]http.HandlerFunc{"GET /images/app:1/json": answer(c)})
		_, err := f.daemon().Find(t.Context(), parse(t, "app:1"))
		if err == nil {
			t.Fatalf("%s: got no error, want one", name)
		}
		checkText(t, err, "app:1")
	}
}

func TestFindTellsWhatTheDaemonSays(t *testing.T) {
	f := newFake(t, "1.47", map[string]http.HandlerFunc{
		"GET /images/app:1/json": refuse(http.StatusInternalServerError, "disk\x1b[31m is\nfull "+strings.Repeat("x", 5000)),
	})
	_, err := f.daemon().Find(t.Context(), parse(t, "app:1"))
	if err == nil || errors.Is(err, errdefs.ErrNotFound) || errors.Is(err, errdefs.ErrUnavailable) || !errors.Is(err, errdefs.ErrInternal) {
		t.Fatal(err)
	}
	checkText(t, err, "looking for image app:1", `disk\x1b[31m is full`)
}

func TestFindWaitsNoLongerThanAsked(t *testing.T) {
	asked := make(chan struct{}, 2)
	f := newFake(t, "1.51", map[string]http.HandlerFunc{"GET /images/app:1/json": hang(asked)})
	d := f.daemon()
	d.answerTimeout = 1
	_, err := d.Find(t.Context(), parse(t, "app:1"))
	if !errors.Is(err, errdefs.ErrUnavailable) || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	checkText(t, err, "did not answer in time")

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := f.daemon().Find(ctx, parse(t, "app:1")); !errors.Is(err, context.Canceled) || errors.Is(err, errdefs.ErrUnavailable) {
		t.Error(err)
	}
}
