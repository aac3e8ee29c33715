package store

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// unsupported is what file systems, kernels and the filters of containers say to an exchange.
var unsupported = []error{unix.EINVAL, unix.ENOSYS, unix.ENOTSUP, unix.EPERM}

// exchange puts the folders fresh and list in each other's place, at one stroke where the file system
// can do that.
func exchange(fresh, list string) error {
	err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, list, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return nil
	case slices.Contains(unsupported, err):
		return moveAside(fresh, list)
	}
	return &os.LinkError{Op: "exchange", Old: fresh, New: list, Err: err}
}
