package servers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Store is the image store of a daemon.
type Store string

// The daemons by their image store: Debian's Docker, a current one, and Debian's podman, which only builds, loads and
// pushes images here.
const (
	GraphDriver Store = "graph-driver store"
	Containerd  Store = "containerd store"
	Podman      Store = "podman's store"
)

// DaemonOptions configure a daemon.
type DaemonOptions struct {
	Store              Store
	InsecureRegistries []string // besides 127.0.0.0/8; all of them for podman
	Uploads            int      // maximum of concurrent uploads of all pushes, 0 means the daemon's default, 5
	Bridge             string   // of the default network, which BuildKit needs for some of its own containers; "" for none
	Tools              Tools
}

// Daemon is a running Docker daemon. Without a bridge it has no default network: a container needs a created one, or none.
type Daemon struct {
	Store      Store
	Version    string // "20.10.24+dfsg1"
	Driver     string // "overlay2"
	Host       string // for DOCKER_HOST
	tools      Tools
	socket     string
	dir        string
	addresses  *addresses
	containerd *process
	dockerd    *process
	http       *http.Client
}

// StartDaemon starts a daemon that stores everything in dir, an empty folder with a short name (the path of a socket
// has at most 100 characters or so).
func StartDaemon(ctx context.Context, dir string, o DaemonOptions) (*Daemon, error) {
	if err := daemonsPossible(); err != nil {
		return nil, err
	}
	d := &Daemon{Store: o.Store, tools: o.Tools, dir: dir, socket: filepath.Join(dir, "d.sock")}
	d.Host = "unix://" + d.socket
	d.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.socket)
		},
	}}
	if err := d.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("daemon with %s: %w", o.Store, err), d.Stop())
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context, o DaemonOptions) error {
	cmd, err := d.prepare(ctx, o)
	if err != nil {
		return err
	}
	if d.dockerd, err = start(cmd, d.dir); err != nil {
		return err
	}
	if err := d.dockerd.await(ctx, func() bool { return d.get(ctx, "/_ping", nil) == nil }); err != nil {
		return err
	}
	var info struct{ ServerVersion, Driver string }
	if err := d.get(ctx, "/info", &info); err != nil {
		return err
	}
	d.Version, d.Driver = info.ServerVersion, info.Driver
	return nil
}

// prepare returns the command of the daemon, and starts its containerd.
func (d *Daemon) prepare(ctx context.Context, o DaemonOptions) (*exec.Cmd, error) {
	if d.Store == Podman {
		return d.podman(o)
	}
	var err error
	if d.addresses, err = reserveAddresses(); err != nil {
		return nil, err
	}
	if err := d.startContainerd(ctx); err != nil {
		return nil, err
	}
	return d.command(o)
}

func (d *Daemon) path(name string) string { return filepath.Join(d.dir, name) }

