package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// keep answers with content and puts the request's JSON into body.
func keep(body *map[string]any, content any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(body)
		answer(content)(w, r)
	}
}

func TestCreateNetworkAndVolume(t *testing.T) {
	for _, version := range allVersions {
		var network, volume map[string]any
		f := newFake(t, version, map[string]http.HandlerFunc{
			"POST /networks/create": keep(&network, map[string]string{"Id": "1"}),
			"POST /volumes/create":  keep(&volume, map[string]any{"Name": "v", "Labels": map[string]string{"l": "1"}}),
		})
		d := f.daemon()
		labels := map[string]string{"l": "1"}
		if err := d.CreateNetwork(t.Context(), task.Network{Driver: "overlay", IPv6: true}, "n", labels); err != nil {
			t.Error(err)
		}
		if network["Name"] != "n" || network["Driver"] != "overlay" || network["EnableIPv6"] != true || network["Labels"].(map[string]any)["l"] != "1" {
			t.Errorf("API %s: got network %v, want n with driver, IPv6 and label", version, network)
		}
		network = nil
		if err := d.CreateNetwork(t.Context(), task.Network{}, "n", nil); err != nil {
			t.Error(err)
		}
		if _, set := network["EnableIPv6"]; set || network["Driver"] != "" {
			t.Errorf("API %s: got network %v, want no driver and no IPv6", version, network)
		}
		if err := d.CreateVolume(t.Context(), "v", labels); err != nil {
			t.Error(err)
		}
		if volume["Name"] != "v" || volume["Labels"].(map[string]any)["l"] != "1" {
			t.Errorf("API %s: got volume %v, want v with a label", version, volume)
		}
	}
}

func TestCreateNetworkErrors(t *testing.T) {
	f := newFake(t, "1.51", map[string]http.HandlerFunc{"POST /networks/create": refuse(http.StatusConflict, "network with name n already exists")})
	err := f.daemon().CreateNetwork(t.Context(), task.Network{}, "n", nil)
	if !errors.Is(err, errdefs.ErrConflict) {
		t.Fatal(err)
	}
	checkText(t, err, "creating network n", "already exists")
	f = newFake(t, "1.51", map[string]http.HandlerFunc{"POST /volumes/create": answer(`{"Name":"v","Labels":{"l":"of another"}}`)})
	err = f.daemon().CreateVolume(t.Context(), "v", map[string]string{"l": "ours"})
	if !errors.Is(err, errdefs.ErrConflict) {
		t.Fatal(err)
	}
	checkText(t, err, "creating volume v", "already")
	f = newFake(t, "1.51", map[string]http.HandlerFunc{"POST /volumes/create": abort})
	err = f.daemon().CreateVolume(t.Context(), "v", nil)
	if !errors.Is(err, errdefs.ErrUnavailable) {
		t.Fatal(err)
	}
	checkText(t, err, "creating volume v", "cannot reach the Docker daemon")
}

// The name is a pattern for the daemon, which is that of the whole name.
func TestHas(t *testing.T) {
	for _, version := range allVersions {
		f := newFake(t, version, map[string]http.HandlerFunc{
			"GET /containers/json": answer(`[{"Id":"c1"}]`), "GET /networks": answer(`[]`), "GET /volumes": answer(`{"Volumes":[{"Name":"a.b"}]}`),
		})
		for thing, want := range map[string]bool{"container": true, "network": false, "volume": true} {
			if got, err := f.daemon().Has(t.Context(), thing, "a.b"); got != want || err != nil {
				t.Errorf("API %s: %s: got %v and error %v, want %v", version, thing, got, err, want)
			}
		}
		for _, r := range f.requests {
			if filter := r.URL.Query().Get("filters"); filter != `{"name":{"^/?a\\.b$":true}}` || strings.Contains(r.URL.Path, "containers") && r.URL.Query().Get("all") != "1" {
				t.Errorf("API %s: got request %s, want one for all things of the name", version, r.URL)
			}
		}
		f.answers["GET /networks"] = refuse(http.StatusInternalServerError, "broken")
		if _, err := f.daemon().Has(t.Context(), "network", "a"); err == nil {
			t.Error("got no error, want that of the daemon")
		}
	}
}

// labelled is a daemon that has two things of each kind, but one image.
func labelled(t *testing.T, version string) *fake {
	f := newFake(t, version, map[string]http.HandlerFunc{
		"GET /containers/json": answer(`[{"Id":"c1"},{"Id":"c2"}]`),
		"GET /networks":        answer(`[{"Id":"n1"},{"Id":"n2"}]`),
		"GET /volumes":         answer(`{"Volumes":[{"Name":"v1"},{"Name":"v2"}]}`),
		"GET /images/json":     answer(`[{"Id":"i1"}]`),
		"DELETE /images/i1":    answer(`[]`),
	})
	for _, path := range []string{"/containers/c1", "/containers/c2", "/networks/n1", "/networks/n2", "/volumes/v1", "/volumes/v2"} {
		f.answers["DELETE "+path] = done
	}
	return f
}

