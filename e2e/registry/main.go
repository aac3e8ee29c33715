// Command registry is the temporary registry of the tests and of the demo: distribution's handlers on a loopback
// port, with deletion enabled. Its first line on stdout is its address; it exits on SIGTERM, SIGINT or, with
// -until-eof, when its standard input is closed.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/sirupsen/logrus"

	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

type options struct {
	listen, storage, htpasswd, cert, key, clientCA, requestLog string
	untilEOF                                                   bool
	maxEntries                                                 int
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to listen on")
	flag.StringVar(&o.storage, "storage", "", "folder for the content (default: memory)")
	flag.StringVar(&o.htpasswd, "htpasswd", "", "file with the users (default: open to everyone)")
	flag.StringVar(&o.cert, "tls-cert", "", "certificate file (default: plain HTTP)")
	flag.StringVar(&o.key, "tls-key", "", "key file of the certificate")
	flag.StringVar(&o.clientCA, "tls-client-ca", "", "file with the CA that client certificates have to be of (default: none is asked for)")
	flag.StringVar(&o.requestLog, "request-log", "", "file that gets a line for each request")
	flag.IntVar(&o.maxEntries, "max-entries", 1000, "most repositories or tags that can be requested per page")
	flag.BoolVar(&o.untilEOF, "until-eof", false, "end when standard input is closed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends or, with -until-eof, until the end of standard input.
func run(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	logrus.SetOutput(io.Discard)
	handler, closeLog, err := newHandler(ctx, o)
	if err != nil {
		return err
	}
	defer closeLog()
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return serve(ctx, listener, handler, o)
}

func newHandler(ctx context.Context, o options) (http.Handler, func(), error) {
	app := http.Handler(handlers.NewApp(ctx, config(o)))
	if o.requestLog == "" {
		return app, func() {}, nil
	}
	file, err := os.OpenFile(o.requestLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, err
	}
	return logged(app, file), func() { _ = file.Close() }, nil
}

// config configures a registry that allows deletion and stores only its content.
func config(o options) *configuration.Configuration {
	c := &configuration.Configuration{Storage: configuration.Storage{
		"delete":   {"enabled": true},
		"redirect": {"disable": true},
		"maintenance": {"uploadpurging": map[any]any{
			"enabled": false,
		}},
	}}
	if o.storage == "" {
		c.Storage["inmemory"] = configuration.Parameters{}
	} else {
		c.Storage["filesystem"] = configuration.Parameters{"rootdirectory": o.storage}
	}
	if o.htpasswd != "" {
		c.Auth = configuration.Auth{"htpasswd": {"realm": "tests", "path": o.htpasswd}}
	}
	c.Catalog.MaxEntries = o.maxEntries
	c.Tags.MaxTags = o.maxEntries
	// A list with an absent child is refused, as by hosted registries; foreign layers may have URLs.
	c.Validation.Enabled = true
	c.Validation.Manifests.URLs.Allow = []string{"^https?://"}
	c.Log.Level = "error"
	return c
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler, o options) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	if o.clientCA != "" {
		pem, err := os.ReadFile(o.clientCA)
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
		if !server.TLSConfig.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s has no certificate", o.clientCA)
		}
	}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	var err error
	if o.cert != "" {
		err = server.ServeTLS(listener, o.cert, o.key)
	} else {
		err = server.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving on %s with %s: %w", listener.Addr(), runtime.Version(), err)
}
