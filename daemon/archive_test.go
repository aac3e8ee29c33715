package daemon

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = io.WriteString(w, h.Name)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entries returns what is in a tar stream, as "TYPE NAME LINK CONTENT".
func entries(t *testing.T, content io.Reader) []string {
	t.Helper()
	var out []string
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%c %s %s %s", h.Typeflag, h.Name, h.Linkname, data)))
	}
}

var mixed = []tar.Header{
	{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700},
	{Typeflag: tar.TypeReg, Name: "./a", Uid: 5},
	{Typeflag: tar.TypeDir, Name: "sub/"},
	{Typeflag: tar.TypeReg, Name: "sub//b"},
	{Typeflag: tar.TypeReg, Name: "../../out"},
	{Typeflag: tar.TypeReg, Name: "/abs"},
	{Typeflag: tar.TypeSymlink, Name: "soft", Linkname: "../a"},
	{Typeflag: tar.TypeLink, Name: "./hard", Linkname: "./a"},
	{Typeflag: tar.TypeChar, Name: "char"},
	{Typeflag: tar.TypeBlock, Name: "block"},
	{Typeflag: tar.TypeFifo, Name: "pipe"},
	{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 60) + "name"},
}

var mixedPlain = []string{
	"0 a  ./a", "5 sub/", "0 sub/b  sub//b", "0 out  ../../out", "0 abs  /abs", "2 soft ../a", "1 hard a",
	"0 " + strings.Repeat("long/", 60) + "name  " + strings.Repeat("long/", 60) + "name",
}

const (
	holder = "/containers/" + containerID
	vol    = "/volumes/vol"
)

// holding is a daemon with a volume that has this content. What is sent goes to sent.
func holding(t *testing.T, version string, content []byte, sent *[]byte) *fake {
	stat := base64.StdEncoding.EncodeToString([]byte(`{"name":"."}`))
	return newFake(t, version, map[string]http.HandlerFunc{
		"GET " + vol:                 answer(`{"Name":"vol","Labels":{"l":"a\"b$c"}}`),
		"POST /images/create":        answer(`{"status":"sha256:1"}`),
		"POST /containers/create":    answer(map[string]any{"Id": containerID}),
		"DELETE " + holder:           done,
		"PUT " + holder + "/archive": func(_ http.ResponseWriter, r *http.Request) { *sent, _ = io.ReadAll(r.Body) },
		"GET " + holder + "/archive": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Docker-Container-Path-Stat", stat)
			_, _ = w.Write(content)
		},
	})
}

func TestSendAndReceive(t *testing.T) {
	content := tarOf(t, mixed...)
	for _, version := range allVersions {
		var sent []byte
		f := holding(t, version, content, &sent)
		d := f.daemon()
		if err := d.Send(t.Context(), "vol", bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if got := entries(t, bytes.NewReader(sent)); !slices.Equal(got, mixedPlain) {
			t.Errorf("API %s: sent %q, want %q", version, got, mixedPlain)
		}
		r, err := d.Receive(t.Context(), "vol")
		if err != nil {
			t.Fatal(err)
		}
		if got := entries(t, r); !slices.Equal(got, mixedPlain) {
			t.Errorf("API %s: received %q, want %q", version, got, mixedPlain)
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
		want := []string{
			"GET " + vol, `POST /images/create?changes=LABEL+%22l%22%3D%22a%5C%22b%5C%24c%22&fromSrc=-`,
			"POST /containers/create", "PUT " + holder + "/archive?path=%2Fvolume", "DELETE " + holder + "?force=1&v=1",
			"GET " + vol, "POST /containers/create", "GET " + holder + "/archive?path=%2Fvolume%2F.", "DELETE " + holder + "?force=1&v=1",
		}
		if got := f.asked(); !slices.Equal(got, want) {
			t.Errorf("API %s: got requests %q, want %q", version, got, want)
		}
	}
}

func TestVolumeContainerIsOfTheRun(t *testing.T) {
	var sent []byte
	var body map[string]any
	f := holding(t, "1.51", nil, &sent)
	f.answers["POST /containers/create"] = keep(&body, map[string]any{"Id": containerID})
	if err := f.daemon().Send(t.Context(), "vol", bytes.NewReader(tarOf(t))); err != nil {
		t.Fatal(err)
	}
	host := body["HostConfig"].(map[string]any)
	if body["Image"] != "sha256:1" || body["Labels"].(map[string]any)["l"] != `a"b$c` || host["NetworkMode"] != "none" ||
		!slices.Equal(host["Binds"].([]any), []any{"vol:/volume"}) {
		t.Errorf("got container %v, want the empty image with the volume, its labels and no network", body)
	}
}

// The empty image is made again after a prune, and after a clean-up.
func TestEmptyImageIsMadeAgain(t *testing.T) {
	var sent []byte
	f := holding(t, "1.51", nil, &sent)
	create, pruned := f.answers["POST /containers/create"], true
	f.answers["POST /containers/create"] = func(w http.ResponseWriter, r *http.Request) {
		if pruned {
			pruned = false
			refuse(http.StatusNotFound, "No such image: sha256:1")(w, r)
			return
		}
		create(w, r)
	}
	for path, handler := range labelled(t, "1.51").answers {
		f.answers[path] = handler
	}
	d := f.daemon()
	send := func() error { return d.Send(t.Context(), "vol", bytes.NewReader(tarOf(t))) }
	if err := errors.Join(send(), send(), d.Remove(t.Context(), "l", "1"), send()); err != nil {
		t.Error(err)
	}
	imports := 0
	for _, asked := range f.asked() {
		if strings.HasPrefix(asked, "POST /images/create") {
			imports++
		}
	}
	if imports != 3 {
		t.Errorf("got %d imports, want 3", imports)
	}
}

func TestSendAndReceiveErrors(t *testing.T) {
	content := tarOf(t, mixed...)
	broken := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString([]byte(`{}`)))
		_, _ = w.Write(content[:700])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	const image, create = "POST /images/create", "POST /containers/create"
	for _, tt := range []struct {
		request         string
		handler         http.HandlerFunc
		kind            error
		sends, receives string
	}{
		{"GET " + vol, refuse(http.StatusNotFound, "no such volume"), errdefs.ErrNotFound, "no such volume", "no such volume"},
		{image, refuse(http.StatusInternalServerError, "no space"), errdefs.ErrInternal, "no space", "no space"},
		{image, answer(`{"errorDetail":{"message":"no space"}}`), nil, "no space", "no space"},
		{create, refuse(http.StatusNotFound, "No such image"), errdefs.ErrNotFound, "No such image", "No such image"},
		{create, abort, errdefs.ErrUnavailable, "cannot reach the Docker daemon", "cannot reach the Docker daemon"},
		{"PUT " + holder + "/archive", refuse(http.StatusInternalServerError, "no space"), errdefs.ErrInternal, "no space", ""},
		{"PUT " + holder + "/archive", abort, errdefs.ErrUnavailable, "cannot reach the Docker daemon", ""},
		{"GET " + holder + "/archive", refuse(http.StatusInternalServerError, "cannot read"), errdefs.ErrInternal, "", "cannot read"},
		{"GET " + holder + "/archive", broken, errdefs.ErrUnavailable, "", "the connection to the Docker daemon broke (unexpected EOF)"},
	} {
		var sent []byte
		f := holding(t, "1.51", content, &sent)
		f.answers[tt.request] = tt.handler
		check := func(what, want string, err error) {
			t.Helper()
			if (err != nil) != (want != "") || err != nil && tt.kind != nil && !errors.Is(err, tt.kind) {
				t.Fatalf("%s: got error %v, want %q of kind %v", tt.request, err, want, tt.kind)
			}
			if err != nil {
				checkText(t, err, what+" volume vol", want)
			}
		}
		check("sending files to", tt.sends, f.daemon().Send(t.Context(), "vol", bytes.NewReader(content)))
		r, err := f.daemon().Receive(t.Context(), "vol")
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			r.Close()
		}
		check("receiving files from", tt.receives, err)
		created, removed := 0, 0
		for _, asked := range f.asked() {
			if strings.HasPrefix(asked, create) {
				created++
			} else if strings.HasPrefix(asked, "DELETE "+holder) {
				removed++
			}
		}
		if tt.request != create && created != removed {
			t.Errorf("%s: %d containers were created and %d removed, want all removed", tt.request, created, removed)
		}
	}
}

