package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// podman returns the command of podman's Docker API. It reads no configuration of the machine.
func (d *Daemon) podman(o DaemonOptions) (*exec.Cmd, error) {
	conmon, err := d.tools.executable(d.tools.debianPath("usr/bin/conmon"))
	if err != nil {
		return nil, err
	}
	registries := "unqualified-search-registries = []\n"
	for _, host := range o.InsecureRegistries {
		registries += fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", host)
	}
	for name, content := range map[string]string{
		"home/.config/containers/policy.json": `{"default": [{"type": "insecureAcceptAnything"}]}`,
		"registries.conf":                     registries,
		"storage.conf":                        fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", d.path("data"), d.path("run")),
		"containers.conf": fmt.Sprintf("[engine]\nconmon_path = [%q]\ntmp_dir = %q\n[network]\nnetwork_config_dir = %q\n",
			conmon, d.path("tmp"), d.path("net")),
	} {
		if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(d.path(name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	cmd, err := d.tools.Debian("usr/bin/podman", "system", "service", "--time=0", d.Host)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, "HOME="+d.path("home"), "XDG_RUNTIME_DIR="+d.path("run"), "TMPDIR="+d.dir,
		"CONTAINERS_REGISTRIES_CONF="+d.path("registries.conf"), "CONTAINERS_STORAGE_CONF="+d.path("storage.conf"),
		"CONTAINERS_CONF="+d.path("containers.conf"))
	return cmd, nil
}
