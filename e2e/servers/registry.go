package servers

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/docker-multiarch/docker-multiarch/e2e/wire"
)

// RegistryKind is one of the registry programs.
type RegistryKind string

// The registries: distribution 3 in the program under e2e/registry, 2.8 as
// Debian's docker-registry, and the one that crane serves.
const (
	V3    RegistryKind = "distribution 3"
	V28   RegistryKind = "distribution 2.8"
	Crane RegistryKind = "crane"
)

// RegistryOptions configure a registry. The zero value is V3 without a login, on plain HTTP.
type RegistryOptions struct {
	Kind           RegistryKind
	User, Password string // for basic auth, if User is not empty
	TLS            bool   // with a self-signed certificate for 127.0.0.1, localhost and RemoteName
	ClientCert     bool   // with TLS: requires the certificate in ClientCertFile
	MaxEntries     int    // most names per page of a listing of V3, 0 for 1000
	Program        string // the built e2e/registry, for V3
	Tools          Tools  // with docker-registry, for V28, and crane, which has neither a login nor TLS
}

// Registry is a running registry. Its Client has the credentials.
type Registry struct {
	wire.Client
	Kind     RegistryKind
	Version  string
	Host     string // "127.0.0.1:PORT"
	CertFile string // of a TLS registry, PEM
	// The client certificate that a registry with ClientCert accepts, PEM.
	ClientCertFile, ClientKeyFile string

	process *process
	dir     string
	log     func() ([]Request, error)
}

// Request is one request that a registry answered.
type Request struct {
	Method string
	Path   string // with the query
	Status int
}

func (r Request) String() string { return fmt.Sprintf("%s %s %d", r.Method, r.Path, r.Status) }

// StartRegistry starts a registry that stores its content in dir, an empty folder.
func StartRegistry(ctx context.Context, dir string, o RegistryOptions) (*Registry, error) {
	if o.Kind == "" {
		o.Kind = V3
	}
	r := &Registry{Kind: o.Kind, dir: dir}
	r.Client = wire.Client{User: o.User, Password: o.Password, HTTP: http.DefaultClient}
	if err := r.writeSecrets(o); err != nil {
		return nil, err
	}
	var err error
	switch o.Kind {
	case V28:
		err = r.startV28(ctx, o)
	case Crane:
		err = r.startCrane(ctx, o)
	default:
		err = r.startV3(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("registry %s: %w", o.Kind, err), r.Stop())
	}
	r.Base = "http://" + r.Host
	if o.TLS {
		r.Base = "https://" + r.Host
	}
	return r, nil
}

// Requests returns all requests since the start, in the order of their responses.
func (r *Registry) Requests() ([]Request, error) { return r.log() }

// Stop stops the registry; its folder is kept.
func (r *Registry) Stop() error { return r.process.stop() }

func (r *Registry) path(name string) string { return filepath.Join(r.dir, name) }

// writeSecrets writes the password and certificate files for o.
func (r *Registry) writeSecrets(o RegistryOptions) error {
	if o.User != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(o.Password), bcrypt.MinCost)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s:%s\n", o.User, hash)
		if err := os.WriteFile(r.path("htpasswd"), []byte(line), 0o600); err != nil {
			return err
		}
	}
	if !o.TLS {
		return nil
	}
	roots, err := writeCertificate(r.path("cert.pem"), r.path("key.pem"))
	if err != nil {
		return err
	}
	r.CertFile = r.path("cert.pem")
	config := &tls.Config{RootCAs: roots}
	r.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	if !o.ClientCert {
		return nil
	}
	r.ClientCertFile, r.ClientKeyFile = r.path("client-cert.pem"), r.path("client-key.pem")
	if _, err := writeCertificate(r.ClientCertFile, r.ClientKeyFile); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(r.ClientCertFile, r.ClientKeyFile)
	config.Certificates = []tls.Certificate{pair}
	return err
}