func TestSendTellsOfItsReader(t *testing.T) {
	var sent []byte
	f := holding(t, "1.51", nil, &sent)
	fault := errors.New("disk is gone")
	for _, tt := range []struct {
		content io.Reader
		kind    error
		text    string
	}{
		{strings.NewReader(strings.Repeat("junk", 1000)), tar.ErrHeader, "reading them: archive/tar: invalid tar header"},
		{io.MultiReader(bytes.NewReader(tarOf(t, mixed...)[:600]), failing{fault}), fault, "reading them: disk is gone"},
	} {
		err := f.daemon().Send(t.Context(), "vol", tt.content)
		if !errors.Is(err, tt.kind) || errors.Is(err, errdefs.ErrUnavailable) {
			t.Fatal(err)
		}
		checkText(t, err, "sending files to volume vol", tt.text)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestCancelStopsSendAndReceive(t *testing.T) {
	var sent []byte
	for _, request := range []string{"PUT", "GET"} {
		asked := make(chan struct{}, 1)
		f := holding(t, "1.51", nil, &sent)
		f.answers[request+" "+holder+"/archive"] = hang(asked)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		var err error
		if request == "PUT" {
			err = f.daemon().Send(ctx, "vol", bytes.NewReader(tarOf(t, mixed...)))
		} else {
			_, err = f.daemon().Receive(ctx, "vol")
		}
		if !errors.Is(err, context.Canceled) || errors.Is(err, errdefs.ErrUnavailable) {
			t.Errorf("%s: got error %v, want %v", request, err, context.Canceled)
		}
		if got := f.asked(); got[len(got)-1] != "DELETE "+holder+"?force=1&v=1" {
			t.Errorf("%s: got requests %q, want the container removed last", request, got)
		}
	}
}

// Whatever stream comes, the result is one that can be read, or ends in an error, and no path leaves the root.
func FuzzPlain(f *testing.F) {
	f.Add(tarOf(f, mixed...))
	f.Add(tarOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "a", PAXRecords: map[string]string{"SCHILY.xattr.user.x": "1"}}))
	f.Add(tarOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "a", Format: tar.FormatGNU}))
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var out bytes.Buffer
		if copyPlain(&out, bytes.NewReader(raw)) != nil {
			return
		}
		for r := tar.NewReader(&out); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Name == "" || h.Name[0] == '/' || strings.Contains("/"+h.Name+"/", "/../") || !strings.ContainsRune("0125", rune(h.Typeflag)) {
				t.Errorf("got entry %c %q, want a file, folder or link below the root", h.Typeflag, h.Name)
			}
		}
	})
}
