package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/run"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

var _ run.Resources = (*Daemon)(nil)

// CreateNetwork creates a network of this name with the driver and address families of n. The error is
// errdefs.ErrConflict if the network exists.
func (d *Daemon) CreateNetwork(ctx context.Context, n task.Network, name string, labels map[string]string) error {
	options := network.CreateOptions{Driver: n.Driver, Labels: labels}
	if n.IPv6 {
		options.EnableIPv6 = &n.IPv6
	}
	return d.create(ctx, "creating network "+clean(name), func(ctx context.Context, api client.APIClient) error {
		_, err := api.NetworkCreate(ctx, name, options)
		return err
	})
}

// CreateVolume creates an empty volume of this name. The error is errdefs.ErrConflict if one with other labels
// exists, which the daemon itself accepts.
func (d *Daemon) CreateVolume(ctx context.Context, name string, labels map[string]string) error {
	_, err := d.createVolume(ctx, volume.CreateOptions{Name: name, Labels: labels})
	return err
}

// remapped matches the folder of a volume if containers are other users outside: the daemon's folder is then named after
// the user and group that their root is, see https://docs.docker.com/engine/security/userns-remap/.
var remapped = lazyregexp.New(`/[0-9]+\.[0-9]+/volumes/`)

// LinkVolume creates a volume of files on this machine, with options of the mount. The error is errdefs.ErrNotImplemented
// if containers may not use such files, or are other users outside.
func (d *Daemon) LinkVolume(ctx context.Context, name string, labels, options map[string]string) error {
	refused := manifest.Errorf(errdefs.ErrNotImplemented, "the Docker daemon isolates containers from files of its machine")
	if d.mayLabel() { // otherwise the daemon need not be asked, which takes longer than the rest
		info, err := d.info(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return strings.HasPrefix(o, "name=selinux") }) {
			return refused
		}
	}
	made, err := d.createVolume(ctx, volume.CreateOptions{Name: name, Labels: labels, Driver: "local", DriverOpts: options})
	if err != nil || !remapped().MatchString(made.Mountpoint) {
		return err
	}
	return cmp.Or(d.create(ctx, "removing volume "+clean(name), func(ctx context.Context, api client.APIClient) error {
		return api.VolumeRemove(ctx, name, false)
	}), refused)
}

// hasSELinux reports whether this machine may have SELinux, by which a daemon on it can keep containers from files.
func hasSELinux() bool {
	known, err := os.ReadFile("/proc/filesystems")
	return err != nil || bytes.Contains(known, []byte("selinuxfs"))
}

func (d *Daemon) createVolume(ctx context.Context, o volume.CreateOptions) (made volume.Volume, err error) {
	err = d.create(ctx, "creating volume "+clean(o.Name), func(ctx context.Context, api client.APIClient) error {
		made, err = api.VolumeCreate(ctx, o)
		if err == nil && !maps.Equal(made.Labels, o.Labels) {
			err = manifest.Errorf(errdefs.ErrConflict, "a volume of this name already exists")
		}
		return err
	})
	return made, err
}

// create sends a request that creates a resource.
func (d *Daemon) create(ctx context.Context, what string, request func(context.Context, client.APIClient) error) error {
	api, err := d.client(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	ctx, cancel := outlast(ctx)
	defer cancel()
	return failed(ctx, api, request(ctx, api), what)
}

// Has reports whether there is a thing, "container", "network" or "volume", of a name.
func (d *Daemon) Has(ctx context.Context, thing, name string) (bool, error) {
	what := "looking for " + thing + " " + clean(name)
	api, err := d.client(ctx)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	all := []kind{containerKind, volumeKind, networkKind}
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == thing })
	// The request for a single one would also find an ID that begins with the name.
	ids, err := all[i].list(ctx, api, filters.NewArgs(filters.Arg("name", "^/?"+regexp.QuoteMeta(name)+"$")))
	return len(ids) > 0, failed(ctx, api, err, what)
}

