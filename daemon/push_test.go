package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

const refers = `{"status":"The push refers to repository [h.example/x]"}` + "\n"

func closing(tag string, d digest.Digest) string {
	return fmt.Sprintf(`{"status":"%s: digest: %s size: 527"}`+"\n", tag, d)
}

func aux(d digest.Digest) string {
	return fmt.Sprintf(`{"progressDetail":{},"aux":{"Tag":"1","Digest":"%s","Size":527}}`+"\n", d)
}

// pushing is a daemon that answers a push of h.example/x:1 with this stream.
func pushing(t *testing.T, version, stream string) *fake {
	return newFake(t, version, map[string]http.HandlerFunc{"POST /images/h.example/x/push": answer(stream)})
}

// Podman reports the digest in the closing line, if at all.
func TestPushByPodman(t *testing.T) {
	for stream, want := range map[string]digest.Digest{refers: "", refers + closing("1", digestB): digestB} {
		f := pushing(t, "1.41", stream)
		f.answers["GET /version"], f.experimental = podman, true
		if got, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil); err != nil || got != want {
			t.Errorf("got %q and error %v, want %q", got, err, want)
		}
	}
	f := pushing(t, "1.41", refers+`{"errorDetail":{"message":"denied"},"error":"denied"}`)
	f.answers["GET /version"], f.experimental = podman, true
	if _, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil); err == nil {
		t.Error("got no error of a refused push")
	}
}

func TestPushTellsTheDigest(t *testing.T) {
	instead := fmt.Sprintf(`{"progressDetail":{},"aux":{"manifestPushedInsteadOfIndex":true,`+
		`"originalIndex":{"digest":"%s","size":9},"selectedManifest":{"digest":"%s","size":7}}}`, digestA, digestB)
	for name, stream := range map[string]string{
		"graph-driver store":         refers + closing("1", digestB) + aux(digestB),
		"containerd store":           refers + closing("1", digestB),
		"aux alone":                  refers + aux(digestB),
		"the last aux":               aux(digestA) + aux(digestC) + aux(digestB),
		"aux with more around it":    aux(digestB) + `{"aux":{"ID":"sha256:1"}}{"aux":[1]}{"aux":"x"}{"aux":{"Digest":7}}{"aux":{"Digest":"sha256:1"}}{"aux":null}`,
		"one platform of an index":   refers + instead,
		"one platform, and closing":  refers + instead + closing("1", digestB),
		"lines that are not closing": closing("1", digestB) + closing("other", digestA) + `{"status":"1: digest: none size: 1"}{"status":"Pushed","id":"1: digest: x"}{}`,
	} {
		for _, version := range allVersions {
			f := pushing(t, version, stream)
			got, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil)
			if err != nil || got != digestB {
				t.Errorf("%s, API %s: got %s and error %v, want %s", name, version, got, err, digestB)
			}
			if asked := f.asked(); !slices.Equal(asked, []string{"POST /images/h.example/x/push?tag=1"}) {
				t.Errorf("%s, API %s: got requests %q, want the push only", name, version, asked)
			}
		}
	}
}

func TestPushReadsTheDigestBack(t *testing.T) {
	image := map[string]any{"Id": digestA, "RepoTags": []string{"h.example/x:1"}}
	for key, value := range content() {
		if key == "Descriptor" || key == "Manifests" {
			image[key] = value
		}
	}
	f := pushing(t, "1.48", refers)
	f.answers["GET /images/h.example/x:1/json"] = answer(image)
	for _, tt := range []struct {
		platform *ocispec.Platform
		want     digest.Digest
	}{
		{nil, digestA},
		{&ocispec.Platform{OS: "linux", Architecture: "amd64"}, digestB},
		{&ocispec.Platform{OS: "linux", Architecture: "arm64"}, ""}, // absent
	} {
		got, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), tt.platform, nil)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%+v: got %q and error %v, want %q", tt.platform, got, err, tt.want)
		}
	}
}

