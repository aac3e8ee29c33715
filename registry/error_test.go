package registry

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

func TestErrorText(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		kind   error
		want   string
	}{
		"of the spec": {404, `{"errors":[{"code":"NAME_UNKNOWN","message":"repository not known","detail":{"a":1}}]}`, errdefs.ErrNotFound, "404 Not Found: NAME_UNKNOWN: repository not known"},
		"several": {403, `{"errors":[{"code":"A","message":"a"},{"code":"B"},{"message":"c"},{"code":"D"}]}`, errdefs.ErrPermissionDenied,
			"403 Forbidden: A: a; B; c"},
		"escaped":           {500, `{"errors":[{"code":"A","message":"red \u001b[31m\r\nnext\u202e"}]}`, errdefs.ErrUnavailable, `500 Internal Server Error: A: red \x1b[31m next\u202e`},
		"odd types":         {400, `{"errors":[{"code":7,"message":"m"}]}`, errdefs.ErrInvalidArgument, "400 Bad Request: m"},
		"message":           {429, `{"message":"slow down"}`, errdefs.ErrUnavailable, "429 Too Many Requests: slow down"},
		"plain text":        {503, "try later\n", errdefs.ErrUnavailable, "503 Service Unavailable: try later"},
		"HTML":              {502, "<html><body>secret</body>", errdefs.ErrUnavailable, "502 Bad Gateway"},
		"nothing":           {405, "", errdefs.ErrNotImplemented, "405 Method Not Allowed"},
		"binary":            {409, "\xff\xfe", errdefs.ErrConflict, "409 Conflict"},
		"odd status":        {418, `[]`, errdefs.ErrUnknown, "418 I'm a teapot"},
		"long":              {400, strings.Repeat("x", transport.MaxErrorBody*2), errdefs.ErrInvalidArgument, "400 Bad Request: " + strings.Repeat("x", maxMessage) + "..."},
		"URL":               {400, `{"message":"see https://u:p@x.test/y?token=abc#z."}`, errdefs.ErrInvalidArgument, "400 Bad Request: see https://x.test/y"},
		"the password":      {400, `{"message":"hunter22 is no password"}`, errdefs.ErrInvalidArgument, "400 Bad Request: *** is no password"},
		"the header":        {400, `{"message":"bad bWU6aHVudGVyMjI="}`, errdefs.ErrInvalidArgument, "400 Bad Request: bad ***"},
		"the header, later": {503, `{"message":"bad bWU6aHVudGVyMjI="}`, errdefs.ErrUnavailable, "503 Service Unavailable: bad ***"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.secure("a.example.com:443", f)
			check := basic("me", "hunter22")
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !check(w, r) {
					w.WriteHeader(tt.status)
					fmt.Fprint(w, tt.body)
				}
				return true
			}
			c := n.client(Options{RetryTimeout: -1, Credentials: credential(Credential{Username: "me", Secret: "hunter22"})})
			_, err := c.Fetch(t.Context(), parse(t, "a.example.com/app:1"))
			want := "a.example.com: GET manifest a.example.com/app:1: " + tt.want
			if errors.Is(tt.kind, errdefs.ErrNotFound) {
				want = "no such manifest: a.example.com/app:1: " + want
			}
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			var refused *Error
			if !errors.As(err, &refused) || refused.Status != tt.status || refused.Repository != "app" || !errors.Is(err, tt.kind) {
				t.Errorf("got %#v, want status %d of kind %v", refused, tt.status, tt.kind)
			}
		})
	}
}

// Nobody has to know what EOF is, at the registry or at its token service.
func TestErrorOfClosedConnection(t *testing.T) {
	for closed, want := range map[string]string{"/v2/": "", "/token": "token service a.example.com: "} {
		n, f := newNetwork(t), newFake()
		n.secure("a.example.com:443", f)
		ask := bearer("https://a.example.com/token")
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, closed) {
				panic(http.ErrAbortHandler)
			}
			return ask(w, r)
		}
		_, err := n.client(Options{RetryTimeout: -1}).Fetch(t.Context(), parse(t, "a.example.com/app:1"))
		wantError(t, err, errdefs.ErrUnavailable, "GET manifest a.example.com/app:1: "+want+"the connection was closed (EOF)")
	}
}

func FuzzError(f *testing.F) {
	f.Add([]byte(`{"errors":[{"code":"A","message":"m hunter22"}]}`))
	f.Add([]byte(`{"details":"https://a:b@c?d=hunter22"}`))
	f.Add([]byte("\x1b]0;title\x07 hunter22"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := &Error{Host: "h", Method: "GET", What: "x", Status: 400, Details: parseDetails(body, []string{"hunter22"})}
		text := e.Error()
		if len(text) > 100+maxDetails*(maxMessage+maxCode+20) || !utf8.ValidString(text) || strings.Contains(text, "hunter22") {
			t.Errorf("got error %q, want a short one without the secret", text)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("got error %q, want it printable at %d", text, i)
		}
	})
}
