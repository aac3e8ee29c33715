package servers

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
)

// addresses is the range for the networks of a daemon: 32 networks of 29 containers. No other daemon has it while the
// lock is held: docker uses addresses that are free on the machine, but two daemons that look at the same time find
// the same ones.
type addresses struct {
	netip.Prefix
	lock net.Listener
}

// reserveAddresses reserves a part of the addresses for tests of network devices (RFC 2544), which no network of the
// machine should use. The lock is an abstract socket, which is released when this process ends.
func reserveAddresses() (*addresses, error) {
	const parts = 128
	for i := range parts {
		lock, err := net.Listen("unix", fmt.Sprintf("@docker-multiarch-test-addresses-%d", i))
		if err == nil {
			first := netip.AddrFrom4([4]byte{198, byte(18 + i/64), byte(i % 64 * 4), 0})
			return &addresses{netip.PrefixFrom(first, 22), lock}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("all %d address ranges for test daemons are in use", parts)
}

// release removes the bridges of networks, which dockerd leaves when it ends, and releases the lock.
func (a *addresses) release(tools Tools) error {
	interfaces, err := net.Interfaces()
	errs := []error{err}
	for _, i := range interfaces {
		if strings.HasPrefix(i.Name, "br-") && a.has(i) {
			errs = append(errs, removeBridge(tools, i.Name))
		}
	}
	return errors.Join(append(errs, a.lock.Close())...)
}

// has reports whether an address of the interface is one of a.
func (a *addresses) has(i net.Interface) bool {
	found, err := i.Addrs()
	if err != nil { // removed meanwhile
		return false
	}
	for _, address := range found {
		if p, err := netip.ParsePrefix(address.String()); err == nil && a.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

func removeBridge(tools Tools, name string) error {
	busybox, err := tools.Busybox()
	if err != nil {
		return err
	}
	if out, err := exec.Command(busybox, "ip", "link", "delete", name).CombinedOutput(); err != nil {
		return fmt.Errorf("removing %s: %w: %s", name, err, out)
	}
	return nil
}
