package daemon

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// An image is saved by its ID, with an older API only as a whole. What a daemon reports after an archive that it did not
// finish is the error of reading it.
func TestSave(t *testing.T) {
	image := manifest.Local{Name: parse(t, "app:1"), ID: digestA}
	platform := &ocispec.Platform{OS: "linux", Architecture: "arm64"}
	zeros := strings.Repeat("\x00", 1024)
	for _, tt := range []struct {
		name, version, archive, query string
		platform                      *ocispec.Platform
		kind                          error
		text                          string
	}{
		{name: "all", version: "1.40", archive: "tar" + zeros, query: "names=" + digestA.String()},
		{name: "a platform", version: "1.48", archive: "tar" + zeros, platform: platform,
			query: `names=` + digestA.String() + `&platform={"architecture":"arm64","os":"linux"}`},
		{name: "a platform of an older daemon", version: "1.47", platform: platform, kind: errdefs.ErrNotImplemented, text: "cannot save only linux/arm64"},
		{name: "a late error", version: "1.48", archive: "tar" + zeros + `{"errorDetail":{"message":"disk I/O failed"},"error":"disk I/O failed"}` + "\r\n",
			query: "names=" + digestA.String(), kind: errdefs.ErrInternal, text: "disk I/O failed"},
		{name: "a long late error", version: "1.48", archive: "tar" + zeros + `{"errorDetail":{"message":"failed` + strings.Repeat("x", 2000) + `"},"error":"failed"}`,
			query: "names=" + digestA.String(), kind: errdefs.ErrInternal, text: "failedxxx"},
		{name: "a late error without a reason", version: "1.48", archive: "tar" + zeros + `{"errorDetail":null}`,
			query: "names=" + digestA.String(), kind: errdefs.ErrInternal, text: "without a reason"},
		{name: "the text of an error in it", version: "1.48", archive: `{"errorDetail":{"message":"no"}}` + zeros, query: "names=" + digestA.String()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, tt.version, map[string]http.HandlerFunc{"GET /images/get": answer(tt.archive)})
			archive, err := f.daemon().Save(t.Context(), image, tt.platform)
			var got []byte
			if err == nil {
				defer archive.Close()
				got, err = io.ReadAll(archive)
			}
			if tt.kind != nil {
				if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got error %v, want %v with %q", err, tt.kind, tt.text)
				}
				return
			}
			if err != nil || string(got) != tt.archive {
				t.Errorf("got %q and error %v, want %q", got, err, tt.archive)
			}
			asked, err := url.QueryUnescape(strings.Join(f.asked(), "\n"))
			if want := "GET /images/get?" + tt.query; err != nil || asked != want {
				t.Errorf("got requests %q, want %q", asked, want)
			}
		})
	}
}

// An archive of any size is read without garbage.
func TestSaveReusesMemory(t *testing.T) {
	archive := &savedArchive{ReadCloser: io.NopCloser(zeros{})}
	part := make([]byte, 32<<10)
	if got := testing.AllocsPerRun(100, func() { _, _ = archive.Read(part) }); got > 0 {
		t.Errorf("got %v allocations for a part, want none", got)
	}
}

// zeros is content without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
