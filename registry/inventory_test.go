package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// answering serves answers from testdata, which are made after the documented forms of the registries, by
// the request's URL. The first leads to the second where both are named.
func answering(t *testing.T, answers map[string]string) func(http.ResponseWriter, *http.Request) bool {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) bool {
		name, ok := answers[r.URL.RequestURI()]
		if !ok {
			return false
		}
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(name, "-1.json") {
			w.Header().Set("Link", `</acr/v1/team/app/_manifests?last=sha256%3Abbbb&n=100&orderby=>; rel="next"`)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(raw)
		return true
	}
}

func sha(c string) digest.Digest { return digest.Digest("sha256:" + strings.Repeat(c, 64)) }

func TestInventoryOfAzure(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("auth.example.com:443", service)
	answer := answering(t, map[string]string{
		"/acr/v1/team/app/_manifests?n=100":                                                 "azure-manifests-1.json",
		"/acr/v1/team/app/_manifests?last=sha256%3Abbbb&n=100&orderby=":                     "azure-manifests-2.json",
		"/acr/v1/team/app/_manifests?last=" + url.QueryEscape(sha("d").String()) + "&n=100": "azure-manifests-3.json",
	})
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.Header.Get("Authorization"), "repository:team/app:metadata_read") {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example.com/token",service="registry",scope="repository:team/app:metadata_read"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return true
		}
		return answer(w, r)
	}
	for _, host := range []string{"demo.azurecr.io", "demo.azurecr.cn", "demo.azurecr.us"} {
		n.plain(host+":80", f)
		got, err := n.client(Options{Insecure: true}).Inventory(t.Context(), parse(t, host+"/team/app"))
		if err != nil || len(got) != 4 {
			t.Fatalf("%s: got %+v, error %v, want 4 manifests", host, got, err)
		}
		want := manifest.Listed{
			Digest: sha("a"), MediaType: ocispec.MediaTypeImageManifest, Tags: []string{"1.0-amd64", "latest-amd64"}, Size: 30412345,
			Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
			Created:  time.Date(2024, 5, 2, 9, 31, 5, 773018100, time.UTC), Updated: time.Date(2024, 5, 3, 10, 0, 0, 0, time.UTC),
			Attributes: &manifest.Attributes{Delete: true, Write: true, Read: true, List: true},
		}
		if fmt.Sprint(got[0].Attributes) != fmt.Sprint(want.Attributes) {
			t.Errorf("got attributes %+v, want %+v", got[0].Attributes, want.Attributes)
		}
		got[0].Attributes, want.Attributes = nil, nil
		if fmt.Sprint(got[0]) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got[0], want)
		}
		if index := got[1]; !manifest.IsIndex(index.MediaType) || !index.Locked || index.Platform.OS != "" {
			t.Errorf("got %+v, want a locked index without a platform", index)
		}
		if arm, untagged := got[2], got[3]; arm.Platform.Architecture != "" || untagged.Tags != nil || untagged.Locked || untagged.Attributes != nil {
			t.Errorf("got %+v and %+v, want an image of unknown platform and one without tags", arm, untagged)
		}
	}
	if got := service.requests(); len(got) != 3 {
		t.Errorf("got %d tokens, want 3", len(got))
	}
}

// Azure's list of tags takes another permission than pulling does: it is asked for at once, and for
// everything else no more than pull.
func TestTagsOfAzure(t *testing.T) {
	n, f, service := newNetwork(t), newFake(), &tokens{}
	n.secure("auth.example.com:443", service)
	n.plain("demo.azurecr.io:80", f)
	f.putImage("team/app", "1")
	pulls := bearer("https://auth.example.com/token")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return pulls(w, r)
		}
		if !strings.Contains(r.Header.Get("Authorization"), metadataRead) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example.com/token",service="registry",scope="repository:team/app:metadata_read"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return true
		}
		_, _ = w.Write([]byte(`{"name":"team/app","tags":["1"]}`))
		return true
	}
	c := n.client(Options{Insecure: true})
	if got, _, err := c.Tags(t.Context(), parse(t, "demo.azurecr.io/team/app")); err != nil || !slices.Equal(got, []string{"1"}) {
		t.Errorf("got tags %q, error %v, want 1", got, err)
	}
	if _, err := c.Fetch(t.Context(), parse(t, "demo.azurecr.io/team/app:1")); err != nil {
		t.Error(err)
	}
	var asked []string
	for _, form := range service.requests() {
		asked = append(asked, strings.Join(form["scope"], " "))
	}
	if want := []string{"repository:team/app:pull,metadata_read", "repository:team/app:pull"}; !slices.Equal(asked, want) {
		t.Errorf("got scopes %q, want %q", asked, want)
	}
}

