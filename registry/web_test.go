package registry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestDownload(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "":
			w.WriteHeader(http.StatusTeapot)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/file", http.StatusFound)
		case r.URL.Path == "/file":
			_, _ = io.WriteString(w, "content")
		case r.URL.Path == "/broken":
			w.WriteHeader(http.StatusBadGateway)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for _, path := range []string{"/file", "/moved"} {
		body, err := Download(t.Context(), server.URL+path+"?sig=secret")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || string(got) != "content" {
			t.Errorf("%s: got %q, error %v, want content", path, got, err)
		}
	}
	secret := strings.Replace(server.URL, "http://", "http://user:secret@", 1)
	for address, is := range map[string]func(error) bool{
		server.URL + "/none?sig=secret":   errdefs.IsNotFound,
		server.URL + "/broken?sig=secret": errdefs.IsUnavailable,
		"http://127.0.0.1:1/?sig=secret":  errdefs.IsUnavailable,
		secret + "/file":                  errdefs.IsInvalidArgument,
		"file:///etc/passwd":              errdefs.IsInvalidArgument,
		"http://%zz":                      errdefs.IsInvalidArgument,
	} {
		_, err := Download(t.Context(), address)
		if err == nil || !is(err) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got error %v, want another kind, or no secret", address, err)
		}
	}
}
