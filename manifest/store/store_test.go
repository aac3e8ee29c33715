package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerstore "github.com/docker/cli/cli/manifest/store"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func named(t testing.TB, s string) reference.Named {
	t.Helper()
	ref, err := manifest.ParseSourceName(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// image returns an entry for a manifest that no other ref has.
func image(t testing.TB, ref string) manifest.Entry {
	return entryOf(t, ref, manifest.MediaTypeDockerManifest)
}

func ociImage(t testing.TB, ref string) manifest.Entry {
	return entryOf(t, ref, ocispec.MediaTypeImageManifest)
}

func entryOf(t testing.TB, ref, mediaType string) manifest.Entry {
	t.Helper()
	raw := fmt.Appendf(nil, `{
   "schemaVersion": 2,
   "mediaType": %q,
   "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": %q},
   "layers": []
}`, mediaType, digest.FromString("<config & of> "+ref))
	return manifest.Entry{
		Ref: named(t, ref), Source: named(t, ref), Raw: raw,
		Descriptor: ocispec.Descriptor{
			MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw)),
			Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		},
	}
}

func pendingImage(t testing.TB, ref string) manifest.Entry {
	platform := ocispec.Platform{OS: "linux", Architecture: "arm"}
	return manifest.Entry{
		Ref: named(t, ref), Source: named(t, "local:arm"),
		Descriptor: ocispec.Descriptor{Platform: &platform},
		Pending:    &manifest.Pending{ID: digest.FromString(ref), Platform: platform, Strip: true},
	}
}

