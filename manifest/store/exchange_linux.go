package store

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// unsupported are the errors of file systems, kernels and seccomp filters without support for an exchange.
var unsupported = []error{unix.EINVAL, unix.ENOSYS, unix.ENOTSUP, unix.EPERM}

// exchange exchanges the folders fresh and list, atomically if the file system supports that.
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
