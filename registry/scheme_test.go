package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
)

func TestScheme(t *testing.T) {
	allow := func(context.Context, string) bool { return true }
	tests := map[string]struct {
		selfSigned bool
		options    Options
		want       []string
	}{
		"plain":                     {want: []string{"registry.example.com:5000", "speaks plain HTTP", "--insecure"}},
		"plain, insecure":           {options: Options{Insecure: true}},
		"plain, insecure host":      {options: Options{InsecureHost: allow}},
		"certificate":               {selfSigned: true, want: []string{"registry.example.com:5000", "signed by an unknown authority", "certs.d/registry.example.com:5000/ca.crt", "--insecure"}},
		"certificate, insecure":     {selfSigned: true, options: Options{Insecure: true}},
		"certificate, insecurehost": {selfSigned: true, options: Options{InsecureHost: allow}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			f.before = basic("me", "hunter22")
			f.putImage("app", "1")
			if tt.selfSigned {
				n.selfSigned("registry.example.com:5000", f)
			} else {
				n.plain("registry.example.com:5000", f)
			}
			tt.options.Credentials = credential(Credential{Username: "me", Secret: "hunter22"})
			c := n.client(tt.options)
			for range 2 {
				_, err := c.Fetch(t.Context(), parse(t, "registry.example.com:5000/app:1"))
				if tt.want == nil && err != nil {
					t.Fatal(err)
				}
				if tt.want != nil {
					wantError(t, err, errdefs.ErrUnavailable, tt.want...)
				}
			}
			if got := len(f.requests()); tt.want != nil && got != 0 || tt.want == nil && got != 3 {
				t.Errorf("got %d requests: %q, want none or 3", got, f.requests())
			}
		})
	}
}