func mustPut(t testing.TB, s *Store, name string, entries ...manifest.Entry) manifest.List {
	t.Helper()
	list := manifest.List{Name: named(t, name), Entries: entries}
	if err := s.Replace(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	return list
}

func mustGet(t testing.TB, s *Store, name string) manifest.List {
	t.Helper()
	list, err := s.Get(named(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func add(entries ...manifest.Entry) func(manifest.List) (manifest.List, error) {
	return func(l manifest.List) (manifest.List, error) { return l.With(entries...), nil }
}

func wantList(t testing.TB, got, want manifest.List) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// wantError checks the kind of an error and that its message and hint contain every one of texts.
func wantError(t testing.TB, err error, is func(error) bool, texts ...string) {
	t.Helper()
	if err == nil || !is(err) {
		t.Fatalf("got error %v of another kind", err)
	}
	got := err.Error() + "\nhint: " + manifest.Hint(err)
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("got %q, want %q in it", got, text)
		}
	}
}

func anyKind(error) bool { return true }

// wantNoLeftovers checks that the root holds these folders and, maybe, the lock.
func wantNoLeftovers(t testing.TB, root string, folders ...string) {
	t.Helper()
	items, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, item := range items {
		if item.Name() != lockName {
			got = append(got, item.Name())
		}
	}
	if !slices.Equal(got, folders) {
		t.Errorf("root holds %q, want %q", got, folders)
	}
}

// memoryRoot is a folder for tests that write much, in memory where the system has that: on a disk with
// other work to do they would wait long for each sync.
func memoryRoot(t testing.TB) string {
	t.Helper()
	root, err := os.MkdirTemp("/dev/shm", "store-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	return root
}

// bothWays runs a test with the exchange of this system and with that of the others.
func bothWays(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("exchange", func(t *testing.T) { test(t, New(memoryRoot(t))) })
	t.Run("aside", func(t *testing.T) {
		s := New(memoryRoot(t))
		s.swap = moveAside
		test(t, s)
	})
}

func TestRoundTrip(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store) {
		fromIndex := ociImage(t, "example.com/app@"+digest.FromString("child").String())
		fromIndex.Source = named(t, "example.com/multi:1")
		fromIndex.Index = digest.FromString("index")
		fromIndex.LocalID = digest.FromString("image")
		fromIndex.Descriptor.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
		want := manifest.List{
			Name: named(t, "example.com/app:1"), MediaType: ocispec.MediaTypeImageIndex,
			Annotations: map[string]string{"a": "<&>\u2028"},
			Whole:       manifest.Whole{Content: manifest.NewContent(ocispec.MediaTypeImageIndex, []byte(`{"manifests": []}`)), Entries: digest.FromString("x")},
			Entries: []manifest.Entry{
				image(t, "example.com/app:zzz"), pendingImage(t, "example.com/app:mmm"), fromIndex, image(t, "app"),
				pendingImage(t, "context://arm/local:arm"), pendingImage(t, "context://x86/local:arm"),
			},
		}
		for range 2 {
			if err := s.Replace(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			got := mustGet(t, s, "example.com/app:1")
			wantList(t, got, want)
			slices.Reverse(want.Entries)
		}
		wantNoLeftovers(t, s.root, "example.com_app-1")
	})
}

func TestUpdate(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store) {
		name := named(t, "example.com/app:1")
		seen := manifest.List{}
		err := s.Update(t.Context(), name, func(l manifest.List) (manifest.List, error) {
			seen = l
			return l.With(image(t, "example.com/app:a")), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, seen, manifest.List{Name: name})
		if err := s.Update(t.Context(), name, add(image(t, "example.com/app:b"))); err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, s, "example.com/app:1"); len(got.Entries) != 2 {
			t.Errorf("got %d entries, want 2", len(got.Entries))
		}
		err = s.Update(t.Context(), name, func(l manifest.List) (manifest.List, error) { return manifest.List{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(name)
		wantError(t, err, errdefs.IsNotFound, "No such manifest: example.com/app:1")
		wantNoLeftovers(t, s.root)
	})
}

func TestUpdateReturnsErrorOfChangeAsItIs(t *testing.T) {
	s := New(t.TempDir())
	want := mustPut(t, s, "example.com/app:1", image(t, "example.com/app:a"))
	refused := errors.New("refused")
	err := s.Update(t.Context(), want.Name, func(l manifest.List) (manifest.List, error) { return manifest.List{}, refused })
	if !errors.Is(err, refused) || err.Error() != refused.Error() {
		t.Errorf("got %v, want the error of change itself", err)
	}
	wantList(t, mustGet(t, s, "example.com/app:1"), want)
}

func TestUpdateWithoutChangeWritesNothing(t *testing.T) {
	s := New(t.TempDir())
	list := mustPut(t, s, "example.com/app:1", image(t, "example.com/app:a"), pendingImage(t, "example.com/app:b"))
	before, err := os.Stat(s.path("example.com_app-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), list.Name, add()); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(s.path("example.com_app-1"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the folder was written again (%v)", err)
	}
}

func TestUpdateRefusesWhatItCouldNotRead(t *testing.T) {
	wrongDigest := image(t, "example.com/app:a")
	wrongDigest.Raw = []byte("{}")
	large := image(t, "example.com/app:large")
	large.Raw = fmt.Appendf(nil, "%q", strings.Repeat("x", maxFileSize))
	large.Descriptor.Digest = digest.FromBytes(large.Raw)
	unnormalized, err := reference.WithName("app")
	if err != nil {
		t.Fatal(err)
	}
	short := image(t, "example.com/app:a")
	short.Ref = unnormalized
	for name, entry := range map[string]manifest.Entry{"digest": wrongDigest, "size": large, "reference": short} {
		t.Run(name, func(t *testing.T) {
			s := New(t.TempDir())
			err := s.Update(t.Context(), named(t, "example.com/app:1"), add(entry))
			wantError(t, err, errdefs.IsInvalidArgument, "cannot keep", "example.com/app:1")
			wantNoLeftovers(t, s.root)
		})
	}
	many := make([]manifest.Entry, manifest.MaxEntries+1)
	err = New(t.TempDir()).Replace(t.Context(), manifest.List{Name: named(t, "example.com/app:1"), Entries: many})
	wantError(t, err, errdefs.IsInvalidArgument, "more than 4096")
}

func TestUpdateCancelled(t *testing.T) {
	s := New(t.TempDir())
	list := mustPut(t, s, "example.com/app:1", image(t, "example.com/app:a"))

	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, list.Name, func(l manifest.List) (manifest.List, error) {
		cancel()
		return l.With(image(t, "example.com/app:b")), nil
	})
	wantError(t, err, func(err error) bool { return errors.Is(err, context.Canceled) })
	wantList(t, mustGet(t, s, "example.com/app:1"), list)

	holder := s.lock()
	if ok, err := holder.TryLock(); !ok {
		t.Fatal(err)
	}
	defer holder.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = s.Update(ctx, list.Name, add(image(t, "example.com/app:b")))
	wantError(t, err, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, "locking")
	wantNoLeftovers(t, s.root, "example.com_app-1")
}

// A change that has waited for two seconds says so, once.
func TestWaitIsReported(t *testing.T) {
	s := New(t.TempDir())
	mustPut(t, s, "example.com/app:1", image(t, "example.com/app:a"))
	synctest.Test(t, func(t *testing.T) {
		began, reports := time.Now(), []time.Duration(nil)
		s.Waiting = func() { reports = append(reports, time.Since(began)) }
		mustPut(t, s, "example.com/app:2", image(t, "example.com/app:a"))
		holder := s.lock()
		if ok, err := holder.TryLock(); !ok {
			t.Fatal(err)
		}
		time.AfterFunc(10*time.Second, func() { _ = holder.Close() })
		mustPut(t, s, "example.com/app:3", image(t, "example.com/app:a"))
		if !slices.Equal(reports, []time.Duration{longWait}) {
			t.Errorf("got reports after %v, want one after %v", reports, longWait)
		}
	})
}

func TestFailedExchangeLeavesOldList(t *testing.T) {
	s := New(t.TempDir())
	want := mustPut(t, s, "example.com/app:1", image(t, "example.com/app:a"))
	broken := errors.New("no exchange")
	s.swap = func(fresh, list string) error { return broken }
	err := s.Update(t.Context(), want.Name, add(image(t, "example.com/app:b")))
	wantError(t, err, func(err error) bool { return errors.Is(err, broken) }, "writing manifest list example.com/app:1")
	wantList(t, mustGet(t, s, "example.com/app:1"), want)
	wantNoLeftovers(t, s.root, "example.com_app-1")
}

func TestMoveAsideRollsBack(t *testing.T) {
	s := New(t.TempDir())
	want := mustPut(t, s, "example.com/app:1", image(t, "example.com/app:a"))
	if err := moveAside(s.path("absent"), s.path("example.com_app-1")); err == nil {
		t.Fatal("an absent folder was moved")
	}
	wantNoLeftovers(t, s.root, "example.com_app-1")
	wantList(t, mustGet(t, s, "example.com/app:1"), want)
}

func TestRemove(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store) {
		list := mustPut(t, s, "example.com/app:1", image(t, "example.com/app:a"))
		if err := s.Remove(t.Context(), list.Name); err != nil {
			t.Fatal(err)
		}
		wantNoLeftovers(t, s.root)
		err := s.Remove(t.Context(), list.Name)
		wantError(t, err, errdefs.IsNotFound, "No such manifest: example.com/app:1")
	})
}

