package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
	"github.com/docker-multiarch/docker-multiarch/e2e/images"
)

// impersonate serves a registry that is not on this machine, with a self-signed certificate.
func (s *scene) impersonate(host string, handler http.Handler) {
	s.Helper()
	registry := httptest.NewUnstartedServer(handler)
	registry.Config.ErrorLog = silence
	registry.StartTLS()
	s.Cleanup(registry.Close)
	s.reach(map[string]string{host: registry.Listener.Addr().String()}, &recorder{})
}

// inventories are registries that list their manifests, with responses in the documented form; extra is the path of
// the listing.
var inventories = map[string]struct {
	host, extra string
	list        func(all map[string]images.Manifest) any
}{
	"azure": {"demo.azurecr.io", "/acr/v1/team/app/_manifests", func(all map[string]images.Manifest) any {
		var manifests []any
		for tag, m := range all {
			entry := map[string]any{
				"digest": m.Digest(), "imageSize": 1, "mediaType": m.Descriptor.MediaType,
				"createdTime": "2025-01-02T03:04:05.1234567Z", "lastUpdateTime": "2025-01-03T03:04:05.1234567Z",
				"changeableAttributes": map[string]bool{"deleteEnabled": false, "writeEnabled": true, "readEnabled": true, "listEnabled": true},
			}
			if !strings.HasPrefix(tag, "-") {
				entry["tags"] = []string{tag}
			}
			manifests = append(manifests, entry)
		}
		return map[string]any{"registry": "demo.azurecr.io", "imageName": "team/app", "manifests": manifests}
	}},
	"google": {"europe-docker.pkg.dev", "/v2/team/app/tags/list", func(all map[string]images.Manifest) any {
		manifests, names := map[string]any{}, []string{}
		for tag, m := range all {
			tags := []string{}
			if !strings.HasPrefix(tag, "-") {
				tags = append(tags, tag)
			}
			names = append(names, tags...)
			manifests[m.Digest().String()] = map[string]any{
				"imageSizeBytes": "1", "layerId": "", "mediaType": m.Descriptor.MediaType, "tag": tags,
				"timeCreatedMs": "1714642265773", "timeUploadedMs": "1735787045123",
			}
		}
		return map[string]any{"child": []string{}, "name": "team/app", "tags": names, "manifest": manifests}
	}},
}

// For a registry that lists its manifests, untagged manifests and upload times are shown; if it refuses that listing,
// its tags are listed instead.
func TestInventories(t *testing.T) {
	for name, tt := range inventories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.V3)
			s.registry, s.repo = harness.NewRegistry(t, harness.RegistryOptions{}), "team/app"
			l := putTestRepo(s)
			untagged := images.Image(images.Spec{Seed: "untagged", Platform: amd64})
			harness.Put(t, s.registry, s.repo, untagged.Digest().String(), untagged)
			listing := tt.list(map[string]images.Manifest{
				"1": l.list, "amd64": l.amd64, "old": l.old, "windows": l.windows, "-": untagged,
				"-1": l.arm64, "-2": l.list.Children[2], "-3": l.list.Children[3],
			})
			var refused atomic.Bool
			proxy := newProxy(t, s.registry)
			s.impersonate(tt.host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path != tt.extra:
					proxy.ServeHTTP(w, r)
				case refused.Load():
					w.WriteHeader(http.StatusForbidden)
				default:
					fmt.Fprint(w, quoted(listing))
				}
			}))
			repo := tt.host + "/" + s.repo
			r := s.multiarch("repo", "manifests", "--insecure", "--format", "{{.Digest}} {{.Tags}} {{.Created}}", repo)
			says(t, r.Stdout, untagged.Digest().String()+"  2025-01-0", l.list.Digest().String()+" 1 2025-01-0")
			saysNot(t, r.Stderr, "not visible")
			if n := strings.Count(r.Stdout, "\n"); n != 8 {
				t.Errorf("got %d manifests, want 8:\n%s", n, r.Stdout)
			}
			_, asked := s.asks("repo", "tags", "--insecure", "--orderby", "time", "-q", repo)
			if len(asked) > 0 {
				t.Errorf("got requests %q, want none for what the listing has", asked)
			}
			says(t, s.multiarch("repo", "show", "--insecure", repo+":1").Stdout, "Created:", "2025-01-02T03:04:05Z")
			if name != "azure" {
				return
			}
			refused.Store(true)
			r = s.multiarch("repo", "manifests", "--insecure", "-q", repo)
			says(t, r.Stderr, "403", "using only the list of tags", "not visible")
			saysNot(t, r.Stdout, untagged.Digest().String())
		})
	}
}
