package daemon

import (
	"context"
	"net"
	"strings"

	"github.com/docker/docker/api/types/registry"
)

// Insecure reports whether the daemon talks to the registry at host, with its port if it has one, without
// TLS or without checking its certificate. Registries on this machine are insecure without a request; for a
// daemon that cannot be reached, none is.
func (d *Daemon) Insecure(ctx context.Context, host string) bool {
	name := hostname(host)
	ip := net.ParseIP(name)
	if strings.EqualFold(name, "localhost") || ip.IsLoopback() {
		return true
	}
	info, err := d.info(ctx)
	if err != nil || info.RegistryConfig == nil {
		return false
	}
	if index := info.RegistryConfig.IndexConfigs[host]; index != nil {
		return !index.Secure
	}
	return inNetworks(ctx, name, info.RegistryConfig.InsecureRegistryCIDRs)
}

// hostname returns host without its port and without the brackets of an IPv6 address.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// inNetworks reports whether an address of name lies in one of the networks.
func inNetworks(ctx context.Context, name string, networks []*registry.NetIPNet) bool {
	if len(networks) == 0 {
		return false
	}
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, name) // returns an address as it is
	if err != nil {
		return false
	}
	for _, address := range addresses {
		for _, network := range networks {
			if network != nil && (*net.IPNet)(network).Contains(address.IP) {
				return true
			}
		}
	}
	return false
}
