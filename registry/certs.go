package registry

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
)

// usableCerts returns what can be read of a directory of certs.d, and warns about the rest: a client key that only
// root may read does not invalidate the CA beside it.
func (c *Client) usableCerts(dir string) *tls.Config {
	conf := &tls.Config{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.warn("%s cannot be read and is ignored: %v", dir, err)
	}
	for _, e := range entries {
		file := filepath.Join(dir, e.Name())
		switch filepath.Ext(file) {
		case ".crt":
			c.addCA(conf, file)
		case ".cert":
			c.addPair(conf, file)
		case ".toml":
			c.warn("%s is ignored because it, or a file it names, cannot be used", file)
		}
	}
	return conf
}

func (c *Client) addCA(conf *tls.Config, file string) {
	pem, err := os.ReadFile(file)
	if err != nil {
		c.warn("CA certificate %s cannot be read and is ignored: %v", file, err)
		return
	}
	if conf.RootCAs == nil {
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			conf.RootCAs = x509.NewCertPool()
		}
	}
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		c.warn("%s has no CA certificate and is ignored", file)
	}
}

func (c *Client) addPair(conf *tls.Config, file string) {
	key := strings.TrimSuffix(file, ".cert") + ".key"
	if _, err := os.Stat(key); os.IsNotExist(err) {
		key = file
	}
	pair, err := tls.LoadX509KeyPair(file, key)
	if err != nil {
		c.warn("client certificate %s cannot be read and is ignored: %v", file, err)
		return
	}
	conf.Certificates = append(conf.Certificates, pair)
}
