package daemon

import (
	"context"
	"slices"

	"github.com/docker/docker/api/types/build"
)

// containerdDriver identifies the containerd store in the driver status of a daemon.
var containerdDriver = [2]string{"driver-type", "io.containerd.snapshotter.v1"}

// Builds reports whether the daemon builds with BuildKit, and whether what it builds can be for several
// platforms at once, which needs the containerd store. The error is errdefs.ErrUnavailable when the daemon
// cannot be reached.
func (d *Daemon) Builds(ctx context.Context) (buildKit, multiPlatform bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.answerTimeout)
	defer cancel()
	info, err := d.info(ctx)
	if err != nil {
		return false, false, err
	}
	buildKit = d.hello.BuilderVersion == build.BuilderBuildKit
	if d.hello.BuilderVersion == "" { // before 23.0 it has no default and uses the builder that is requested
		api, err := d.client(ctx)
		if err != nil {
			return false, false, err
		}
		podman, err := d.isPodman(ctx, api)
		if err != nil {
			return false, false, failed(ctx, api, err, "asking the Docker daemon how it builds")
		}
		buildKit = has(api, apiBuildKit) && info.OSType != "windows" && !podman
	}
	return buildKit, slices.Contains(info.DriverStatus, containerdDriver), nil
}
