package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func TestParseLayout(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	for _, tt := range []struct{ typed, path, tag, digest string }{
		{"oci-layout://app", "app", "-", ""},
		{"oci-layout:///abs/app.tar:1.0", "/abs/app.tar", "1.0", ""},
		{"oci-layout://a b/../c:1@" + d, "a b/../c", "", d},
		{"oci-layout://app@" + d, "app", "", d},
		{"oci-layout://app@x:1", "app@x", "1", ""},
		{"oci-layout://app:1/2", "app:1/2", "-", ""},
		{`oci-layout://C:\app`, `C:\app`, "-", ""},
		{`oci-layout://C:\app:1`, `C:\app`, "1", ""},
		{"docker-archive://a.tar", "a.tar", "-", ""},
		{"docker-archive://a.tar:app:1", "a.tar", "app:1", ""},
		{"docker-archive:///t/a.tar:h.example.com:5000/team/app:1", "/t/a.tar", "h.example.com:5000/team/app:1", ""},
		{`docker-archive://C:/a.tar:app`, `C:/a.tar`, "app", ""},
		{"docker-archive://a.tar@" + d, "a.tar", "", d},
	} {
		ref, err := manifest.ParseNameOrLayout(tt.typed)
		if err != nil {
			t.Errorf("%s: %v", tt.typed, err)
			continue
		}
		tag, digest := "", ""
		if at, ok := ref.(reference.Canonical); ok {
			digest = at.Digest().String()
		} else if tagged, ok := ref.(reference.Tagged); ok {
			tag = tagged.Tag()
		}
		if got := fmt.Sprint(manifest.LayoutPath(ref), " ", tag, " ", digest); !manifest.IsLayout(ref) || got != fmt.Sprint(tt.path, " ", tt.tag, " ", tt.digest) {
			t.Errorf("%s: got %s, want %s %s %s", tt.typed, got, tt.path, tt.tag, tt.digest)
		}
		if want := strings.Replace(tt.typed, ":1@", "@", 1); manifest.Familiar(ref) != want {
			t.Errorf("%s: got %s, want it as typed", tt.typed, manifest.Familiar(ref))
		}
	}
	for _, typed := range []string{"oci-layout://", "oci-layout://:1", "docker-archive://"} {
		if ref, err := manifest.ParseNameOrLayout(typed); err == nil {
			t.Errorf("%s: got %s, want an error", typed, ref)
		}
	}
	for _, parse := range []func(string) (reference.Named, error){
		manifest.ParseName, func(s string) (reference.Named, error) { return manifest.ParseListName(s) },
	} {
		if ref, err := parse("oci-layout://app:1"); err == nil {
			t.Errorf("got %s, want an error: a layout is in no registry", ref)
		}
	}
}
