package commands

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/spf13/cobra"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// A tag has to be typed to be removed.
func TestUntagNamesATag(t *testing.T) {
	for typed, want := range map[string]string{
		"app": "app has no tag: expected REPOSITORY:TAG", "app:1@sha256:" + strings.Repeat("0", 64): "is a manifest, not a tag", "A": "is not a reference",
	} {
		if err := runRepoUntag(t.Context(), environment{}, repoUntagOptions{}, []string{"app:1", typed}); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want an ErrInvalidArgument error with %q", typed, err, want)
		}
	}
}

// Flags are checked before any request: the environment is empty.
func TestListingFlags(t *testing.T) {
	for name, c := range map[string]struct{ repo, digest, want string }{
		"digest":     {"h.example.com/app", "sha256:12", `--digest "sha256:12" is not a digest`},
		"tag":        {"h.example.com/app:1", "", "as in h.example.com/app"},
		"repository": {"A B", "", `"A B" is not a repository`},
	} {
		opts := repoTagsOptions{digest: c.digest, listing: listing{orderBy: byName}}
		if err := runRepoTags(t.Context(), environment{}, opts, c.repo); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q in it", name, err, c.want)
		}
	}
	if err := runRepoManifests(t.Context(), environment{}, listing{}, "A B"); !errdefs.IsInvalidArgument(err) {
		t.Errorf("manifests of A B: got error %v, want an ErrInvalidArgument error", err)
	}
	if err := runRepoLs(t.Context(), environment{}, repoLsOptions{}, "app/x"); err == nil {
		t.Error("ls of app/x: got no error, want one")
	}
	if err := runRepoShow(t.Context(), environment{}, repoShowOptions{}, "A"); err == nil {
		t.Error("show of A: got no error, want one")
	}
	var o listing
	cmd := &cobra.Command{}
	o.addTo(cmd, "", "")
	if err := cmd.ParseFlags([]string{"--orderby=time", "--top=3", "--filter=1.*"}); err != nil {
		t.Fatal(err)
	}
	if q := o.query(); !q.ByTime || q.Top != 3 || !q.Filter.Match("1.2") || q.Filter.Match("2") {
		t.Errorf("got %+v, want the first 3 by time that match 1.*", q)
	}
}

// A tag that is passed twice, in any form, is used once.
func TestTagsOnce(t *testing.T) {
	list, err := manifest.ParseListName("h.example.com/app:1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseTags(list, []string{"2", "h.example.com/app:2", "3", "2"})
	if err != nil || len(got) != 2 || got[0].Tag() != "2" || got[1].Tag() != "3" {
		t.Errorf("got %v and error %v, want the tags 2 and 3", got, err)
	}
}
