package registry

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
)

// hangingUp is a server of plain HTTP that ends what is no HTTP without a word: an address for it, and the Authorization
// headers that it was sent.
func hangingUp(t *testing.T, status, header, body string) (address string, sent func() []string) {
	var mu sync.Mutex
	var authorizations []string
	address = listen(t, func(conn net.Conn) {
		defer conn.Close()
		in := bufio.NewReader(conn)
		if first, err := in.Peek(1); err != nil || first[0] == 0x16 { // a ClientHello
			return
		}
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		mu.Lock()
		authorizations = append(authorizations, r.Header.Get("Authorization"))
		mu.Unlock()
		_, _ = conn.Write([]byte("HTTP/1.1 " + status + "\r\n" + header + "Connection: close\r\n\r\n" + body))
	})
	return address, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return authorizations
	}
}

// The answer of a registry of plain HTTP that hangs up on HTTPS is reported where plain HTTP is permitted, otherwise that it
// speaks that. It is sent no credential to find that out.
func TestPlainRegistryHangsUp(t *testing.T) {
	const version = "Docker-Distribution-Api-Version: registry/2.0\r\n"
	invalid := `{"errors":[{"code":"NAME_INVALID","message":"bad name"}]}`
	closed := "the connection was closed"
	for name, tt := range map[string]struct {
		status, header, body string
		insecure             bool
		want                 []string
	}{
		"its 400, insecure":            {"400 Bad Request", version, invalid, true, []string{"400 Bad Request: NAME_INVALID: bad name"}},
		"its 403, insecure":            {"403 Forbidden", "", "", true, []string{"403 Forbidden"}},
		"HTTPS is wanted, insecure":    {"400 Bad Request", "", "Client sent an HTTP request to an HTTPS server.", true, []string{closed}},
		"a registry":                   {"200 OK", version, "{}", false, []string{"speaks plain HTTP, not HTTPS", "--insecure"}},
		"a registry with a login":      {"401 Unauthorized", "", "", false, []string{"speaks plain HTTP, not HTTPS", "--insecure"}},
		"HTTPS is wanted":              {"400 Bad Request", "", "Client sent an HTTP request to an HTTPS server.", false, []string{closed}},
		"a web site that leads to one": {"301 Moved Permanently", "Location: https://registry.test:5000/\r\n", "", false, []string{closed}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			address, sent := hangingUp(t, tt.status, tt.header, tt.body)
			n.addresses["registry.test:5000"] = address
			c := n.client(Options{Insecure: tt.insecure, Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
			_, err := c.Fetch(t.Context(), parse(t, "registry.test:5000/app:1"))
			var kind error = errdefs.ErrUnavailable
			switch tt.want[0][:3] {
			case "400":
				kind = errdefs.ErrInvalidArgument
			case "403":
				kind = errdefs.ErrPermissionDenied
			}
			wantError(t, err, kind, append(tt.want, "registry.test:5000")...)
			if all := strings.Join(sent(), ""); !tt.insecure && all != "" {
				t.Errorf("got Authorization %q over plain HTTP, want none", sent())
			}
		})
	}
}
