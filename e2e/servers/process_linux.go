package servers

import (
	"syscall"
)

// diesWithParent shields the process from Ctrl-C at the terminal, so that it can be stopped in order, and kills it if
// its parent dies first.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
