package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Save returns the archive that docker save writes of an image, by its ID: all that the daemon has of it or, unless platform
// is nil, only the manifest of that platform. The error is errdefs.ErrNotImplemented if the daemon cannot save one platform
// (before API 1.48), errdefs.ErrNotFound if it does not have the image, errdefs.ErrUnavailable if it cannot be reached.
func (d *Daemon) Save(ctx context.Context, image manifest.Local, platform *ocispec.Platform) (io.ReadCloser, error) {
	what := "saving " + manifest.Familiar(image.Name)
	api, err := d.client(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var options []client.ImageSaveOption
	if platform != nil {
		if !has(api, apiSavePlatform) {
			return nil, manifest.Errorf(errdefs.ErrNotImplemented, "%s: the Docker daemon cannot save only %s: that needs API %s, and it has %s; update the daemon",
				what, manifest.FormatPlatform(*platform), apiSavePlatform, api.ClientVersion())
		}
		options = append(options, client.ImageSaveWithPlatforms(*platform))
	}
	archive, err := api.ImageSave(ctx, []string{image.ID.String()}, options...)
	if err != nil {
		return nil, failed(ctx, api, err, what)
	}
	return &savedArchive{ReadCloser: archive}, nil
}

// savedArchive is an archive after which the daemon may report that it could not write all of it.
type savedArchive struct {
	io.ReadCloser
	// tail is the end of what was read.
	tail []byte
}

// maxReport is the longest such report.
const maxReport = 8 << 10

func (a *savedArchive) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	tail := append(a.tail, p[max(0, n-maxReport):n]...)
	a.tail = append(tail[:0], tail[max(0, len(tail)-maxReport):]...)
	if errors.Is(err, io.EOF) {
		var m struct{ ErrorDetail struct{ Message string } }
		if i := bytes.LastIndex(a.tail, []byte(`{"errorDetail":`)); i >= 0 && json.Unmarshal(a.tail[i:], &m) == nil { // an archive ends in zeros
			err = manifest.Errorf(errdefs.ErrInternal, "%s", clean(cmp.Or(m.ErrorDetail.Message, "it failed without a reason")))
		}
	}
	return n, err
}
