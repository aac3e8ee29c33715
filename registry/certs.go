package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// usableCerts returns what can be read of a folder of certs.d, and warns of the rest: a client key that
// only root may read says nothing against the CA beside it.
func (c *Client) usableCerts(dir string) *tls.Config {
	conf := &tls.Config{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.warn("%s cannot be read, going on without it: %v", dir, err)
	}
	for _, e := range entries {
		file := filepath.Join(dir, e.Name())
		switch filepath.Ext(file) {
		case ".crt":
			c.addCA(conf, file)
		case ".cert":
			c.addPair(conf, file)
		case ".toml":
			c.warn("%s is left out, since it or a file it names cannot be used", file)
		}
	}
	return conf
}

func (c *Client) addCA(conf *tls.Config, file string) {
	pem, err := os.ReadFile(file)
	if err != nil {
		c.warn("CA certificate %s cannot be read, going on without it: %v", file, err)
		return
	}
	if conf.RootCAs == nil {
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			conf.RootCAs = x509.NewCertPool()
		}
	}
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		c.warn("%s has no CA certificate, going on without it", file)
	}
}

func (c *Client) addPair(conf *tls.Config, file string) {
	key := strings.TrimSuffix(file, ".cert") + ".key"
	if _, err := os.Stat(key); os.IsNotExist(err) {
		key = file
	}
	pair, err := tls.LoadX509KeyPair(file, key)
	if err != nil {
		c.warn("client certificate %s cannot be read, going on without it: %v", file, err)
		return
	}
	conf.Certificates = append(conf.Certificates, pair)
}

// clientCertError is the failure of a request to a server that asks for a client certificate. By HTTP/2 the
// failure itself says nothing of that.
type clientCertError struct{ error }

func (e *clientCertError) Unwrap() error { return e.error }

// certAsked is the context key of what is called when a server asks for a client certificate.
type certAsked struct{}

// present gives a server the certificate that it asks for, if there is one, as crypto/tls does without it.
func present(have []tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if note, ok := asked.Context().Value(certAsked{}).(func()); ok {
			note()
		}
		for i := range have {
			if asked.SupportsCertificate(&have[i]) == nil {
				return &have[i], nil
			}
		}
		return &tls.Certificate{}, nil
	}
}

// overTLS sends req by a transport that presents certificates. Another request may meet the end of the
// connection, so what a server asks for is remembered, until it has answered once: then it does without.
func (h *host) overTLS(transport *http.Transport, req *http.Request) (*http.Response, error) {
	server := req.URL.Host
	note := func() { h.wantsCert.LoadOrStore(server, true) }
	resp, err := h.client.watched(transport, req.WithContext(context.WithValue(req.Context(), certAsked{}, note)))
	if err == nil {
		h.wantsCert.Store(server, false)
		return resp, nil
	}
	var timeout net.Error
	silent := errors.As(err, &timeout) && timeout.Timeout()
	if wanted, _ := h.wantsCert.Load(server); wanted == true && !silent {
		err = &clientCertError{err}
	}
	return nil, err
}