// Azure removes a tag by a request of its own, and is known to keep the manifest.
func TestUntagOfAzure(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.plain("demo.azurecr.io:80", f)
	tags := map[string]bool{"1": true}
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		tag, ok := strings.CutPrefix(r.URL.Path, "/acr/v1/team/app/_tags/")
		switch {
		case r.Method != http.MethodDelete || !ok:
			return false
		case !tags[tag]:
			refuse(w, http.StatusNotFound, "TAG_UNKNOWN", "the specified tag does not exist")
		default:
			delete(tags, tag)
			w.WriteHeader(http.StatusAccepted)
		}
		return true
	}
	c, repo := n.client(Options{Insecure: true}), parse(t, "demo.azurecr.io/team/app")
	if err := c.Untags(t.Context(), repo); err != nil {
		t.Error(err)
	}
	if err := c.Untag(t.Context(), tagged(t, "demo.azurecr.io/team/app:1")); err != nil || tags["1"] {
		t.Errorf("got error %v and tags %v, want none", err, tags)
	}
	checkKind(t, c.Untag(t.Context(), tagged(t, "demo.azurecr.io/team/app:1")), errdefs.ErrNotFound)
	if !c.KnownToUntag(repo) || c.KnownToUntag(parse(t, "example.com/app")) {
		t.Errorf("got %t and %t, want only Azure to be known", c.KnownToUntag(repo), c.KnownToUntag(parse(t, "example.com/app")))
	}
}

func TestInventoryOfGoogle(t *testing.T) {
	n, f := newNetwork(t), newFake()
	answers := map[string]string{"/v2/project/plain/tags/list?n=10000": "plain-tags.json"}
	f.before = answering(t, answers)
	for i, host := range []string{"gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev"} {
		n.plain(host+":80", f)
		answers["/v2/project/app/tags/list?n=10000"] = []string{"google-tags.json", "google-tags-numbers.json"}[i%2]
		c := n.client(Options{Insecure: true})
		got, err := c.Inventory(t.Context(), parse(t, host+"/project/app"))
		if err != nil || len(got) != 3 {
			t.Fatalf("%s: got %+v, error %v, want 3 manifests", host, got, err)
		}
		want := manifest.Listed{Digest: sha("a"), MediaType: manifest.MediaTypeDockerManifest, Tags: []string{"1.0", "latest"}, Size: 30412345,
			Created: time.UnixMilli(1714642265773).UTC()}
		if fmt.Sprint(got[0]) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got[0], want)
		}
		if untagged := got[2]; len(untagged.Tags) > 0 || !untagged.Created.IsZero() {
			t.Errorf("got %+v, want no tags and no time", untagged)
		}
		if _, err := c.Inventory(t.Context(), parse(t, host+"/project/plain")); !errdefs.IsNotImplemented(err) {
			t.Errorf("only tags: got error %v, want %v", err, errdefs.ErrNotImplemented)
		}
	}
}

// A registry that has no manifests to list may say so with null; anything else that is no object is an error.
func TestReadGoogleManifests(t *testing.T) {
	for value, valid := range map[string]bool{"null": true, "[]": false, "7": false} {
		got, err := readGoogle(page{body: []byte(`{"tags":["1.0"],"manifest":` + value + `}`)})
		if got != nil || (err == nil) != valid {
			t.Errorf("%s: got %v, error %v, want no manifests and an error %t", value, got, err, !valid)
		}
	}
}

// Google's registries truncate their listing without saying so: one of the maximum length is not a listing of
// all, unless a page follows.
func TestInventoryOfGoogleIsFull(t *testing.T) {
	n, f := newNetwork(t), newFake()
	n.plain("gcr.io:80", f)
	for name, tt := range map[string]struct {
		manifests, tags int // in total, and of each
		pages           int
		want            int
	}{
		"few": {9_999, 1, 1, 9_999}, "manifests": {10_000, 0, 1, 0}, "tags": {2_000, 5, 1, 0}, "pages": {10_000, 0, 2, 10_003},
	} {
		t.Run(name, func(t *testing.T) {
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				count := tt.manifests
				if r.URL.Query().Has("last") {
					count = 3
				} else if tt.pages > 1 {
					w.Header().Set("Link", `<?n=10000&last=x>; rel="next"`)
				}
				listed := map[digest.Digest]any{}
				for i := range count {
					listed[digest.FromString(fmt.Sprint(i))] = map[string]any{"tag": slices.Repeat([]string{"a"}, tt.tags)}
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"manifest": listed})
				return true
			}
			got, err := n.client(Options{Insecure: true}).Inventory(t.Context(), parse(t, "gcr.io/project/app"))
			if tt.want == 0 {
				wantError(t, err, errdefs.ErrNotImplemented, "gcr.io lists at most 10000 manifests or tags of gcr.io/project/app")
			}
			if len(got) != tt.want || tt.want > 0 && err != nil {
				t.Errorf("got %d manifests, error %v, want %d", len(got), err, tt.want)
			}
		})
	}
}

