package publish

import "testing"

func TestParseSource(t *testing.T) {
	for _, c := range []struct {
		typed, list string
		plain       bool
	}{
		{"app:amd64", "example.com/app:1", true},
		{"app:amd64", "app:1", true},
		{"me/app:amd64", "example.com/app:1", true},
		{"me/app:amd64", "me/app:1", false},
		{"docker.io/me/app:amd64", "example.com/app:1", false},
		{"localhost/app:amd64", "example.com/app:1", false},
		{"host:5000/app", "app:1", false},
	} {
		s, err := ParseSource(c.typed, c.list)
		if err != nil || s.Plain != c.plain {
			t.Errorf("%s in %s: got plain %v (%v)", c.typed, c.list, s.Plain, err)
		}
	}
}
