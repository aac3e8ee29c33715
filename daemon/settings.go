package daemon

import (
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/go-connections/nat"
)

// maxHostname is the longest name that a Linux machine can have.
const maxHostname = 64

// settings are what the Engine API takes to make a container.
type settings struct {
	name       string
	config     container.Config
	host       container.HostConfig
	networking network.NetworkingConfig
}

// newSettings returns the settings that docker run makes of the same options. The error is
// errdefs.ErrInvalidArgument, or errdefs.ErrNotImplemented for what the API of that version does not have.
func newSettings(c run.Container, version string) (settings, error) {
	s := settings{name: c.Name}
	s.config = container.Config{
		Image: c.Image, Entrypoint: c.Entrypoint, Cmd: c.Args, Env: c.Env, WorkingDir: c.Dir, User: c.User,
		Labels: c.Labels, AttachStdout: true, AttachStderr: true,
	}
	s.host = container.HostConfig{
		NetworkMode: container.NetworkMode(c.Network), Isolation: container.Isolation(c.Isolation), Privileged: c.Privileged,
	}
	for _, m := range c.Mounts {
		s.host.Binds = append(s.host.Binds, m.Source+":"+m.Target)
	}
	s.setNames(c.Alias)
	if err := s.setPorts(c.Ports, c.Expose); err != nil {
		return s, err
	}
	return s, s.setCPUs(c.CPUs, version)
}

// setNames makes alias the container's name, on itself and in its network, where it can have one.
func (s *settings) setNames(alias string) {
	mode := s.host.NetworkMode
	if len(alias) <= maxHostname && !mode.IsContainer() { // else it has the name of the other one
		s.config.Hostname = alias
	}
	if alias != "" && mode != "" && mode.IsUserDefined() {
		s.networking.EndpointsConfig = map[string]*network.EndpointSettings{
			mode.NetworkName(): {Aliases: []string{alias}},
		}
	}
}

// setPorts takes ports as --publish does and expose as --expose does.
func (s *settings) setPorts(ports, expose []string) error {
	exposed, bindings, err := nat.ParsePortSpecs(ports)
	if err != nil {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "ports: %w", err)
	}
	for _, e := range expose {
		proto, numbers := nat.SplitProtoPort(e)
		first, last, err := nat.ParsePortRange(numbers)
		if err != nil {
			return manifest.Errorf(errdefs.ErrInvalidArgument, "expose %q: %w", clean(e), err)
		}
		for number := first; number <= last; number++ {
			port, err := nat.NewPort(proto, strconv.FormatUint(number, 10))
			if err != nil {
				return manifest.Errorf(errdefs.ErrInvalidArgument, "expose %q: %w", clean(e), err)
			}
			exposed[port] = struct{}{}
		}
	}
	s.config.ExposedPorts, s.host.PortBindings = exposed, bindings
	return nil
}

// setCPUs takes a number of CPUs as --cpus does.
func (s *settings) setCPUs(cpus, version string) error {
	if cpus == "" {
		return nil
	}
	if versions.LessThan(version, apiCPUs) {
		return manifest.Errorf(errdefs.ErrNotImplemented, "cpus: the Docker daemon cannot limit them so: that takes API %s, and it has %s; update it",
			apiCPUs, version)
	}
	nano, err := opts.ParseCPUs(cpus)
	if err != nil {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "cpus %q: %w", clean(cpus), err)
	}
	s.host.NanoCPUs = nano
	return nil
}
