package transport

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestParseChallenges(t *testing.T) {
	bearer := Challenge{"bearer", map[string]string{"realm": "https://a/token", "service": "s"}}
	basic := Challenge{"basic", map[string]string{"realm": "r"}}
	tests := map[string]struct {
		values []string
		want   []Challenge
	}{
		"none":                      {nil, nil},
		"one":                       {[]string{`Bearer realm="https://a/token",service="s"`}, []Challenge{bearer}},
		"several in one header":     {[]string{`Basic realm="r", Bearer realm="https://a/token", service="s"`}, []Challenge{basic, bearer}},
		"the other order":           {[]string{`Bearer realm="https://a/token", service="s", Basic realm="r"`}, []Challenge{bearer, basic}},
		"several headers":           {[]string{`Basic realm="r"`, `Bearer realm="https://a/token",service="s"`}, []Challenge{basic, bearer}},
		"blanks around =":           {[]string{"Bearer  realm = \"https://a/token\" ,\tservice\t=\ts"}, []Challenge{bearer}},
		"parameters in any order":   {[]string{`Bearer service="s",realm="https://a/token"`}, []Challenge{bearer}},
		"any case":                  {[]string{`BEARER Realm="https://a/token",SERVICE="s"`}, []Challenge{bearer}},
		"without quotes":            {[]string{`Bearer realm=https://a/token,service=s`}, []Challenge{bearer}},
		"empty elements":            {[]string{`, ,Bearer realm="https://a/token",,service="s",`}, []Challenge{bearer}},
		"given twice":               {[]string{`Basic realm="r",realm="other"`}, []Challenge{basic}},
		"comma and escapes":         {[]string{`Bearer scope="a:b:pull,push c",x="\"\\"`}, []Challenge{{"bearer", map[string]string{"scope": "a:b:pull,push c", "x": `"\`}}}},
		"scheme only":               {[]string{`Negotiate, Basic realm="r"`}, []Challenge{{"negotiate", map[string]string{}}, basic}},
		"token68":                   {[]string{`Negotiate YWJj==, Basic realm="r"`}, []Challenge{{"negotiate", map[string]string{"ywjj": "="}}, basic}},
		"quoted string without end": {[]string{`Basic realm="r", Bearer realm="https://a`}, []Challenge{basic, {"bearer", map[string]string{}}}},
		"parameter without scheme":  {[]string{`realm="x", Basic realm="r"`}, []Challenge{basic}},
		"not a challenge":           {[]string{`"Basic" realm`, "\x00"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := ParseChallenges(http.Header{"Www-Authenticate": tt.values})
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestChooseChallenge(t *testing.T) {
	for value, want := range map[string]string{
		`Basic realm="r", Bearer realm="https://a/token"`: "bearer",
		`Bearer realm="https://a/token", Basic realm="r"`: "bearer",
		`Bearer, Basic realm="r"`:                         "basic",
		`Bearer`:                                          "bearer",
		`Digest realm="r"`:                                "",
	} {
		got := ""
		if c := choose(parseChallenges(value)); c != nil {
			got = c.Scheme
		}
		if got != want {
			t.Errorf("choose(%s): got %q, want %q", value, got, want)
		}
	}
}

// Whatever a server sends, parsing ends, and what a quoted challenge states is found again.
func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/token",service="s"`, "x")
	f.Add(`Basic`, `a"b\c`)
	f.Add("Negotiate a==, ,=", ",")
	f.Fuzz(func(t *testing.T, value, realm string) {
		for _, c := range ParseChallenges(http.Header{"Www-Authenticate": {value}}) {
			if c.Scheme == "" || c.Scheme != strings.ToLower(c.Scheme) || c.Parameters == nil {
				t.Errorf("%q: got challenge %v, want a scheme in lower case and parameters", value, c)
			}
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(realm)
		got := parseChallenges(`Basic x=y,Bearer realm = "` + quoted + `"`)
		if len(got) != 2 || got[1].Scheme != "bearer" || got[1].Parameters["realm"] != realm {
			t.Errorf("realm %q: got %v", realm, got)
		}
	})
}
