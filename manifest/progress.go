package manifest

import ocispec "github.com/opencontainers/image-spec/specs-go/v1"

// Progress receives the progress of an operation. Many goroutines call it, and often: it must return quickly.
type Progress interface {
	// Blob reports the progress of a blob that is copied to a repository, or read.
	Blob(t Transfer)
	// Count adds n to what was read or removed.
	Count(what Counted, n int)
}

// Transfer is the progress of a blob.
type Transfer struct {
	// Blob is the blob. Of a layer that a daemon pushes only the size is known, if at all, and the ID.
	Blob  ocispec.Descriptor
	ID    string
	State TransferState
	// Sent is the number of bytes sent or read. It restarts at 0 when the blob is sent again.
	Sent int64
}

// TransferState is the state of a transfer. All states except Waiting, Sending and Reading are final.
type TransferState string

// The states of a transfer: the blob is going to be sent by the daemon, or read, it is being sent, was sent, was mounted from another
// repository of the registry, or already existed; or it is being read, or was read to its end or an error.
const (
	Waiting TransferState = "waiting"
	Sending TransferState = "sending"
	Sent    TransferState = "sent"
	Mounted TransferState = "mounted"
	Present TransferState = "exists"
	Reading TransferState = "reading"
	Read    TransferState = "read"
)

// IsFinal reports whether no other state follows.
func (s TransferState) IsFinal() bool { return s != Waiting && s != Sending && s != Reading }

// Counted is what is counted, in the plural.
type Counted string

// What is counted: names of tags and repositories that were listed, manifests and small or measured blobs that were read,
// and tags and manifests that were removed.
const (
	CountedNames     Counted = "names"
	CountedManifests Counted = "manifests"
	CountedBlobs     Counted = "blobs"
	CountedRemovals  Counted = "removals"
)
