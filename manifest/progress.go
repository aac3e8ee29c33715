package manifest

import ocispec "github.com/opencontainers/image-spec/specs-go/v1"

// Progress receives the progress of blobs that are copied to a repository. Many goroutines call it, and often: it
// must return quickly.
type Progress interface {
	Blob(t Transfer)
}

// Transfer is the progress of a blob.
type Transfer struct {
	Blob  ocispec.Descriptor
	State TransferState
	// Sent is the number of bytes sent. It restarts at 0 when the blob is sent again.
	Sent int64
}

// TransferState is the state of a transfer. All states except Sending are final.
type TransferState string

// The states of a transfer: the blob is being sent, was sent, was mounted from another repository of the
// registry, or already existed.
const (
	Sending TransferState = "sending"
	Sent    TransferState = "sent"
	Mounted TransferState = "mounted"
	Present TransferState = "exists"
)