func TestPushOfAPlatform(t *testing.T) {
	platform := &ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	for _, version := range allVersions {
		f := pushing(t, version, refers+closing("1", digestB))
		got, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), platform, nil)
		if version == "1.24" || version == "1.41" {
			if !errors.Is(err, errdefs.ErrNotImplemented) || len(f.asked()) != 0 {
				t.Fatalf("API %s: got error %v and requests %q, want %v and none", version, err, f.asked(), errdefs.ErrNotImplemented)
			}
			checkText(t, err, "linux/arm/v7", "1.46", version)
			continue
		}
		want := "POST /images/h.example/x/push?platform=%7B%22architecture%22%3A%22arm%22%2C%22os%22%3A%22linux%22%2C%22variant%22%3A%22v7%22%7D&tag=1"
		if asked := f.asked(); err != nil || got != digestB || !slices.Equal(asked, []string{want}) {
			t.Errorf("API %s: got %s, error %v and requests %q, want %s and %s", version, got, err, asked, digestB, want)
		}
	}
}

func TestPushSendsTheCredentialsOfTheRepository(t *testing.T) {
	f := pushing(t, "1.51", aux(digestB))
	f.answers["POST /images/docker.io/library/app/push"] = answer(aux(digestB))
	d := New(f.connect, func(_ context.Context, host, repository string, actions []string) (string, error) {
		return fmt.Sprint(actions, " for ", host, "/", repository), nil
	})
	for name, want := range map[string]string{"h.example/x:1": "[pull push] for h.example/x", "app:1": "[pull push] for docker.io/library/app"} {
		if _, err := d.Push(t.Context(), tagged(t, name), nil, nil); err != nil {
			t.Fatal(err)
		}
		if got := f.requests[len(f.requests)-1].Header.Get("X-Registry-Auth"); got != want {
			t.Errorf("%s: got credentials %q, want %q", name, got, want)
		}
	}
	broken := errors.New("helper is broken")
	d = New(f.connect, func(context.Context, string, string, []string) (string, error) { return "", broken })
	if _, err := d.Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestPushErrors(t *testing.T) {
	missing := `{"aux":{"contentMissing":true,"desc":{"digest":"` + digestA.String() + `"}}}`
	for _, tt := range []struct {
		name, version, stream, want string
		kind                        error
	}{
		{"error", "1.51", refers + `{"errorDetail":{"message":"denied: no\u001b[31m\naccess"},"error":"denied"}`, `pushing h.example/x:1: denied: no\x1b[31m access`, nil},
		{"login", "1.51", refers + `{"errorDetail":{"message":"no basic auth credentials"}}`, "pushing h.example/x:1: no basic auth credentials", errdefs.ErrUnauthenticated},
		{"login, met by a blob", "1.51", refers + `{"errorDetail":{"message":"unknown: unexpected status from HEAD request to http://h.example/v2/x/blobs/b: 401 Unauthorized"}}`, "b: 401 Unauthorized", errdefs.ErrUnauthenticated},
		{"no such name", "1.51", refers + `{"errorDetail":{"message":"tag does not exist: h.example/x:1"}}`, "tag does not exist", errdefs.ErrNotFound},
		{"no such name, graph-driver store", "1.41", refers + `{"errorDetail":{"message":"An image does not exist locally with the tag: h.example/x"}}`, "does not exist locally", errdefs.ErrNotFound},
		{"no such name, podman", "1.41", refers + `{"error":"h.example/x:1: image not known"}`, "image not known", errdefs.ErrNotFound},
		{"error in the old form", "1.24", refers + `{"error":"denied"}`, "pushing h.example/x:1: denied", nil},
		{"error without words", "1.51", `{"errorDetail":{"code":7}}`, "failed without a reason", nil},
		{"error after a digest", "1.51", aux(digestB) + `{"error":"denied"}`, "denied", nil},
		{"long error", "1.51", `{"error":"` + strings.Repeat("no ", 9999) + `"}`, "no no...", nil},
		{"content is missing", "1.51", refers + missing + `{"error":"content digest: not found"}`, "does not have all content", errdefs.ErrFailedPrecondition},
		{"content is missing, no error", "1.51", refers + missing, "does not have all content", errdefs.ErrFailedPrecondition},
		{"end in a message", "1.51", aux(digestB) + `{"status":`, "connection to the Docker daemon broke (unexpected EOF)", errdefs.ErrUnavailable},
		{"junk", "1.51", `<html>`, "connection to the Docker daemon broke", errdefs.ErrUnavailable},
		{"JSON of another kind", "1.51", `[1]`, "connection to the Docker daemon broke", errdefs.ErrUnavailable},
	} {
		got, err := pushing(t, tt.version, tt.stream).daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil)
		if err == nil || got != "" || tt.kind != nil && !errors.Is(err, tt.kind) {
			t.Fatalf("%s: got %q and error %v, want kind %v", tt.name, got, err, tt.kind)
		}
		checkText(t, err, "pushing h.example/x:1", tt.want)
	}
}

