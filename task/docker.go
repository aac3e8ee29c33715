package task

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/go-connections/nat"
	"github.com/docker/go-units"
)

// RunFlags are the flags of docker run before the image of a cmd. -t, -i and --rm have no effect.
type RunFlags struct {
	Detach, Init, Privileged, Pull, NeverPull bool
	// Env has KEY=VALUE, or KEY for a variable of the step; EnvFiles are files of the workspace.
	Env, EnvFiles []string
	// Mounts are volumes of the file, the workspace (SharedVolume) or the daemon's socket.
	Mounts []Mount
	Ports  []string
	// Hosts has HOST:IP, Labels KEY=VALUE.
	Hosts, Labels                                  []string
	Dir, EntryPoint, Name, Network, Platform, User string
	Memory                                         int64 // in bytes, 0 for no limit
}

// runFlagNames are the flags of docker run that a cmd may have.
const runFlagNames = "--add-host, --detach, --entrypoint, --env, --env-file, --init, --interactive, --label, --memory, --name, --network, " +
	"--platform, --privileged, --publish, --pull, --rm, --tty, --user, --volume and --workdir"

// parseRun returns the flags before the image of a cmd, and the words from the image on.
func parseRun(words []string) (f RunFlags, rest []string, err error) {
	flags := newFlags()
	flags.SetInterspersed(false)
	flags.BoolVarP(&f.Detach, "detach", "d", false, "")
	flags.BoolVar(&f.Init, "init", false, "")
	flags.BoolVar(&f.Privileged, "privileged", false, "")
	for name, short := range map[string]string{"interactive": "i", "tty": "t", "rm": ""} {
		flags.BoolP(name, short, false, "")
	}
	flags.StringArrayVarP(&f.Env, "env", "e", nil, "")
	flags.StringArrayVar(&f.EnvFiles, "env-file", nil, "")
	flags.StringArrayVarP(&f.Ports, "publish", "p", nil, "")
	flags.StringArrayVar(&f.Hosts, "add-host", nil, "")
	flags.StringArrayVarP(&f.Labels, "label", "l", nil, "")
	volumes := flags.StringArrayP("volume", "v", nil, "")
	flags.StringVarP(&f.Dir, "workdir", "w", "", "")
	flags.StringVar(&f.EntryPoint, "entrypoint", "", "")
	flags.StringVar(&f.Name, "name", "", "")
	flags.StringVar(&f.Network, "network", "", "")
	flags.StringVar(&f.Platform, "platform", "", "")
	flags.StringVarP(&f.User, "user", "u", "", "")
	memory := flags.StringP("memory", "m", "", "")
	pull := flags.String("pull", "missing", "")
	if err := flags.Parse(words); err != nil {
		return f, nil, fmt.Errorf("%w: the flags of docker run that may come before an image are %s", flagError(err), runFlagNames)
	}
	if rest = flags.Args(); len(rest) == 0 {
		return f, nil, errors.New("expected an image after the flags of docker run")
	}
	f.Pull, f.NeverPull = *pull == "always", *pull == "never"
	return f, rest, f.check(*volumes, *memory, *pull)
}

// check checks the values of flags, and sets the fields that have another form.
func (f *RunFlags) check(volumes []string, memory, pull string) error {
	if memory != "" {
		var err error
		if f.Memory, err = units.RAMInBytes(memory); err != nil {
			return fmt.Errorf("invalid value of --memory: expected a size such as 512m, found %s", show(memory))
		}
	}
	if !slices.Contains([]string{"always", "missing", "never"}, pull) {
		return fmt.Errorf("invalid value of --pull: expected always, missing or never, found %s", show(pull))
	}
	for _, host := range f.Hosts {
		name, address, _ := strings.Cut(host, ":")
		if _, err := netip.ParseAddr(strings.Trim(address, "[]")); name == "" || err != nil && address != "host-gateway" {
			return fmt.Errorf("invalid value of --add-host: expected HOST:IP, found %s", show(host))
		}
	}
	for _, port := range f.Ports {
		if _, err := nat.ParsePortSpec(port); err != nil {
			return fmt.Errorf("invalid value of --publish: expected [[IP:]HOST-PORT:]PORT[/PROTOCOL], found %s", show(port))
		}
	}
	for _, volume := range volumes {
		source, target, _ := strings.Cut(volume, ":")
		if !strings.HasPrefix(target, "/") {
			return fmt.Errorf("invalid value of --volume: expected VOLUME:PATH, found %s", show(volume))
		}
		if source != DockerSocket && !namePattern().MatchString(source) {
			return fmt.Errorf("--volume %s: a task cannot mount folders of this machine: expected a volume of the file, $SharedVolume or %s", show(source), DockerSocket)
		}
		f.Mounts = append(f.Mounts, Mount{source, target})
	}
	return nil
}
