package transport

import (
	"net/url"
	"testing"
)

// A registry may lead to a private address only when it has one, and to a link-local one only when it is one.
func TestAddresses(t *testing.T) {
	type registryAt struct{ endpoint, address string }
	public := registryAt{"https://registry.example.com", "203.0.113.7"}
	private := registryAt{"https://registry.corp.example", "10.0.0.7"}
	literal := registryAt{"https://192.168.1.5:5000", ""}
	local := registryAt{"https://localhost:5000", "127.0.0.1"}
	linkLocal := registryAt{"https://169.254.7.7", ""}
	tests := map[string]struct {
		from []registryAt // that may lead there
	}{
		"https://auth.example.com/x":        {[]registryAt{public, private, literal, local, linkLocal}},
		"https://203.0.113.9/x":             {[]registryAt{public, private, literal, local, linkLocal}},
		"https://10.1.2.3/x":                {[]registryAt{private, literal, local, linkLocal}},
		"https://[fd00::1]/x":               {[]registryAt{private, literal, local, linkLocal}},
		"https://[::ffff:10.1.2.3]/x":       {[]registryAt{private, literal, local, linkLocal}},
		"https://100.64.1.1/x":              {[]registryAt{private, literal, local, linkLocal}},
		"https://127.0.0.1:8443/x":          {[]registryAt{private, literal, local, linkLocal}},
		"https://localhost/x":               {[]registryAt{private, literal, local, linkLocal}},
		"https://0.0.0.0/x":                 {[]registryAt{private, literal, local, linkLocal}},
		"https://169.254.169.254/x":         {[]registryAt{linkLocal}},
		"https://[fe80::1%25eth0]/x":        {[]registryAt{linkLocal}},
		"https://[fd00:ec2::254]/x":         {[]registryAt{linkLocal}},
		"https://[fd00:ec2::254%25.]/x":     {[]registryAt{linkLocal}},
		"https://[fe80::1%25.]/x":           {[]registryAt{linkLocal}},
		"https://[::1%25.]:8443/x":          {[]registryAt{private, literal, local, linkLocal}},
		"https://[::ffff:127.0.0.1%25.]/x":  {[]registryAt{private, literal, local, linkLocal}},
		"https://100.100.100.200/x":         {[]registryAt{linkLocal}},
		"https://[::ffff:169.254.169.254]/": {[]registryAt{linkLocal}},
		"https://2852039166/x":              {[]registryAt{linkLocal}}, // 169.254.169.254
		"https://127.1/x":                   {[]registryAt{linkLocal}},
		"https://0x7f000001/x":              {[]registryAt{linkLocal}},
		"https://169.254.169.254./x":        {[]registryAt{linkLocal}},
	}
	for target, tt := range tests {
		for _, from := range []registryAt{public, private, literal, local, linkLocal} {
			want := false
			for _, f := range tt.from {
				want = want || f == from
			}
			s := registry(from.endpoint)
			if from.address != "" {
				s = registry(from.endpoint, from.address)
			}
			u, err := url.Parse(target)
			if err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{
				"realm":    s.checkRealm(t.Context(), u),
				"redirect": s.CheckRedirect(t.Context(), s.URL(), u),
			} {
				if (err == nil) != want {
					t.Errorf("%s from %s to %s: got error %v, want allowed %t", what, from.endpoint, target, err, want)
				}
				if err != nil {
					wantRefused(t, err)
				}
			}
		}
	}
}

func TestRealmScheme(t *testing.T) {
	for name, tt := range map[string]struct {
		registry, realm string
		insecure, ok    bool
	}{
		"HTTPS":                              {"https://r.example.com", "https://auth.example.com/token", false, true},
		"HTTP of an HTTPS registry":          {"https://r.example.com", "http://auth.example.com/token", false, false},
		"HTTP of an HTTPS registry, itself":  {"https://r.example.com", "http://r.example.com/token", false, false},
		"HTTP with --insecure":               {"https://r.example.com", "http://auth.example.com/token", true, true},
		"HTTP on this machine":               {"https://localhost:5000", "http://localhost:5001/token", false, true},
		"HTTP of an HTTP registry":           {"http://r.example.com", "http://auth.example.com/token", false, true},
		"not a URL of a server":              {"https://r.example.com", "https:///token", false, false},
		"another scheme":                     {"https://r.example.com", "file:///etc/passwd", false, false},
		"relative":                           {"https://r.example.com", "/token", false, false},
		"nothing":                            {"https://r.example.com", "", true, false},
		"HTTP on this machine, for a public": {"https://r.example.com", "http://127.0.0.1/token", false, false},
	} {
		s := registry(tt.registry)
		s.Insecure = tt.insecure
		realm, err := url.Parse(tt.realm)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.checkRealm(t.Context(), realm); (err == nil) != tt.ok {
			t.Errorf("%s: got error %v, want allowed %t", name, err, tt.ok)
		}
	}
}