func TestInsecureHostIsAskedLast(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("a.example.com:443", f)
	n.plain("registry.test:5000", f)
	f.putImage("app", "1")
	var asked []string
	c := n.client(Options{InsecureHost: func(_ context.Context, host string) bool {
		asked = append(asked, host)
		return true
	}})
	for _, name := range []string{"a.example.com/app:1", "registry.test:5000/app:1", "registry.test:5000/app:1"} {
		if _, err := c.Fetch(t.Context(), parse(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range asked {
		if host != "registry.test:5000" {
			t.Errorf("got questions about %q, want only registry.test:5000", asked)
		}
	}
}

func TestLoopbackNeedsNoPermission(t *testing.T) {
	for name, start := range map[string]func(http.Handler) *httptest.Server{"plain": httptest.NewServer, "TLS": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.putImage("app", "1")
			s := start(f)
			defer s.Close()
			s.Config.ErrorLog = discardLog
			if _, err := New(Options{}).Fetch(t.Context(), parse(t, s.Listener.Addr().String()+"/app:1")); err != nil {
				t.Error(err)
			}
		})
	}
}

// Plain HTTP without a port is port 80, where HTTPS finds port 443 closed.
func TestPlainWithoutPort(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.plain("registry.test:80", f)
	f.putImage("app", "1")
	if _, err := n.client(Options{Insecure: true}).Fetch(t.Context(), parse(t, "registry.test/app:1")); err != nil {
		t.Error(err)
	}
	_, err := n.client(Options{}).Fetch(t.Context(), parse(t, "registry.test/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "registry.test", "no such host")
	if strings.Contains(err.Error(), "https://") {
		t.Errorf("got error %q, want no URL in it", err)
	}
}

// The error for a certificate of another name says so.
func TestCertificateOfAnotherName(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.secure("registry.test:443", f)
	_, err := n.client(Options{}).Fetch(t.Context(), parse(t, "registry.test/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "registry.test", "invalid certificate", "--insecure")
}

func TestFirstRequestWithALoginGoesAlone(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.plain("registry.test:5000", f)
	f.before = basic("me", "hunter22")
	f.putImage("app", "1")
	asked := 0
	c := n.client(Options{Insecure: true, Credentials: func(context.Context, string, string, []string) (Credential, error) {
		asked++
		return Credential{Username: "me", Secret: "hunter22"}, nil
	}})
	ref := parse(t, "registry.test:5000/app:1")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := c.Fetch(t.Context(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := len(f.requests()); got != 21 || asked != 1 {
		t.Errorf("got %d requests and %d calls for credentials, want 21 and 1", got, asked)
	}
}

// certsDir returns a folder like certs.d with files for one registry.
func certsDir(t *testing.T, registry string, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, registry), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, registry, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCertDirs(t *testing.T) {
	n, f := newNetwork(t), newFake()
	s := n.selfSigned("example.com:5000", f)
	f.putImage("app", "1")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	tests := map[string]struct {
		files    map[string][]byte
		warnings int
		ok       bool
	}{
		"CA":                      {map[string][]byte{"ca.crt": ca}, 0, true},
		"nothing":                 {nil, 0, false},
		"CA and a bad one":        {map[string][]byte{"ca.crt": ca, "b.crt": []byte("?")}, 1, true},
		"CA and a bad client key": {map[string][]byte{"ca.crt": ca, "c.cert": []byte("?"), "c.key": nil}, 1, true},
		"mirror":                  {map[string][]byte{"ca.crt": ca, "hosts.toml": []byte("server = \"https://mirror.example.com\"\n")}, 0, false},
		"own entry":               {map[string][]byte{"ca.pem": ca, "hosts.toml": []byte("server = \"https://example.com:5000\"\nca = \"ca.pem\"\n[host.\"https://mirror.example.com\"]\n")}, 0, true},
		"hosts.toml without CA":   {map[string][]byte{"ca.crt": ca, "hosts.toml": []byte("ca = \"absent.pem\"\n")}, 1, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var warnings []string
			c := n.client(Options{
				CertDirs: []string{filepath.Join(t.TempDir(), "absent"), certsDir(t, "example.com:5000", tt.files)},
				Warn:     func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) },
			})
			_, err := c.Fetch(t.Context(), parse(t, "example.com:5000/app:1"))
			if (err == nil) != tt.ok || len(warnings) != tt.warnings {
				t.Errorf("got error %v, warnings %q, want an answer %t, %d warnings", err, warnings, tt.ok, tt.warnings)
			}
		})
	}
}

// A CA in certs.d is also trusted for the token service of its registry; there is no other directory for it.
func TestCertDirIsForTheTokenService(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	s := n.selfSigned("example.com:5000", f)
	n.selfSigned("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	f.putImage("app", "1")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	root := certsDir(t, "example.com:5000", map[string][]byte{"ca.crt": ca})
	if _, err := n.client(Options{CertDirs: []string{root}}).Fetch(t.Context(), parse(t, "example.com:5000/app:1")); err != nil {
		t.Error(err)
	}
}

// A registry that wants a client certificate gets the one in certs.d, and without one the error says so, also
// where all else that is known is a connection that broke off.
func TestClientCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range []string{"h1.example.com", "h2.example.com"} {
			t.Run(tls.VersionName(version)+" "+name, func(t *testing.T) {
				n, f := newNetwork(t), newFake()
				s := n.asking(name+":443", f, tls.RequireAnyClientCert, version)
				f.putImage("app", "1")
				ref, root := parse(t, name+"/app:1"), certsDir(t, name, clientPair(t, s))
				for _, insecure := range []bool{false, true} {
					_, err := n.client(Options{Insecure: insecure, CertDirs: []string{t.TempDir()}}).Fetch(t.Context(), ref)
					wantError(t, err, errdefs.ErrUnavailable, name+" requires a client certificate", "client.cert and client.key into", name)
					if len(f.requests()) > 0 {
						t.Fatalf("got %q", f.requests())
					}
				}
				for _, insecure := range []bool{false, true} {
					if _, err := n.client(Options{Insecure: insecure, CertDirs: []string{root}}).Fetch(t.Context(), ref); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// clientPair returns the files of certs.d for a client that has the certificate of s.
func clientPair(t *testing.T, s *httptest.Server) map[string][]byte {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"client.cert": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
		"client.key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}
}

// A registry that would like a certificate, but does without, fails for its own reasons.
func TestClientCertificateIsOptional(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.asking("a.example.com:443", f, tls.RequestClientCert, tls.VersionTLS13)
	f.putImage("app", "1")
	c := n.client(Options{})
	if _, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1")); err != nil {
		t.Error(err)
	}
	f.before = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
	if err == nil || strings.Contains(err.Error(), "client certificate") {
		t.Errorf("got %v", err)
	}
}

// What certs.d permits for one registry is not permitted for its token service.
func TestSkipVerifyIsForTheRegistryOnly(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.selfSigned("example.com:5000", f)
	n.selfSigned("auth.example.com:443", service)
	f.before = bearer("https://auth.example.com/token")
	root := certsDir(t, "example.com:5000", map[string][]byte{"hosts.toml": []byte("server = \"https://example.com:5000\"\nskip_verify = true\n")})
	_, err := n.client(Options{CertDirs: []string{root}}).Fetch(t.Context(), parse(t, "example.com:5000/app:1"))
	wantError(t, err, errdefs.ErrUnavailable, "auth.example.com has a certificate signed by an unknown authority", filepath.Join(root, "example.com:5000", "ca.crt"))
	if len(f.requests()) != 1 || len(service.requests()) != 0 {
		t.Errorf("got requests %q and token requests %q, want 1 and none", f.requests(), service.requests())
	}
}

func TestHubHasTwoNames(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.selfSigned("registry-1.docker.io:443", f)
	f.before = basic("me", "hunter22")
	f.putImage("library/app", "1")
	c := n.client(Options{Insecure: true, Credentials: func(_ context.Context, host, _ string, _ []string) (Credential, error) {
		if host != "docker.io" {
			t.Errorf("got a call for %s, want docker.io", host)
		}
		return Credential{Username: "me", Secret: "hunter22"}, nil
	}})
	for _, name := range []string{"app:1", "registry-1.docker.io/library/app:1"} {
		if _, err := c.Fetch(t.Context(), parse(t, name)); err != nil {
			t.Error(err)
		}
	}
}
