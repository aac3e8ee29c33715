package daemon

import (
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/go-connections/nat"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxHostname is the longest host name on Linux.
const maxHostname = 64

// settings are the arguments of the Engine API for a new container.
type settings struct {
	name       string
	config     container.Config
	host       container.HostConfig
	networking network.NetworkingConfig
	platform   *ocispec.Platform // nil for the image's
}

// newSettings returns the settings that docker run sends for the same options. The error is
// errdefs.ErrInvalidArgument, or errdefs.ErrNotImplemented if the API of that version lacks an option.
func newSettings(c run.Container, version string) (settings, error) {
	s := settings{name: c.Name}
	s.config = container.Config{
		Image: c.Image, Entrypoint: c.Entrypoint, Cmd: c.Args, Env: c.Env, WorkingDir: c.Dir, User: c.User,
		Labels: c.Labels, AttachStdout: true, AttachStderr: true,
	}
	s.host = container.HostConfig{
		NetworkMode: container.NetworkMode(c.Network), Isolation: container.Isolation(c.Isolation), Privileged: c.Privileged,
		ExtraHosts: c.Hosts,
	}
	s.host.Memory = c.Memory
	if c.Init {
		s.host.Init = &c.Init
	}
	if err := s.addMounts(c.Mounts, version); err != nil {
		return s, err
	}
	if c.Platform != "" {
		platform, err := platforms.Parse(c.Platform)
		if err != nil {
			return s, manifest.Errorf(errdefs.ErrInvalidArgument, "platform %q: %w", clean(c.Platform), err)
		}
		s.platform = &platform
	}
	s.setNames(c.Alias)
	if err := s.setPorts(c.Ports, c.Expose); err != nil {
		return s, err
	}
	return s, s.setCPUs(c.CPUs, version)
}

// addMounts mounts volumes and paths. Of a path that does not exist the daemon would make a folder if it was in Binds.
func (s *settings) addMounts(mounts []run.Mount, version string) error {
	for _, m := range mounts {
		if !strings.HasPrefix(m.Source, "/") {
			s.host.Binds = append(s.host.Binds, m.Source+":"+m.Target)
			continue
		}
		if versions.LessThan(version, apiMounts) {
			return manifest.Errorf(errdefs.ErrNotImplemented, "mounting %s: that needs API %s, and the Docker daemon has %s; update the daemon",
				clean(m.Source), apiMounts, version)
		}
		target, options, _ := strings.Cut(m.Target, ":")
		s.host.Mounts = append(s.host.Mounts, mount.Mount{
			Type: mount.TypeBind, Source: m.Source, Target: target, ReadOnly: slices.Contains(strings.Split(options, ","), "ro"),
		})
	}
	return nil
}

// setNames makes alias the host name of the container and its alias in the network, where possible.
func (s *settings) setNames(alias string) {
	mode := s.host.NetworkMode
	if len(alias) <= maxHostname && !mode.IsContainer() { // it shares the host name of the other container
		s.config.Hostname = alias
	}
	if alias != "" && mode != "" && mode.IsUserDefined() {
		s.networking.EndpointsConfig = map[string]*network.EndpointSettings{
			mode.NetworkName(): {Aliases: []string{alias}},
		}
	}
}

// setPorts parses ports like --publish and expose like --expose.
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

// setCPUs parses a number of CPUs like --cpus.
func (s *settings) setCPUs(cpus, version string) error {
	if cpus == "" {
		return nil
	}
	if versions.LessThan(version, apiCPUs) {
		return manifest.Errorf(errdefs.ErrNotImplemented, "cpus: the Docker daemon cannot limit CPUs: that needs API %s, and it has %s; update the daemon",
			apiCPUs, version)
	}
	nano, err := opts.ParseCPUs(cpus)
	if err != nil {
		return manifest.Errorf(errdefs.ErrInvalidArgument, "cpus %q: %w", clean(cpus), err)
	}
	s.host.NanoCPUs = nano
	return nil
}
