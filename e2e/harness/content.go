package harness

import (
	"context"
	"errors"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
	"github.com/docker-multiarch/docker-multiarch/e2e/wire"
)

// Put puts m into the registry and returns the reference of the tag.
func Put(t testing.TB, r *servers.Registry, repo, tag string, m images.Manifest) string {
	t.Helper()
	check(t, r.Put(lasting(t), repo, tag, m))
	return r.Host + "/" + repo + ":" + tag
}

// Get fetches a manifest, which has to exist.
func Get(t testing.TB, r *servers.Registry, repo, tagOrDigest string) wire.Manifest {
	t.Helper()
	m, err := r.Get(lasting(t), repo, tagOrDigest)
	check(t, err)
	return m
}

// Tags maps the tags of repo to their digests.
func Tags(t testing.TB, r *servers.Registry, repo string) map[string]string {
	t.Helper()
	tags, err := r.Snapshot(lasting(t), repo)
	check(t, err)
	return tags
}

// Absent checks that the registry does not have the manifest.
func Absent(t testing.TB, r *servers.Registry, repo, tagOrDigest string) {
	t.Helper()
	if m, err := r.Get(lasting(t), repo, tagOrDigest); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("%s/%s:%s: got %s (error %v), want it absent", r.Host, repo, tagOrDigest, m.Digest, err)
	}
}

// Complete checks that everything from the tag or digest down to the last layer is in the registry with its digest
// and size.
func Complete(t testing.TB, r *servers.Registry, repo, tagOrDigest string) {
	t.Helper()
	if err := r.Check(lasting(t), repo, tagOrDigest); err != nil {
		t.Errorf("%s/%s:%s: got incomplete content: %v", r.Host, repo, tagOrDigest, err)
	}
}

// Requests returns the requests that r answers while f runs.
func Requests(t testing.TB, r *servers.Registry, f func()) []servers.Request {
	t.Helper()
	before, err := r.Requests()
	check(t, err)
	f()
	all, err := r.Requests()
	check(t, err)
	return all[len(before):]
}

// Load loads an image into the daemon under a name with a tag, and removes that name at the end of the test.
func Load(t testing.TB, d *servers.Daemon, name string, image images.Manifest) {
	t.Helper()
	check(t, d.Load(lasting(t), images.DockerArchive(map[string]images.Manifest{name: image})))
	removeAtEnd(t, d, name)
}

// LoadOCI loads an OCI image or an index unchanged into a daemon with the containerd store, with the children that
// keep selects (nil: all).
func LoadOCI(t testing.TB, d *servers.Daemon, name string, m images.Manifest, keep func(images.Manifest) bool) {
	t.Helper()
	check(t, d.Load(lasting(t), images.OCIArchive(name, m, keep)))
	removeAtEnd(t, d, name)
}

func removeAtEnd(t testing.TB, d *servers.Daemon, name string) {
	t.Cleanup(func() { _ = d.RemoveImage(context.Background(), name) })
}

// Images maps the tags in the daemon to image IDs.
func Images(t testing.TB, d *servers.Daemon) map[string]string {
	t.Helper()
	tags, err := d.Images(lasting(t))
	check(t, err)
	return tags
}

// lasting returns the test's context without its end, so that helpers work in Cleanup, too.
func lasting(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
