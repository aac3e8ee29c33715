package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// remoteHost is a registry that, for the plugin, is not on this machine.
const remoteHost = servers.RemoteName + ":5000"

// newRemote is a scene with lists at remoteHost, a registry with two images.
func newRemote(t *testing.T, o harness.RegistryOptions) watched {
	w := newWatched(t)
	w.registry = harness.NewRegistry(t, o)
	w.list = w.remote("1")
	w.put(w.repo, "amd64", images.Spec{Platform: amd64})
	w.put(w.repo, "arm64", images.Spec{Platform: arm64})
	w.reach(map[string]string{remoteHost: w.registry.Host}, w.recorder)
	return w
}

func (w watched) remote(tag string) string { return remoteHost + "/" + w.repo + ":" + tag }

// certsD puts files into certs.d of the docker configuration for a host.
func (w watched) certsD(host string, files map[string]string) {
	w.Helper()
	dir := filepath.Join(w.Config, "certs.d", host)
	err := os.MkdirAll(dir, 0o700)
	for name, file := range files {
		if err == nil {
			err = os.Symlink(file, filepath.Join(dir, name))
		}
	}
	if err != nil {
		w.Fatal(err)
	}
}

// worksRemote creates, pushes and inspects with flags.
func (w watched) worksRemote(flags ...string) (stderr string) {
	w.Helper()
	for _, args := range [][]string{
		{"create", w.list, w.remote("amd64"), w.remote("arm64")},
		{"push", "--purge", w.list},
		{"inspect", "-v", w.list},
		{"create", "--push", w.remote("2"), w.remote("arm64")},
	} {
		stderr += w.multiarch(append(args, flags...)...).Stderr
	}
	w.holds("1", "linux/amd64", "linux/arm64/v8")
	w.holds("2", "linux/arm64/v8")
	return stderr
}

// refusedRemote runs the same commands without flags, and checks that no request is sent without TLS.
func (w watched) refusedRemote(words ...string) {
	w.Helper()
	w.multiarch("create", "--insecure", w.list, w.remote("amd64"))
	before := len(w.requests(outside))
	words = append(words, remoteHost)
	w.refused(words, "create", w.remote("3"), w.remote("amd64"))
	w.refused(words, "create", "--push", w.remote("2"), w.remote("arm64"))
	w.refused(words, "inspect", w.remote("amd64"))
	w.refused(words, "push", "--purge", w.list)
	if all := w.requests(outside); len(all) > before {
		w.Errorf("got requests without TLS, want none:\n%s", strings.Join(all[before:], "\n"))
	}
	w.multiarch("rm", w.list)
}

var withLogin = harness.RegistryOptions{User: loginUser, Password: loginSecret}

// A remote registry with plain HTTP requires --insecure. Otherwise not even a request is sent.
func TestPlainRegistryNeedsInsecure(t *testing.T) {
	t.Parallel()
	w := newRemote(t, withLogin)
	w.Login(t, remoteHost, loginUser, loginSecret)
	w.refusedRemote("plain HTTP", "--insecure")
	w.worksRemote("--insecure")
	w.only(t, basic(loginUser, loginSecret), outside)
}

// A registry among the daemon's insecure registries is permitted, too.
func TestPlainRegistryOfTheDaemon(t *testing.T) {
	for _, store := range stores {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			w := newRemote(t, withLogin)
			w.Login(t, remoteHost, loginUser, loginSecret)
			w.useDaemon(harness.Daemon(t, store))
			w.refusedRemote("plain HTTP", "--insecure")
			w.useDaemon(harness.NewDaemon(t, servers.DaemonOptions{Store: store, InsecureRegistries: []string{remoteHost}}))
			w.worksRemote()
			w.only(t, basic(loginUser, loginSecret), outside)
		})
	}
}

// A registry with a certificate signed by an unknown authority requires --insecure, or its CA in the docker
// configuration. An unusable file there is only a warning.
func TestUnknownCertificateNeedsInsecureOrCA(t *testing.T) {
	t.Parallel()
	w := newRemote(t, harness.RegistryOptions{TLS: true, User: loginUser, Password: loginSecret})
	w.Login(t, remoteHost, loginUser, loginSecret)
	w.refusedRemote("certificate signed by an unknown authority", "ca.crt", "--insecure")
	w.worksRemote("--insecure")
	w.certsD(remoteHost, map[string]string{"ca.crt": w.registry.CertFile})
	saysNot(t, w.worksRemote(), "WARNING")
	w.certsD(remoteHost, map[string]string{"old.crt": "absent", "client.cert": w.registry.CertFile, "other.crt": os.DevNull})
	says(t, w.worksRemote(), "WARNING", "old.crt cannot be read", "other.crt has no CA certificate", "client certificate", "client.cert cannot be read")
	if all := w.requests(outside); len(all) > 0 {
		t.Errorf("got requests without TLS, want none:\n%s", strings.Join(all, "\n"))
	}
}

// A registry may require a client certificate.
func TestClientCertificate(t *testing.T) {
	for _, kind := range registryKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newRemote(t, harness.RegistryOptions{Kind: kind, TLS: true, ClientCert: true})
			w.certsD(remoteHost, map[string]string{"ca.crt": w.registry.CertFile})
			words := []string{remoteHost + " requires a client certificate", "client.cert and client.key"}
			w.refused(words, "create", w.list, w.remote("amd64"))
			w.refused(words, "create", "--push", "--insecure", w.list, w.remote("amd64"))
			w.certsD(remoteHost, map[string]string{"client.cert": w.registry.ClientCertFile, "client.key": w.registry.ClientKeyFile})
			w.worksRemote()
			w.multiarch("create", "--push", "--insecure", w.list, w.remote("amd64"))
		})
	}
}

// A registry on the loopback address does not require that, as it does not for the daemon.
func TestLoopbackRegistryWithTLSAndLogin(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	s.registry = harness.NewRegistry(t, harness.RegistryOptions{TLS: true, User: loginUser, Password: loginSecret})
	s.list = s.registry.Host + "/" + s.repo + ":1"
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	s.refused([]string{"docker login " + s.registry.Host}, "create", s.list, s.name("amd64"))
	s.Login(t, s.registry.Host, loginUser, loginSecret)
	s.multiarch("create", "--push", s.list, s.name("amd64"))
	s.holds("1", "linux/amd64")
}