func (d *Daemon) startContainerd(ctx context.Context) error {
	socket := d.path("c.sock")
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\n"+
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		d.path("containerd"), d.path("containerd-state"), socket)
	if err := os.WriteFile(d.path("containerd.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	cmd, err := d.tools.Debian("usr/bin/containerd", "--config", d.path("containerd.toml"))
	if err != nil {
		return err
	}
	d.preferBuilt(cmd) // the runc that it starts
	if d.containerd, err = start(cmd, d.dir); err != nil {
		return err
	}
	return d.containerd.await(ctx, func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// command returns the command of dockerd. It does not read the configuration file of the machine.
func (d *Daemon) command(o DaemonOptions) (*exec.Cmd, error) {
	config := map[string]any{}
	if o.Uploads > 0 {
		config["max-concurrent-uploads"] = o.Uploads
	}
	if d.Store == Containerd {
		config["features"] = map[string]bool{"containerd-snapshotter": true}
	}
	data, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.path("daemon.json"), data, 0o600); err != nil {
		return nil, err
	}
	args := []string{
		"--config-file", d.path("daemon.json"), "--host", d.Host, "--pidfile", d.path("pid"),
		"--data-root", d.path("data"), "--exec-root", d.path("exec"), "--containerd", d.path("c.sock"),
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=" + cmp.Or(o.Bridge, "none"),
		"--default-address-pool", fmt.Sprintf("base=%s,size=27", d.addresses.Prefix),
	}
	for _, registry := range o.InsecureRegistries {
		args = append(args, "--insecure-registry", registry)
	}
	if d.Store == GraphDriver {
		return d.tools.Debian("usr/sbin/dockerd", args...)
	}
	program, err := d.tools.Built("dockerd")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(d.tools.environment(), "OTEL_TRACES_EXPORTER=none")
	d.preferBuilt(cmd)
	return cmd, nil
}

// preferBuilt puts the programs built from modules before Debian's on PATH, for the daemon that needs the newer ones.
func (d *Daemon) preferBuilt(cmd *exec.Cmd) {
	if d.Store == Containerd {
		for i, kv := range cmd.Env {
			if path, ok := strings.CutPrefix(kv, "PATH="); ok {
				cmd.Env[i] = "PATH=" + filepath.Join(d.tools.Dir, "bin") + ":" + path
			}
		}
	}
}

// Stop stops the daemon in order: first containers, each of which would have 10 seconds to exit by itself, then
// dockerd and containerd, then mounts and networks.
func (d *Daemon) Stop() error {
	errs := []error{d.endContainers(), d.dockerd.stop(), d.containerd.stop(), unmountBelow(d.dir)}
	if d.addresses != nil { // not stopped yet
		errs = append(errs, d.addresses.release(d.tools))
		d.addresses = nil
	}
	return errors.Join(errs...)
}

// endContainers deletes running containers. It uses containerd, since a killed dockerd leaves them running; if a
// running dockerd deletes one first, that is an error, and the rest is tried again.
func (d *Daemon) endContainers() error {
	if !d.containerd.running() {
		return nil
	}
	var err error
	for range 5 {
		tasks, listErr := d.ctr("list", "--quiet")
		ids := strings.Fields(tasks)
		if listErr != nil || len(ids) == 0 {
			return listErr
		}
		_, err = d.ctr(append([]string{"delete", "--force"}, ids...)...)
	}
	return err
}

// ctr runs ctr on the containerd tasks of dockerd's containers.
func (d *Daemon) ctr(args ...string) (string, error) {
	args = append([]string{"--address", d.path("c.sock"), "--namespace", "moby", "tasks"}, args...)
	cmd, err := d.tools.Debian("usr/bin/ctr", args...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), err
}

// Kill kills the daemon, as a crash would.
func (d *Daemon) Kill() error {
	d.dockerd.kill()
	return d.Stop()
}

// Load loads an archive into the daemon, as docker load does.
func (d *Daemon) Load(ctx context.Context, archive []byte) error {
	answer, err := d.do(ctx, http.MethodPost, "/images/load?quiet=1", archive)
	if err == nil && bytes.Contains(answer, []byte(`"errorDetail"`)) {
		err = fmt.Errorf("loading images: %s", bytes.TrimSpace(answer))
	}
	return err
}

// Images maps each tag ("repo:tag") to its image ID.
func (d *Daemon) Images(ctx context.Context) (map[string]string, error) {
	var list []struct {
		ID       string `json:"Id"`
		RepoTags []string
	}
	if err := d.get(ctx, "/images/json", &list); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, image := range list {
		for _, tag := range image.RepoTags {
			if !strings.HasPrefix(tag, "<none>") {
				tags[tag] = image.ID
			}
		}
	}
	return tags, nil
}

// RemoveImage removes a tag, and the image with its last one, from the daemon.
func (d *Daemon) RemoveImage(ctx context.Context, name string) error {
	_, err := d.do(ctx, http.MethodDelete, "/images/"+url.PathEscape(name)+"?force=1", nil)
	return err
}

func (d *Daemon) get(ctx context.Context, path string, v any) error {
	data, err := d.do(ctx, http.MethodGet, path, nil)
	if err != nil || v == nil {
		return err
	}
	return json.Unmarshal(data, v)
}

func (d *Daemon) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	rsp, err := d.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer rsp.Body.Close()
	data, err := io.ReadAll(rsp.Body)
	if err == nil && rsp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, rsp.Status, bytes.TrimSpace(data))
	}
	return data, err
}
