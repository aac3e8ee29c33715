package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// track reports the messages of a push to progress, unless that is nil, until the stream ends. The error is that of the
// stream.
func track(stream *messageStream, progress manifest.Progress) error {
	sizes := map[string]int64{} // the messages that end a layer do not have it
	for {
		raw, err := stream.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var m struct {
			ID, Status     string
			ProgressDetail struct{ Current, Total int64 }
		}
		if progress == nil || json.Unmarshal(raw, &m) != nil || m.ID == "" {
			continue
		}
		t := manifest.Transfer{ID: m.ID, State: stateOf(m.Status), Sent: m.ProgressDetail.Current}
		if m.ProgressDetail.Total > 0 {
			sizes[m.ID] = m.ProgressDetail.Total
		}
		if t.Blob = (ocispec.Descriptor{Size: sizes[m.ID]}); t.State == manifest.Sent {
			t.Sent = t.Blob.Size
		}
		progress.Blob(t)
	}
}

// stateOf returns the state of a layer that a daemon with either store reports.
func stateOf(status string) manifest.TransferState {
	switch {
	case status == "Pushing":
		return manifest.Sending
	case status == "Pushed":
		return manifest.Sent
	case strings.HasSuffix(strings.ToLower(status), "already exists"):
		return manifest.Present
	case strings.HasPrefix(status, "Mounted from"):
		return manifest.Mounted
	}
	return manifest.Waiting
}