// Numbers are JSON numbers or strings, or missing.
func TestNumber(t *testing.T) {
	for raw, want := range map[string]number{`7`: 7, `"7"`: 7, `"1714642265773"`: 1714642265773, `""`: 0, `null`: 0, `"-62135596800000"`: 0, `1.5`: 0, `"x"`: 0, `{}`: 0, `[1]`: 0} {
		got := []number{9}
		if err := json.Unmarshal([]byte("["+raw+"]"), &got); err != nil || got[0] != want {
			t.Errorf("%s: got %d, error %v, want %d", raw, got[0], err, want)
		}
	}
}

// What an account may not use is as if it were not there; other failures are failures.
func TestInventoryRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		body    string
		kind    error
		words   string
		warning string
	}{
		"401":       {http.StatusUnauthorized, "", errdefs.ErrNotImplemented, "without a tag are not visible", "401"},
		"403":       {http.StatusForbidden, "", errdefs.ErrNotImplemented, "without a tag are not visible", "using only the list of tags"},
		"404":       {http.StatusNotFound, "", errdefs.ErrNotImplemented, "without a tag are not visible", ""},
		"405":       {http.StatusMethodNotAllowed, "", errdefs.ErrNotImplemented, "without a tag are not visible", ""},
		"500":       {http.StatusInternalServerError, "", errdefs.ErrUnavailable, "manifests of demo.azurecr.io/app", ""},
		"page":      {http.StatusOK, "<html>", errdefs.ErrInvalidArgument, "manifests of demo.azurecr.io/app cannot be read", ""},
		"no digest": {http.StatusOK, `{"manifests":[{"digest":"sha256:x\u001b"}]}`, errdefs.ErrNotImplemented, `is not a digest; using only the list of tags`, ""},
		"no time":   {http.StatusOK, `{"manifests":[{"createdTime":"soon"}]}`, errdefs.ErrInvalidArgument, "cannot be read", ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := newNetwork(t), newFake()
			n.plain("demo.azurecr.io:80", f)
			f.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
				return true
			}
			var warnings []string
			c := n.client(Options{Insecure: true, Warn: func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }})
			_, err := c.Inventory(t.Context(), parse(t, "demo.azurecr.io/app"))
			wantError(t, err, tt.kind, tt.words)
			said := slices.ContainsFunc(warnings, func(s string) bool { return tt.warning != "" && strings.Contains(s, tt.warning) })
			if tt.status < 500 && (tt.warning != "" != said || len(warnings) > 1) {
				t.Errorf("got warnings %q, want %q", warnings, tt.warning)
			}
		})
	}
}

// Other registries get no request for a listing that they do not have.
func TestInventoryElsewhere(t *testing.T) {
	n, f := newNetwork(t), newFake()
	for _, host := range []string{"a.example.com", "azurecr.io.example.com", "notgcr.io.example.com"} {
		n.secure(host+":443", f)
		if _, err := n.client(Options{}).Inventory(t.Context(), parse(t, host+"/app")); !errdefs.IsNotImplemented(err) || len(f.requests()) > 0 {
			t.Errorf("%s: got error %v after %q, want %v without a request", host, err, f.requests(), errdefs.ErrNotImplemented)
		}
	}
	for _, host := range []string{"azurecr.io", "mygcr.io", "docker.pkg.dev"} {
		if _, err := n.client(Options{}).Inventory(t.Context(), parse(t, host+"/app")); !errdefs.IsNotImplemented(err) {
			t.Errorf("%s: got error %v, want %v", host, err, errdefs.ErrNotImplemented)
		}
	}
}

// What is listed has digests and tags, whatever was sent.
func FuzzInventory(f *testing.F) {
	for _, name := range []string{"azure-manifests-1.json", "azure-manifests-2.json", "google-tags.json", "google-tags-numbers.json", "plain-tags.json"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	repo, err := manifest.ParseRepository("a.example.com/app")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, read := range []func(page) ([]manifest.Listed, error){readAzure, readGoogle} {
			listed, err := repository{}.reading(repo, "manifests", read)(page{body: raw})
			if err != nil {
				if !errdefs.IsInvalidArgument(err) && !errdefs.IsNotImplemented(err) {
					t.Fatal(err)
				}
				continue
			}
			for _, l := range listed {
				if _, invalid := splitTags(repo, l.Tags); l.Digest.Validate() != nil || len(invalid) > 0 {
					t.Fatalf("got %+v, want a valid digest and valid tags", l)
				}
			}
		}
	})
}