// docker manifest takes an empty folder for a list and refuses to create it: rm has to help.
func TestEmptyFolderIsNoListButCanBeRemoved(t *testing.T) {
	s := New(t.TempDir())
	folder := s.path("example.com_app-1")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	name := named(t, "example.com/app:1")
	_, err := s.Get(name)
	wantError(t, err, errdefs.IsNotFound)
	for _, err := range s.All() {
		t.Error("an empty folder was listed", err)
	}
	if err := s.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), name, add(image(t, "example.com/app:a"))); err != nil {
		t.Fatal(err)
	}
	wantNoLeftovers(t, s.root, "example.com_app-1")
}

func TestAbsentRootIsNotMade(t *testing.T) {
	root := filepath.Join(t.TempDir(), "manifests")
	s := New(root)
	_, err := s.Get(named(t, "a:1"))
	wantError(t, err, errdefs.IsNotFound)
	wantError(t, s.Remove(t.Context(), named(t, "a:1")), errdefs.IsNotFound)
	for _, err := range s.All() {
		t.Error("an absent root has a list", err)
	}
	if removed, err := s.Prune(t.Context(), func(Stored) bool { return true }); err != nil || len(removed) > 0 {
		t.Errorf("pruned %v, %v", removed, err)
	}
	if _, err := os.Lstat(root); !os.IsNotExist(err) {
		t.Errorf("root was made (%v)", err)
	}
}

func TestRootUnderFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := New(filepath.Join(file, "manifests"))
	_, err := s.Get(named(t, "a:1"))
	wantError(t, err, anyKind, "a:1", file)
	wantError(t, s.Update(t.Context(), named(t, "a:1"), add(image(t, "a:2"))), anyKind, file)
	wantError(t, s.Remove(t.Context(), named(t, "a:1")), anyKind, file)
	for _, err := range s.All() {
		wantError(t, err, anyKind, file)
	}
}