// What the settings of the daemon forbid is answered with those, and a refusal for want of a login with a login.
func TestPushRefusals(t *testing.T) {
	const (
		insecure    = `the daemon pushes, which --insecure does not change: add h.example to "insecure-registries" in its daemon.json`
		certificate = `the daemon pushes, which --insecure does not change: store the certificate of the CA as /etc/docker/certs.d/h.example/ca.crt`
		none        = ""
	)
	for _, tt := range []struct {
		message, hint string
		login         bool
	}{
		{`Get "https://h.example/v2/": http: server gave HTTP response to HTTPS client`, insecure, false},
		{`failed to do request: Head "https://h.example/v2/x/blobs/b": http: server gave HTTP response to HTTPS client`, insecure, false},
		{`Get "https://h.example/v2/": tls: first record does not look like a TLS handshake`, insecure, false},
		{`Get "https://h.example/v2/": x509: certificate signed by unknown authority`, certificate, false},
		{`failed to do request: Head "https://h.example/v2/x/blobs/b": tls: failed to verify certificate: x509: certificate is valid for unauthorized.example`, certificate, false},
		{"no basic auth credentials", none, true},
		{"error from registry: credentials required", none, true},
		{"error from registry: Authentication required", none, true},
		{"error from registry: unauthorized to access repository: x, action: push", none, true},
		{"push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed", none, true},
		{"error from registry: requested access to the resource is denied", none, true},
		{"error from registry: blob unknown to registry", none, false},
		{`dial tcp: lookup h.example: no such host`, none, false},
	} {
		message, err := json.Marshal(tt.message)
		if err != nil {
			t.Fatal(err)
		}
		stream := refers + `{"errorDetail":{"message":` + string(message) + `}}`
		_, err = pushing(t, "1.51", stream).daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil)
		if got := manifest.Hint(err); !strings.HasPrefix(got, tt.hint) || tt.hint == "" && got != "" {
			t.Errorf("%s: got hint %q, want %q", tt.message, got, tt.hint)
		}
		var at interface{ Registry() string }
		if errdefs.IsUnauthorized(err) != tt.login || !errors.As(err, &at) || at.Registry() != "h.example" {
			t.Errorf("%s: got error %v, want one of h.example that requires a login: %t", tt.message, err, tt.login)
		}
	}
}

func TestPushThatEndsWithoutDigest(t *testing.T) {
	for _, version := range allVersions {
		f := pushing(t, version, refers)
		f.answers["GET /images/h.example/x:1/json"] = answer(inspected()) // of a graph-driver store
		got, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil)
		if got != "" || !errors.Is(err, errdefs.ErrUnavailable) {
			t.Fatalf("API %s: got %q and error %v, want %v", version, got, err, errdefs.ErrUnavailable)
		}
		checkText(t, err, "connection to the Docker daemon broke")
	}
}

func TestPushRefusedAtOnce(t *testing.T) {
	f := newFake(t, "1.51", map[string]http.HandlerFunc{
		"POST /images/h.example/x/push": refuse(http.StatusForbidden, "authorization denied by plugin"),
	})
	_, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil)
	if !errors.Is(err, errdefs.ErrPermissionDenied) {
		t.Fatal(err)
	}
	checkText(t, err, "pushing h.example/x:1", "authorization denied by plugin")
}

