package e2e

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
)

// reach resolves names, each with its port unless that is 443, to the servers at these addresses, through a proxy. It
// records requests without TLS.
func (s *scene) reach(addresses map[string]string, r *recorder) {
	s.Helper()
	direct := &http.Transport{}
	s.Cleanup(direct.CloseIdleConnections)
	plain := r.at(outside, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward(w, r, direct, addresses) }))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			tunnel(w, addresses[strings.TrimSuffix(r.Host, ":443")])
			return
		}
		plain.ServeHTTP(w, r)
	}))
	s.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		s.Set(name, proxy.URL)
	}
}

// tunnel connects the client with the address until either disconnects.
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

func forward(w http.ResponseWriter, r *http.Request, direct *http.Transport, addresses map[string]string) {
	r.URL.Host = addresses[r.Host]
	resp, err := direct.RoundTrip(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}