// removals returns the paths of what was to be deleted, in order but for those that can be deleted at the same time.
func (f *fake) removals() []string {
	var out []string
	for _, asked := range f.asked() {
		if path, ok := strings.CutPrefix(asked, "DELETE "); ok {
			out = append(out, path)
		}
	}
	rank := func(path string) int { return strings.Index("cvi", path[1:2]) }
	others := slices.DeleteFunc(slices.Clone(out), func(path string) bool { return strings.HasPrefix(path, "/networks/") })
	if !slices.IsSortedFunc(others, func(a, b string) int { return rank(a) - rank(b) }) {
		return append(out, "in this order")
	}
	slices.Sort(out)
	return out
}

var allRemovals = []string{"/containers/c1?force=1&v=1", "/containers/c2?force=1&v=1", "/images/i1?force=1&noprune=1", "/networks/n1", "/networks/n2", "/volumes/v1", "/volumes/v2"}

func TestRemove(t *testing.T) {
	for _, version := range allVersions {
		f := labelled(t, version)
		f.answers["DELETE /containers/c1"] = refuse(http.StatusNotFound, "No such container") // gone already
		if err := f.daemon().Remove(t.Context(), "l", "1"); err != nil {
			t.Error(err)
		}
		if got := f.removals(); !slices.Equal(got, allRemovals) {
			t.Errorf("API %s: got removals %q, want %q", version, got, allRemovals)
		}
		for _, r := range f.requests {
			if filter := r.URL.Query().Get("filters"); r.Method == http.MethodGet && filter != `{"label":{"l=1":true}}` {
				t.Errorf("API %s: %s has the filter %s, want the label", version, r.URL.Path, filter)
			}
		}
	}
}

// What cannot be listed or removed does not keep the rest.
func TestRemoveGoesOn(t *testing.T) {
	f := labelled(t, "1.51")
	f.answers["DELETE /containers/c2"] = refuse(http.StatusInternalServerError, "device is busy")
	f.answers["DELETE /networks/n2"] = refuse(http.StatusForbidden, "has active endpoints")
	err := f.daemon().Remove(t.Context(), "l", "1")
	if err == nil || err.Error() != "removing container c2: Error response from daemon: device is busy\n"+
		"removing network n2: Error response from daemon: has active endpoints" {
		t.Error(err)
	}
	want := slices.Sorted(slices.Values(append(slices.Clone(allRemovals), "/networks/n1", "/networks/n2"))) // tried again without containers
	if got := f.removals(); !slices.Equal(got, want) {
		t.Errorf("got removals %q, want %q", got, want)
	}
	f = labelled(t, "1.51")
	f.answers["GET /containers/json"] = refuse(http.StatusInternalServerError, "no")
	err = f.daemon().Remove(t.Context(), "l", "1")
	if err == nil {
		t.Fatal("got no error, want one")
	}
	checkText(t, err, "listing the containers with the label l=1", "no")
	if got := f.removals(); !slices.Equal(got, allRemovals[2:]) {
		t.Errorf("got removals %q, want %q", got, allRemovals[2:])
	}
}