func TestDaemonDiesInAPush(t *testing.T) {
	for _, sent := range []string{"", refers, refers + `{"sta`} {
		f := newFake(t, "1.51", map[string]http.HandlerFunc{
			"POST /images/h.example/x/push": func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, sent)
				if sent != "" {
					w.(http.Flusher).Flush()
				}
				panic(http.ErrAbortHandler)
			},
		})
		_, err := f.daemon().Push(t.Context(), tagged(t, "h.example/x:1"), nil, nil)
		if !errors.Is(err, errdefs.ErrUnavailable) {
			t.Fatalf("%q: got error %v, want %v", sent, err, errdefs.ErrUnavailable)
		}
		checkText(t, err, "pushing h.example/x:1", "the Docker daemon", "EOF")
	}
}

func TestCancelStopsAPush(t *testing.T) {
	for _, sent := range []string{"", refers} {
		asked, stopped := make(chan struct{}), make(chan struct{})
		f := newFake(t, "1.51", map[string]http.HandlerFunc{
			"POST /images/h.example/x/push": func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, sent)
				if sent != "" {
					w.(http.Flusher).Flush()
				}
				close(asked)
				<-r.Context().Done()
				close(stopped)
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		_, err := f.daemon().Push(ctx, tagged(t, "h.example/x:1"), nil, nil)
		if !errors.Is(err, context.Canceled) || errors.Is(err, errdefs.ErrUnavailable) {
			t.Errorf("%q: got error %v, want %v", sent, err, context.Canceled)
		}
		<-stopped
	}
}

// transfers keeps what is reported.
type transfers []manifest.Transfer

func (r *transfers) Blob(t manifest.Transfer)  { *r = append(*r, t) }
func (*transfers) Count(manifest.Counted, int) {}

// The layers are reported as daemons of both stores name their states. Messages of another shape end no push.
func TestPushReportsItsProgress(t *testing.T) {
	stream := refers + `{"progressDetail":7,"id":"c36d3a1fcef2"}` +
		`{"status":"Preparing","progressDetail":{},"id":"c36d3a1fcef2"}` +
		`{"status":"Pushing","progressDetail":{"current":1,"total":2},"progress":"[=>]","id":"c36d3a1fcef2"}` +
		`{"status":"Pushed","progressDetail":{},"id":"c36d3a1fcef2"}` +
		`{"status":"Layer already exists","id":"a"}{"status":"Already exists","id":"b"}{"status":"Mounted from x/y","id":"c"}` +
		`{"status":"Retrying in 5 seconds","id":"d"}` + closing("1", digestB) + aux(digestB)
	var got transfers
	d := New(pushing(t, "1.51", stream).connect, noAuth)
	if _, err := d.Push(t.Context(), tagged(t, "h.example/x:1"), nil, &got); err != nil {
		t.Fatal(err)
	}
	layer := func(id string, state manifest.TransferState, sent, size int64) manifest.Transfer {
		return manifest.Transfer{Blob: ocispec.Descriptor{Size: size}, ID: id, State: state, Sent: sent}
	}
	const id = "c36d3a1fcef2"
	want := transfers{
		layer(id, manifest.Waiting, 0, 0), layer(id, manifest.Sending, 1, 2), layer(id, manifest.Sent, 2, 2),
		layer("a", manifest.Present, 0, 0), layer("b", manifest.Present, 0, 0), layer("c", manifest.Mounted, 0, 0),
		layer("d", manifest.Waiting, 0, 0),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func FuzzPushStream(f *testing.F) {
	f.Add([]byte(refers + closing("1", digestB) + aux(digestB)))
	f.Add([]byte(`{"error":"x"}`))
	f.Add([]byte(`{"aux":{"contentMissing":true}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		stream := newMessageStream(bytes.NewReader(raw), "1")
		if _, err := io.Copy(io.Discard, stream); err == nil && stream.digest != "" {
			if err := stream.digest.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}