func (r *Registry) startV3(ctx context.Context, o RegistryOptions) error {
	args := []string{"-storage", r.path("data"), "-request-log", r.path("requests")}
	if o.MaxEntries > 0 {
		args = append(args, "-max-entries", strconv.Itoa(o.MaxEntries))
	}
	if o.User != "" {
		args = append(args, "-htpasswd", r.path("htpasswd"))
	}
	if o.TLS {
		args = append(args, "-tls-cert", r.path("cert.pem"), "-tls-key", r.path("key.pem"))
	}
	if o.ClientCert {
		args = append(args, "-tls-client-ca", r.ClientCertFile)
	}
	cmd := exec.Command(o.Program, args...)
	cmd.Env = append(o.Tools.environment(), "OTEL_TRACES_EXPORTER=none")
	var err error
	if r.process, err = start(cmd, r.dir); err != nil {
		return err
	}
	r.Version = moduleVersion(o.Program, "github.com/distribution/distribution/v3")
	r.log = func() ([]Request, error) { return readRequests(r.path("requests"), v3Request) }
	return r.awaitAddress(ctx, r.process.stdout, regexp.MustCompile(`^(\S+)\n`))
}

func (r *Registry) startV28(ctx context.Context, o RegistryOptions) error {
	if err := os.WriteFile(r.path("config.yml"), []byte(r.configV28(o)), 0o600); err != nil {
		return err
	}
	cmd, err := o.Tools.Debian("usr/bin/docker-registry", "serve", r.path("config.yml"))
	if err != nil {
		return err
	}
	if r.process, err = start(cmd, r.dir); err != nil {
		return err
	}
	r.Version = programVersion(o.Tools, "usr/bin/docker-registry", "--version")
	r.log = func() ([]Request, error) { return readRequests(r.process.stdout, v28Request) }
	return r.awaitAddress(ctx, r.process.stderr, regexp.MustCompile(`msg="listening on ([0-9.:]+)`))
}

func (r *Registry) configV28(o RegistryOptions) string {
	config := "version: 0.1\n" +
		"log: {level: info, formatter: text}\n" +
		"storage:\n" +
		"  filesystem: {rootdirectory: " + strconv.Quote(r.path("data")) + "}\n" +
		"  delete: {enabled: true}\n" +
		"http:\n" +
		"  addr: 127.0.0.1:0\n"
	if o.TLS {
		config += "  tls: {certificate: " + strconv.Quote(r.path("cert.pem")) +
			", key: " + strconv.Quote(r.path("key.pem"))
		if o.ClientCert {
			config += ", clientcas: [" + strconv.Quote(r.ClientCertFile) + "]"
		}
		config += "}\n"
	}
	if o.User != "" {
		config += "auth:\n  htpasswd: {realm: tests, path: " + strconv.Quote(r.path("htpasswd")) + "}\n"
	}
	return config + "validation:\n  manifests: {urls: {allow: ['^https?://']}}\n"
}

func (r *Registry) startCrane(ctx context.Context, o RegistryOptions) error {
	program, err := o.Tools.Built("crane")
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "registry", "serve", "--address", "127.0.0.1:0")
	cmd.Env = o.Tools.environment()
	if r.process, err = start(cmd, r.dir); err != nil {
		return err
	}
	r.Version = mainVersion(program)
	r.log = func() ([]Request, error) { return readRequests(r.process.stderr, craneRequest) }
	err = r.awaitAddress(ctx, r.process.stderr, regexp.MustCompile(`serving on port ([0-9]+)\n`))
	r.Host = "127.0.0.1:" + r.Host
	return err
}

// awaitAddress waits until the registry has printed its address.
func (r *Registry) awaitAddress(ctx context.Context, file string, pattern *regexp.Regexp) error {
	return r.process.await(ctx, func() bool {
		data, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		match := pattern.FindSubmatch(data)
		if match != nil {
			r.Host = string(match[1])
		}
		return match != nil
	})
}

var (
	v3Request  = regexp.MustCompile(`^(\S+) (\S+) (\d+)$`)
	v28Request = regexp.MustCompile(`"([A-Z]+) (\S+) HTTP/[0-9.]+" (\d+) `)
	// craneRequest has no status where that is not an error.
	craneRequest = regexp.MustCompile(`^\S+ \S+ ([A-Z]+) (/\S*)(?: (\d+) .*)?$`)
)

func readRequests(file string, pattern *regexp.Regexp) ([]Request, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var requests []Request
	lines := bufio.NewScanner(strings.NewReader(string(data)))
	for lines.Scan() {
		if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
			status, _ := strconv.Atoi(m[3])
			requests = append(requests, Request{Method: m[1], Path: m[2], Status: status})
		}
	}
	return requests, lines.Err()
}
