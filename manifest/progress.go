package manifest

import ocispec "github.com/opencontainers/image-spec/specs-go/v1"

// Progress is told how far blobs are on their way into a repository, by many goroutines and often: it must
// not take long.
type Progress interface {
	Blob(t Transfer)
}

// Transfer is how far a blob is.
type Transfer struct {
	Blob  ocispec.Descriptor
	State TransferState
	// Sent is how many bytes are on their way. It begins anew when the blob has to be sent again.
	Sent int64
}

// TransferState is what happens to a blob. All but Sending are the end of it.
type TransferState string

// The states of a transfer: the blob is being sent, was sent, was mounted from another repository of the
// registry, or was there before.
const (
	Sending TransferState = "sending"
	Sent    TransferState = "sent"
	Mounted TransferState = "mounted"
	Present TransferState = "exists"
)
