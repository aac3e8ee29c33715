package display

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/verify"
)

// Thousands of failures fill a page, which says how many more there are. JSON has them all.
func TestVerifiedFillsAPage(t *testing.T) {
	r := verify.Result{Name: "app:1", State: verify.StateInvalid}
	for i := range 3000 {
		d := digest.FromString(fmt.Sprint(i))
		m := verify.Manifest{Kind: "image", Digest: d, State: verify.StateOK}
		if i != 2500 {
			m.State = verify.StateInvalid
			r.Findings = append(r.Findings, verify.Finding{Severity: verify.SeverityError, Digest: d, Message: d.String() + " is absent"})
		}
		r.Manifests = append(r.Manifests, m)
	}
	for _, tt := range []struct {
		format string
		quiet  bool
		want   int // lines
		last   string
	}{
		{"", false, 1 + 21 + 20 + 1, "app:1: 2979 more manifests and 2979 more findings; --format json shows all\n"},
		{"", true, 20 + 1, "app:1: 2979 more findings; --format json shows all\n"},
		{"json", false, 1, "]}\n"},
	} {
		var out strings.Builder
		if err := Verified(&out, []verify.Result{r}, tt.format, tt.quiet, true); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), "\n"); got != tt.want || !strings.HasSuffix(out.String(), tt.last) {
			t.Errorf("%q, quiet %t: got %d lines, the last %q, want %d and %q", tt.format, tt.quiet, got, out.String()[max(0, out.Len()-100):], tt.want, tt.last)
		}
		if whole := r.Manifests[2500].Digest.String(); !tt.quiet && !strings.Contains(out.String(), whole) {
			t.Errorf("%q: got no %s, want the manifest that is ok", tt.format, whole)
		}
	}
}
