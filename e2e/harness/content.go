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

// Get fetches a manifest, which has to be there.
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

// Absent fails the test when the registry has the manifest.
func Absent(t testing.TB, r *servers.Registry, repo, tagOrDigest string) {
	t.Helper()
	if m, err := r.Get(lasting(t), repo, tagOrDigest); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("%s/%s:%s should not be there: %v %v", r.Host, repo, tagOrDigest, m.Digest, err)
	}
}

// Sound fails the test unless everything from the tag or digest down to the last
// layer is in the registry with its digest and size.
func Sound(t testing.TB, r *servers.Registry, repo, tagOrDigest string) {
	t.Helper()
	if err := r.Check(lasting(t), repo, tagOrDigest); err != nil {
		t.Errorf("%s/%s:%s is not sound: %v", r.Host, repo, tagOrDigest, err)
	}
}

// Requests are the requests that r answers while f runs.
func Requests(t testing.TB, r *servers.Registry, f func()) []servers.Request {
	t.Helper()
	before, err := r.Requests()
	check(t, err)
	f()
	all, err := r.Requests()
	check(t, err)
	return all[len(before):]
}

// Load gives the daemon an image under a name with a tag, and removes that name
// from it at the test's end.
func Load(t testing.TB, d *servers.Daemon, name string, image images.Manifest) {
	t.Helper()
	check(t, d.Load(lasting(t), images.DockerArchive(map[string]images.Manifest{name: image})))
	removeAtEnd(t, d, name)
}

// LoadOCI gives a daemon with the containerd store an OCI image or an index as it
// is, with the children that keep accepts (nil: all).
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

// lasting is the test's context without its end: helpers work in Cleanup too.
func lasting(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
