package daemon

import (
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/task/run"
)

func TestSettings(t *testing.T) {
	s, err := newSettings(run.Container{
		Name: "n", Image: "app:1", Entrypoint: []string{"e"}, Args: []string{"a", "b c"}, Env: []string{"K=V"}, Dir: "/d", User: "1:2",
		Network: "net", Alias: "web", Isolation: "process", CPUs: "1.5", Privileged: true,
		Expose: []string{"80", "90-91/udp"}, Ports: []string{"127.0.0.1:8080:81", "82"},
		Mounts: []run.Mount{{Source: "vol", Target: "/v"}, {Source: "/h", Target: "/w"}, {Source: "/s", Target: "/s:z,ro"}}, Labels: map[string]string{"l": "1"},
		Memory: 8 << 20, Init: true, Hosts: []string{"a:1.2.3.4"}, Platform: "linux/arm64",
	}, "1.51")
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	want := settings{
		name: "n",
		config: container.Config{
			Image: "app:1", Entrypoint: []string{"e"}, Cmd: []string{"a", "b c"}, Env: []string{"K=V"}, WorkingDir: "/d", User: "1:2",
			Hostname: "web", Labels: map[string]string{"l": "1"}, AttachStdout: true, AttachStderr: true,
			ExposedPorts: nat.PortSet{"80/tcp": {}, "81/tcp": {}, "82/tcp": {}, "90/udp": {}, "91/udp": {}},
		},
		host: container.HostConfig{
			Binds: []string{"vol:/v"}, NetworkMode: "net", Isolation: "process", Privileged: true,
			Resources: container.Resources{NanoCPUs: 1_500_000_000, Memory: 8 << 20},
			Mounts: []mount.Mount{
				{Type: mount.TypeBind, Source: "/h", Target: "/w"}, {Type: mount.TypeBind, Source: "/s", Target: "/s", ReadOnly: true},
			},
			Init: &yes, ExtraHosts: []string{"a:1.2.3.4"},
			PortBindings: nat.PortMap{"81/tcp": {{HostIP: "127.0.0.1", HostPort: "8080"}}, "82/tcp": {{}}},
		},
		networking: network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"net": {Aliases: []string{"web"}}}},
		platform:   &ocispec.Platform{OS: "linux", Architecture: "arm64"},
	}
	if !reflect.DeepEqual(s, want) {
		got, _ := json.Marshal([]any{s.config, s.host, s.networking})
		t.Errorf("got %s, want %+v", got, want)
	}
}

// A container has its alias where the daemon takes one.
func TestSettingsOfNames(t *testing.T) {
	for _, tt := range []struct {
		network, alias, hostname string
		inNetwork                bool
	}{
		{"net", "web", "web", true},
		{"net", "", "", false},
		{"", "web", "web", false},
		{"none", "web", "web", false},
		{"bridge", "web", "web", false},
		{"host", "web", "web", false},
		{"container:other", "web", "", false},
		{"net", strings.Repeat("a", 64), strings.Repeat("a", 64), true},
		{"net", strings.Repeat("a", 65), "", true}, // is no hostname on Linux
	} {
		s, err := newSettings(run.Container{Network: tt.network, Alias: tt.alias}, "1.51")
		_, inNetwork := s.networking.EndpointsConfig[tt.network]
		if err != nil || s.config.Hostname != tt.hostname || inNetwork != tt.inNetwork {
			t.Errorf("%s as %s: got hostname %q, in the network %t, error %v, want %q, %t, none", tt.network, tt.alias, s.config.Hostname, inNetwork, err, tt.hostname, tt.inNetwork)
		}
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		container run.Container
		version   string
		kind      error
		texts     []string
	}{
		{run.Container{Ports: []string{"http"}}, "1.51", errdefs.ErrInvalidArgument, []string{"ports", "http"}},
		{run.Container{Ports: []string{"1-2:1-3"}}, "1.51", errdefs.ErrInvalidArgument, []string{"ports", "1-2"}},
		{run.Container{Expose: []string{"80:80"}}, "1.51", errdefs.ErrInvalidArgument, []string{`expose "80:80"`}},
		{run.Container{Expose: []string{"9-8"}}, "1.51", errdefs.ErrInvalidArgument, []string{`expose "9-8"`}},
		{run.Container{Platform: "linux/arm64/v8/x"}, "1.51", errdefs.ErrInvalidArgument, []string{`platform "linux/arm64/v8/x"`}},
		{run.Container{CPUs: "two"}, "1.51", errdefs.ErrInvalidArgument, []string{`cpus "two"`}},
		{run.Container{Mounts: []run.Mount{{Source: "/s", Target: "/s"}}}, "1.24", errdefs.ErrNotImplemented, []string{"mounting /s", "API 1.25", "update"}},
		{run.Container{CPUs: "2"}, "1.24", errdefs.ErrNotImplemented, []string{"API 1.25", "1.24", "update"}},
	} {
		f := running(t, tt.version, 0, silentOutput)
		code, err := f.daemon().Run(t.Context(), tt.container, run.Output{}, func() {})
		if code != -1 || !errors.Is(err, tt.kind) {
			t.Fatalf("%+v: got exit code %d and error %v, want -1 and %v", tt.container, code, err, tt.kind)
		}
		checkText(t, err, tt.texts...)
		if asked := f.asked(); len(asked) > 0 {
			t.Errorf("%+v: got requests %q, want none", tt.container, asked)
		}
	}
}

func TestSocket(t *testing.T) {
	own := "/run/user/1000/docker.sock"
	if runtime.GOOS != "linux" { // where daemons are in a virtual machine
		own = "/var/run/docker.sock"
	}
	for host, want := range map[string]string{
		"unix:///run/user/1000/docker.sock":            own,
		"unix:///home/ann/.docker/desktop/docker.sock": "/var/run/docker.sock",
		"tcp://127.0.0.1:2375":                         "/var/run/docker.sock",
	} {
		f := newFake(t, "1.51", nil)
		d := New(func() (client.APIClient, error) {
			api, err := f.connect()
			return called{api, host}, err
		}, noAuth)
		if got, err := d.Socket(t.Context()); got != want || err != nil {
			t.Errorf("%s: got socket %s and error %v, want %s", host, got, err, want)
		}
	}
}