func TestTwoNamesOfOneFolder(t *testing.T) {
	s := New(t.TempDir())
	want := mustPut(t, s, "h.io/a_b:1", image(t, "h.io/a_b:x"))
	other := named(t, "h.io/a/b:1")
	_, err := s.Get(other)
	wantError(t, err, errdefs.IsNotFound, "h.io/a/b:1")
	err = s.Update(t.Context(), other, add(image(t, "h.io/a/b:x")))
	wantError(t, err, errdefs.IsConflict, "h.io/a_b:1", "h.io/a/b:1")
	wantError(t, s.Replace(t.Context(), manifest.List{Name: other}), errdefs.IsConflict)
	wantError(t, s.Remove(t.Context(), other), errdefs.IsConflict, "h.io/a_b:1", "h.io/a/b:1")
	wantList(t, mustGet(t, s, "h.io/a_b:1"), want)

	writeTestFile(t, s, "h.io_a_b-1", "broken", "junk")
	wantError(t, s.Remove(t.Context(), other), errdefs.IsConflict)
	if err := s.Remove(t.Context(), want.Name); err != nil {
		t.Fatal(err)
	}
}

// A folder that was renamed by hand is the list of its new name, as it is for docker manifest.
func TestRenamedFolder(t *testing.T) {
	s := New(t.TempDir())
	mustPut(t, s, "h.io/a:1", image(t, "h.io/a:x"))
	if err := os.Rename(s.path("h.io_a-1"), s.path("h.io_a-2")); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, s, "h.io/a:2"); len(got.Entries) != 1 || got.Name.String() != "h.io/a:2" {
		t.Errorf("got %+v", got)
	}
	for stored, err := range s.All() {
		if err != nil || stored.List.Name != nil || stored.Folder != "h.io_a-2" {
			t.Errorf("got %+v, %v", stored, err)
		}
	}
}

func TestTwoEntriesOfOneFile(t *testing.T) {
	s := New(t.TempDir())
	a, b := image(t, "h.io/a_b:1"), image(t, "h.io/a/b:1")
	a.Source = named(t, "h.io/source:1")
	err := s.Update(t.Context(), named(t, "h.io/app:1"), add(a, b))
	wantError(t, err, errdefs.IsConflict, "h.io/source:1", "h.io/a/b:1", "h.io/app:1")
	wantNoLeftovers(t, s.root)
}

func TestOneImageForSeveralPlatforms(t *testing.T) {
	s := New(t.TempDir())
	var entries []manifest.Entry
	for _, p := range []ocispec.Platform{
		{OS: "linux", Architecture: "arm", Variant: "v7"}, {OS: "linux", Architecture: "amd64"},
		{OS: "windows", Architecture: "amd64", OSVersion: "1"}, {OS: "windows", Architecture: "amd64", OSVersion: "2"}, {OS: "../x", Architecture: "é"},
	} {
		e := image(t, "h.io/app@"+digest.FromString("x").String())
		e.Descriptor.Platform = &p
		e.Descriptor.URLs, e.Fields = []string{"https://h.io/x"}, manifest.Fields{Descriptor: []byte(`{"b":1,"a":[null]}`), Platform: []byte(`{"features":["x"]}`)}
		entries = append(entries, e)
	}
	list := mustPut(t, s, "h.io/app:1", entries...)
	wantList(t, mustGet(t, s, "h.io/app:1"), list)
	now, err := s.read("h.io_app-1")
	if err != nil {
		t.Fatal(err)
	}
	first := fileName(entries[0].Ref.String())
	for i, want := range []string{"", "_linux_amd64", "_windows_amd64", "_windows_amd64_2", "_..-x_-"} {
		if got := now.files[i].name; got != first+want {
			t.Errorf("got file name %s, want %s%s", got, first, want)
		}
	}
	docker := dockerstore.NewStore(s.root)
	if got, err := docker.GetList(list.Name); err != nil || len(got) != len(entries) {
		t.Errorf("docker reads %d entries, error %v, want %d", len(got), err, len(entries))
	}
}

