package e2e

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// remoteHost is a registry that is not on this machine, for all that the plugin
// can tell.
const remoteHost = "registry.example.com:5000"

// reach makes remoteHost the name of server: a proxy knows where that is.
func (s *scene) reach(server *httptest.Server) {
	s.Helper()
	address := server.Listener.Addr().String()
	direct := &http.Transport{}
	s.Cleanup(direct.CloseIdleConnections)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != remoteHost:
			http.Error(w, "no such host", http.StatusBadGateway)
		case r.Method == http.MethodConnect:
			tunnel(w, address)
		default:
			forward(w, r, direct, address)
		}
	}))
	s.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		s.Set(name, proxy.URL)
	}
}

// tunnel joins the client with the address until either goes.
func tunnel(w http.ResponseWriter, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(server, buffered); done <- struct{}{} }()
	go func() { _, _ = io.Copy(client, server); done <- struct{}{} }()
	<-done
}

func forward(w http.ResponseWriter, r *http.Request, direct *http.Transport, address string) {
	r.URL.Host = address
	resp, err := direct.RoundTrip(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// newRemoteScene is a scene whose lists lie at remoteHost, served as serve does
// it, with two images there.
func newRemoteScene(t *testing.T, serve func(http.Handler) *httptest.Server) (*scene, *httptest.Server) {
	s := newScene(t, harness.V3)
	s.put(s.repo, "amd64", images.Spec{Platform: amd64})
	s.put(s.repo, "arm64", images.Spec{Platform: arm64})
	server := serve(newProxy(t, s.registry))
	t.Cleanup(server.Close)
	s.reach(server)
	s.list = s.remote("1")
	return s, server
}

func (s *scene) remote(tag string) string { return remoteHost + "/" + s.repo + ":" + tag }

// worksRemote creates, pushes and inspects with flags.
func (s *scene) worksRemote(flags ...string) {
	s.Helper()
	s.multiarch(append([]string{"create", s.list, s.remote("amd64"), s.remote("arm64")}, flags...)...)
	s.multiarch(append([]string{"push", "--purge", s.list}, flags...)...)
	s.holds("1", "linux/amd64", "linux/arm64/v8")
	s.multiarch(append([]string{"inspect", "-v", s.list}, flags...)...)
	s.multiarch(append([]string{"create", "--push", s.remote("2"), s.remote("arm64")}, flags...)...)
	s.holds("2", "linux/arm64/v8")
}

// refusedRemote tries the same without them.
func (s *scene) refusedRemote(words ...string) {
	s.Helper()
	words = append(words, remoteHost, "--insecure")
	s.refused(words, "create", s.list, s.remote("amd64"))
	s.refused(words, "create", "--push", s.remote("2"), s.remote("arm64"))
	s.refused(words, "inspect", s.remote("amd64"))
	s.multiarch("create", "--insecure", s.list, s.remote("amd64"))
	s.refused(words, "push", "--purge", s.list)
	s.multiarch("rm", s.list)
}

// A registry elsewhere that speaks plain HTTP needs --insecure.
func TestPlainRegistryNeedsInsecure(t *testing.T) {
	t.Parallel()
	s, _ := newRemoteScene(t, httptest.NewServer)
	s.refusedRemote("plain HTTP")
	s.worksRemote("--insecure")
}

// So does one with a certificate that nobody vouches for, unless its CA is in the
// docker configuration.
func TestUnknownCertificateNeedsInsecureOrCA(t *testing.T) {
	t.Parallel()
	s, server := newRemoteScene(t, func(h http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		server.Config.ErrorLog = silence
		server.StartTLS()
		return server
	})
	s.refusedRemote("certificate that nobody vouches for", "ca.crt")
	s.worksRemote("--insecure")
	dir := filepath.Join(s.Config, "certs.d", remoteHost)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	s.worksRemote()
}

// A registry on the loopback address may do without, as it may for the daemon.
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
