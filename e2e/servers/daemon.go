package servers

import (
	"bytes"
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

// The two daemons, by their image store: Debian's Docker, and a current one.
const (
	GraphDriver Store = "graph-driver store"
	Containerd  Store = "containerd store"
)

// DaemonOptions say what daemon to start.
type DaemonOptions struct {
	Store              Store
	InsecureRegistries []string // 127.0.0.0/8 is one anyway
	Tools              Tools
}

// Daemon is a running Docker daemon without networks.
type Daemon struct {
	Store      Store
	Version    string // "20.10.24+dfsg1"
	Driver     string // "overlay2"
	Host       string // for DOCKER_HOST
	socket     string
	dir        string
	containerd *process
	dockerd    *process
	http       *http.Client
}

// StartDaemon starts a daemon that keeps everything in dir, an empty folder with
// a short name (a socket's path has a limit of 100 characters or so).
func StartDaemon(ctx context.Context, dir string, o DaemonOptions) (*Daemon, error) {
	if err := daemonsPossible(); err != nil {
		return nil, err
	}
	d := &Daemon{Store: o.Store, dir: dir, socket: filepath.Join(dir, "d.sock")}
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
	if err := d.startContainerd(ctx, o.Tools); err != nil {
		return err
	}
	cmd, err := d.command(o)
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

func (d *Daemon) path(name string) string { return filepath.Join(d.dir, name) }

func (d *Daemon) startContainerd(ctx context.Context, tools Tools) error {
	socket := d.path("c.sock")
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\n"+
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		d.path("containerd"), d.path("containerd-state"), socket)
	if err := os.WriteFile(d.path("containerd.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	cmd, err := tools.debian("usr/bin/containerd", "--config", d.path("containerd.toml"))
	if err != nil {
		return err
	}
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

// command is dockerd's. The configuration file of the machine is not read.
func (d *Daemon) command(o DaemonOptions) (*exec.Cmd, error) {
	config := map[string]any{}
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
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--userland-proxy=false",
	}
	for _, registry := range o.InsecureRegistries {
		args = append(args, "--insecure-registry", registry)
	}
	if d.Store == GraphDriver {
		return o.Tools.debian("usr/sbin/dockerd", args...)
	}
	program, err := o.Tools.Built("dockerd")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(o.Tools.environment(), "OTEL_TRACES_EXPORTER=none")
	return cmd, nil
}

// Stop ends the daemon in order: dockerd before containerd, mounts after both.
func (d *Daemon) Stop() error {
	return errors.Join(d.dockerd.stop(), d.containerd.stop(), unmountBelow(d.dir))
}

// Kill ends the daemon at once, as a crash would.
func (d *Daemon) Kill() error {
	d.dockerd.kill()
	return d.Stop()
}

// Load gives the daemon an archive, as docker load does.
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

// RemoveImage takes a tag, and the image with its last one, from the daemon.
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