// Networks are removed while containers are, and once more if containers still used them.
func TestRemoveNetworksWithContainers(t *testing.T) {
	f := labelled(t, "1.51")
	inUse, refused := true, make(chan struct{})
	f.answers["DELETE /containers/c1"] = func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-refused:
		case <-r.Context().Done():
		}
		inUse = false
		done(w, r)
	}
	f.answers["DELETE /networks/n1"] = func(w http.ResponseWriter, r *http.Request) {
		if inUse {
			defer close(refused)
			refuse(http.StatusForbidden, "has active endpoints")(w, r)
			return
		}
		done(w, r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.daemon().Remove(ctx, "l", "1"); err != nil {
		t.Error(err)
	}
	if inUse {
		t.Error("got no removal of the container, want one")
	}
}

// A container that another request removes is waited for: its networks cannot be removed before.
func TestRemoveWaitsForARemovalUnderWay(t *testing.T) {
	f := labelled(t, "1.51")
	f.answers["DELETE /containers/c1"] = refuse(http.StatusConflict, "removal is already in progress")
	f.answers["POST /containers/c1/wait"] = answer(`{"StatusCode":0}`)
	f.answers["DELETE /containers/c2"] = f.answers["DELETE /containers/c1"]
	f.answers["POST /containers/c2/wait"] = refuse(http.StatusNotFound, "No such container")
	if err := f.daemon().Remove(t.Context(), "l", "1"); err != nil {
		t.Error(err)
	}
	if asked := f.asked(); !slices.Contains(asked, "POST /containers/c1/wait?condition=removed") {
		t.Errorf("got requests %q, want a wait for c1", asked)
	}
}

// A daemon that has fallen silent is not waited for with each thing.
func TestRemoveFromADaemonThatHangs(t *testing.T) {
	f := labelled(t, "1.51")
	d := f.daemon()
	if _, err := d.client(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.reachTimeout = 100 * time.Millisecond
	f.mu.Lock() // it answers nothing as long
	err := d.Remove(t.Context(), "l", "1")
	f.mu.Unlock()
	if !errors.Is(err, errdefs.ErrUnavailable) {
		t.Fatal(err)
	}
	checkText(t, err, "removing resources with the label l=1", "no answer within 100ms")
	if asked := f.asked(); len(asked) > 0 {
		t.Errorf("got requests %q, want none", asked)
	}
}

func TestRemoveFromADaemonThatIsGone(t *testing.T) {
	d := New(FromCLI(cli(t, refused(t))), noAuth)
	err := d.Remove(t.Context(), "l", "1")
	if !errors.Is(err, errdefs.ErrUnavailable) {
		t.Fatal(err)
	}
	checkText(t, err, "removing resources with the label l=1", "cannot reach the Docker daemon")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := labelled(t, "1.51").daemon().Remove(ctx, "l", "1"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestBuilds(t *testing.T) {
	containerd := `{"OSType":"linux","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`
	for _, tt := range []struct {
		version, builder, info  string
		buildKit, multiPlatform bool
	}{
		{"1.51", "2", containerd, true, true},
		{"1.51", "2", `{"OSType":"linux","DriverStatus":[["Backing Filesystem","extfs"]]}`, true, false},
		{"1.51", "1", containerd, false, true}, // from its configuration
		{"1.41", "", `{"OSType":"linux"}`, true, false},
		{"1.41", "", `{"OSType":"windows"}`, false, false},
		{"1.38", "", `{"OSType":"linux"}`, false, false},
	} {
		f := newFake(t, tt.version, map[string]http.HandlerFunc{"GET /info": answer(tt.info)})
		f.builder = tt.builder
		buildKit, multiPlatform, err := f.daemon().Builds(t.Context())
		if err != nil || buildKit != tt.buildKit || multiPlatform != tt.multiPlatform {
			t.Errorf("got BuildKit %t, several platforms %t and error %v, want those of %+v", buildKit, multiPlatform, err, tt)
		}
	}
	f := newFake(t, "1.41", map[string]http.HandlerFunc{"GET /info": answer(`{"OSType":"linux"}`), "GET /version": podman})
	f.experimental = true
	if buildKit, _, err := f.daemon().Builds(t.Context()); err != nil || buildKit {
		t.Errorf("podman: got BuildKit %t and error %v, want none", buildKit, err)
	}
	f = newFake(t, "1.51", map[string]http.HandlerFunc{"GET /info": refuse(http.StatusInternalServerError, "no")})
	_, _, err := f.daemon().Builds(t.Context())
	if err == nil {
		t.Fatal("got no error, want one")
	}
	checkText(t, err, "reading the settings of the Docker daemon", "no")
}

// A volume of files on the daemon's machine is refused, and is gone, where containers could not use them.
func TestLinkVolume(t *testing.T) {
	const plain, remapped = "/var/lib/docker/volumes/v/_data", "/var/lib/docker/100000.100000/volumes/v/_data"
	for _, tt := range []struct {
		mayLabel             bool
		security, mountpoint string
		want                 bool
		requests             []string
	}{
		{false, `["name=selinux"]`, plain, true, []string{"POST /volumes/create"}}, // it would be another machine's
		{false, `[]`, remapped, false, []string{"POST /volumes/create", "DELETE /volumes/v"}},
		{true, `["name=apparmor","name=seccomp,profile=default"]`, plain, true, []string{"GET /info", "POST /volumes/create"}},
		{true, `["name=seccomp","name=selinux"]`, plain, false, []string{"GET /info"}},
	} {
		var body map[string]any
		f := newFake(t, "1.51", map[string]http.HandlerFunc{
			"GET /info":            answer(`{"OSType":"linux","SecurityOptions":` + tt.security + `}`),
			"POST /volumes/create": keep(&body, map[string]any{"Name": "v", "Mountpoint": tt.mountpoint}),
			"DELETE /volumes/v":    answer(""),
		})
		d := f.daemon()
		d.mayLabel = func() bool { return tt.mayLabel }
		err := d.LinkVolume(t.Context(), "v", nil, map[string]string{"device": "/d"})
		if tt.want != (err == nil) || err != nil && !errdefs.IsNotImplemented(err) {
			t.Errorf("%+v: got error %v, want success %t", tt, err, tt.want)
		}
		if asked := f.asked(); !slices.Equal(asked, tt.requests) {
			t.Errorf("%+v: got requests %q", tt, asked)
		}
		if options, _ := body["DriverOpts"].(map[string]any); tt.want && (body["Driver"] != "local" || options["device"] != "/d") {
			t.Errorf("%+v: got volume %v, want the driver local with options", tt, body)
		}
	}
}