func TestOrder(t *testing.T) {
	for forgotten, want := range map[string]string{
		"": "zyxw", "z": "zyxw", "y": "zyxw", "w": "zyxw", // the gap has its position
		"yx": "zxyw", "zw": "wyxz", "zyxw": "wxyz", // by name where there are several
	} {
		s := New(t.TempDir())
		mustPut(t, s, "h.io/app:1", image(t, "h.io/app:z"), image(t, "h.io/app:y"), image(t, "h.io/app:x"), image(t, "h.io/app:w"))
		for _, tag := range forgotten {
			forgetExtra(t, s, "h.io_app-1", "h.io_app-"+string(tag))
		}
		got := ""
		for _, e := range mustGet(t, s, "h.io/app:1").Entries {
			got += e.Ref.(reference.Tagged).Tag()
		}
		if got != want {
			t.Errorf("%s forgotten: got %s, want %s", forgotten, got, want)
		}
	}
}

// forgetExtra does to an entry file what docker manifest does when it writes it.
func forgetExtra(t *testing.T, s *Store, folder, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.path(folder), name))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "Multiarch")
	if data, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, s, folder, name, string(data))
}

func TestListFactsComeFromAnyEntry(t *testing.T) {
	s := New(t.TempDir())
	list := manifest.List{
		Name: named(t, "h.io/app:1"), MediaType: ocispec.MediaTypeImageIndex, Annotations: map[string]string{"k": "v"},
		Entries: []manifest.Entry{image(t, "h.io/app:a"), image(t, "h.io/app:b")},
	}
	if err := s.Replace(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	forgetExtra(t, s, "h.io_app-1", "h.io_app-a")
	got := mustGet(t, s, "h.io/app:1")
	list.Pushed = manifest.PushedUnknown // which only the first has
	wantList(t, got, list)
}

// The digest of the last push stays when the list is changed or replaced.
func TestPushed(t *testing.T) {
	s, d := New(t.TempDir()), digest.FromString("index")
	list := manifest.List{Name: named(t, "h.io/app:1"), Entries: []manifest.Entry{image(t, "h.io/app:a"), image(t, "h.io/app:b")}}
	for _, tt := range []struct {
		name   string
		change func() error
		want   digest.Digest
	}{
		{"new", func() error { return s.Replace(t.Context(), list) }, ""},
		{"pushed", func() error {
			return s.Update(t.Context(), list.Name, func(l manifest.List) (manifest.List, error) {
				l.Pushed = d
				return l, nil
			})
		}, d},
		{"first dropped", func() error {
			return s.Update(t.Context(), list.Name, func(l manifest.List) (manifest.List, error) { return l.Without("h.io/app:a") })
		}, d},
		{"replaced", func() error { return s.Replace(t.Context(), list) }, d},
		{"new again", func() error {
			return errors.Join(s.Remove(t.Context(), list.Name), s.Replace(t.Context(), list))
		}, ""},
		{"not a digest", func() error {
			path := filepath.Join(s.path("h.io_app-1"), "h.io_app-a")
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(data, []byte(`"Pushed":"never"`), []byte(`"Pushed":"junk"`), 1), 0o600))
		}, manifest.PushedUnknown},
	} {
		if err := tt.change(); err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, s, "h.io/app:1").Pushed; got != tt.want {
			t.Errorf("%s: got %q as the digest of the last push, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAll(t *testing.T) {
	s := New(t.TempDir())
	start := time.Now().Add(-time.Minute)
	mustPut(t, s, "h.io/b:1", image(t, "h.io/b:x"))
	mustPut(t, s, "h.io/a:1", image(t, "h.io/a:x"))
	mustPut(t, s, "h.io/c:1", image(t, "h.io/c:x"))
	forgetExtra(t, s, "h.io_c-1", "h.io_c-x")
	writeTestFile(t, s, "h.io_b-2", "junk", "junk")
	if err := os.WriteFile(s.path("a-file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	for stored, err := range s.All() {
		got = append(got, fmt.Sprintf("%s %v %t", stored.Folder, stored.List.Name, err == nil))
		if err == nil && (stored.Modified.Before(start) || len(stored.List.Entries) != 1) {
			t.Errorf("got %+v", stored)
		}
		if err != nil {
			wantError(t, err, errdefs.IsDataLoss, filepath.Join("h.io_b-2", "junk"))
		}
	}
	want := []string{"h.io_a-1 h.io/a:1 true", "h.io_b-1 h.io/b:1 true", "h.io_b-2 <nil> false", "h.io_c-1 <nil> true"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, err := range s.All() {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

// docker manifest changes a file in its place, which leaves the folder's time alone.
func TestModifiedFollowsFiles(t *testing.T) {
	s := New(t.TempDir())
	mustPut(t, s, "h.io/a:1", image(t, "h.io/a:x"))
	later := time.Now().Add(time.Hour).Truncate(time.Second)
	if err := os.Chtimes(filepath.Join(s.path("h.io_a-1"), "h.io_a-x"), later, later); err != nil {
		t.Fatal(err)
	}
	for stored, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		if !stored.Modified.Equal(later) {
			t.Errorf("modified %v, want %v", stored.Modified, later)
		}
	}
}

func TestPrune(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store) {
		for _, name := range []string{"a", "b", "c"} {
			mustPut(t, s, "h.io/"+name+":1", image(t, "h.io/x:"+name))
		}
		writeTestFile(t, s, "h.io_d-1", "junk", "junk")
		removed, err := s.Prune(t.Context(), func(l Stored) bool { return l.Folder != "h.io_b-1" })
		wantError(t, err, errdefs.IsDataLoss, filepath.Join("h.io_d-1", "junk"))
		if len(removed) != 2 || removed[0].List.Name.String() != "h.io/a:1" || removed[1].Folder != "h.io_c-1" {
			t.Errorf("removed %+v", removed)
		}
		wantNoLeftovers(t, s.root, "h.io_b-1", "h.io_d-1")
		ctx, cancel := context.WithCancel(t.Context())
		_, err = s.Prune(ctx, func(Stored) bool { cancel(); return false })
		wantError(t, err, func(err error) bool { return errors.Is(err, context.Canceled) })
	})
}

// What a killed writer left is read where it is, and the next reader or writer puts it right.
func TestLeftovers(t *testing.T) {
	leave := func(t *testing.T) (*Store, manifest.List) {
		s := New(t.TempDir())
		want := mustPut(t, s, "h.io/a:1", image(t, "h.io/a:x"))
		if err := os.Rename(s.path("h.io_a-1"), s.path(asidePrefix+"h.io_a-1")); err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, s, temporaryPrefix+"1", "half", "wri")
		return s, want
	}
	t.Run("get", func(t *testing.T) {
		s, want := leave(t)
		wantList(t, mustGet(t, s, "h.io/a:1"), want)
		wantNoLeftovers(t, s.root, "h.io_a-1")
	})
	t.Run("get while locked", func(t *testing.T) {
		s, want := leave(t)
		holder := s.lock()
		if ok, err := holder.TryLock(); !ok {
			t.Fatal(err)
		}
		defer holder.Close()
		wantList(t, mustGet(t, s, "h.io/a:1"), want)
		wantNoLeftovers(t, s.root, asidePrefix+"h.io_a-1", temporaryPrefix+"1")
	})
	t.Run("all", func(t *testing.T) {
		s, want := leave(t)
		for stored, err := range s.All() {
			if err != nil || stored.Folder != "h.io_a-1" {
				t.Errorf("got %+v, %v", stored, err)
			}
			wantList(t, stored.List, want)
		}
	})
	t.Run("write", func(t *testing.T) {
		s, want := leave(t)
		mustPut(t, s, "h.io/b:1", image(t, "h.io/b:x"))
		wantNoLeftovers(t, s.root, "h.io_a-1", "h.io_b-1")
		wantList(t, mustGet(t, s, "h.io/a:1"), want)
	})
	t.Run("superseded", func(t *testing.T) {
		s, _ := leave(t)
		writeTestFile(t, s, "h.io_a-1", "h.io_a-y", "junk")
		mustPut(t, s, "h.io/b:1", image(t, "h.io/b:x"))
		wantNoLeftovers(t, s.root, "h.io_a-1", "h.io_b-1")
		_, err := s.Get(named(t, "h.io/a:1"))
		wantError(t, err, errdefs.IsDataLoss)
	})
}

func writeTestFile(t testing.TB, s *Store, folder, name, data string) {
	t.Helper()
	if err := os.MkdirAll(s.path(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.path(folder), name), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