// Remove removes all containers with the label, running ones too and with their anonymous volumes, the
// networks and volumes with it, and the image that Send and Receive use. A failure does not stop the
// rest; resources that are already gone are no failure.
func (d *Daemon) Remove(ctx context.Context, label, value string) error {
	text := clean(label + "=" + value)
	api, err := d.client(ctx)
	if err != nil {
		return fmt.Errorf("removing resources with the label %s: %w", text, err)
	}
	if _, err := d.ping(ctx, api); err != nil { // it may have stopped meanwhile
		return fmt.Errorf("removing resources with the label %s: %w", text, err)
	}
	d.forgetEmpty()
	labeled := filters.NewArgs(filters.Arg("label", label+"="+value))
	all := func(k kind) error { return k.removeAll(ctx, api, labeled, text) }
	noContainers := make(chan struct{})
	return concurrently([]func() error{
		func() error {
			err := all(containerKind)
			close(noContainers)
			return errors.Join(err, all(volumeKind), all(imageKind))
		},
		func() error { // takes longest, and is refused while containers run
			if all(networkKind) == nil {
				return nil
			}
			<-noContainers
			return all(networkKind)
		},
	}, func(remove func() error) error { return remove() })
}

// kind is a kind of resource that can have a label.
type kind struct {
	name   string
	list   func(context.Context, client.APIClient, filters.Args) ([]string, error)
	remove func(context.Context, client.APIClient, string) error
}

var (
	containerKind = kind{"container", listContainers, removeContainer}
	volumeKind    = kind{"volume", listVolumes, func(ctx context.Context, api client.APIClient, name string) error {
		return api.VolumeRemove(ctx, name, false)
	}}
	imageKind   = kind{"image", listImages, removeImage}
	networkKind = kind{"network", listNetworks, func(ctx context.Context, api client.APIClient, id string) error { return api.NetworkRemove(ctx, id) }}
)

// removeAll removes the resources with a label concurrently, since a container may take a while to end.
func (k kind) removeAll(ctx context.Context, api client.APIClient, labeled filters.Args, label string) error {
	ids, err := k.list(ctx, api, labeled)
	if err != nil {
		return failed(ctx, api, err, "listing the "+k.name+"s with the label "+label)
	}
	return concurrently(ids, func(id string) error {
		if err := k.remove(ctx, api, id); err != nil && !errdefs.IsNotFound(err) {
			return failed(ctx, api, err, "removing "+k.name+" "+clean(id))
		}
		return nil
	})
}

// concurrently calls do for all and returns the errors in their order.
func concurrently[T any](all []T, do func(T) error) error {
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, one := range all {
		group.Go(func() { errs[i] = do(one) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// removeContainer removes a container with its anonymous volumes, even if it is running. It waits for one that
// another request is removing, since networks and volumes are in use until then.
func removeContainer(ctx context.Context, api client.APIClient, id string) error {
	err := api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if !errdefs.IsConflict(err) {
		return err
	}
	removed, errs := api.ContainerWait(ctx, id, container.WaitConditionRemoved)
	select {
	case <-removed:
		return nil
	case err := <-errs:
		return err
	}
}

func removeImage(ctx context.Context, api client.APIClient, id string) error {
	_, err := api.ImageRemove(ctx, id, image.RemoveOptions{Force: true})
	return err
}

func listContainers(ctx context.Context, api client.APIClient, labeled filters.Args) ([]string, error) {
	list, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: labeled})
	return each(list, func(c container.Summary) string { return c.ID }), err
}

func listNetworks(ctx context.Context, api client.APIClient, labeled filters.Args) ([]string, error) {
	list, err := api.NetworkList(ctx, network.ListOptions{Filters: labeled})
	return each(list, func(n network.Summary) string { return n.ID }), err
}

func listVolumes(ctx context.Context, api client.APIClient, labeled filters.Args) ([]string, error) {
	list, err := api.VolumeList(ctx, volume.ListOptions{Filters: labeled})
	return each(list.Volumes, func(v *volume.Volume) string { return v.Name }), err
}

func listImages(ctx context.Context, api client.APIClient, labeled filters.Args) ([]string, error) {
	list, err := api.ImageList(ctx, image.ListOptions{Filters: labeled})
	return each(list, func(i image.Summary) string { return i.ID }), err
}

// each returns the result of of for each element.
func each[T any](things []T, of func(T) string) []string {
	var all []string
	for _, thing := range things {
		all = append(all, of(thing))
	}
	return all
}
