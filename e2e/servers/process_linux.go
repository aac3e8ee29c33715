package servers

import (
	"syscall"
)

// diesWithParent keeps Ctrl-C at the terminal from the process, so that it is
// stopped in order, and ends it should its parent die without doing so.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
