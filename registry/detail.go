package registry

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

const (
	// maxDetails bounds the errors of a registry that are shown, the others their parts in bytes.
	maxDetails = 3
	maxMessage = 400
	maxCode    = 60
	maxCause   = 600
	maxHost    = 255
)

// parseDetails returns the errors in the body of a refusal, in the form of the distribution spec or in others that
// registries and token services use.
func parseDetails(body []byte, secrets []string) []Detail {
	var out []Detail
	for _, d := range readDetails(body) {
		d.Code = manifest.OneLine(redact(d.Code, secrets), maxCode)
		d.Message = manifest.OneLine(redact(d.Message, secrets), maxMessage)
		if d.Code+d.Message != "" && len(out) < maxDetails {
			out = append(out, d)
		}
	}
	return out
}

func readDetails(body []byte) []Detail {
	var spec struct {
		Errors []struct{ Code, Message text }
	}
	if err := json.Unmarshal(body, &spec); err == nil && len(spec.Errors) > 0 {
		var out []Detail
		for _, e := range spec.Errors {
			out = append(out, Detail{string(e.Code), string(e.Message)})
		}
		return out
	}
	var other struct {
		Error       text `json:"error"`
		Description text `json:"error_description"`
		Message     text `json:"message"`
		Details     text `json:"details"`
	}
	if err := json.Unmarshal(body, &other); err == nil {
		return []Detail{{string(other.Error), string(other.Description + other.Message + other.Details)}}
	}
	line := strings.TrimSpace(string(body))
	if json.Valid(body) || strings.HasPrefix(line, "<") || !utf8.ValidString(line) {
		return nil
	}
	return []Detail{{Message: line}}
}

// text is a JSON string; any other value is an empty one.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = text(s)
	}
	return nil
}

var (
	urlQuery = lazyregexp.New(`(://[^\s"'<>?]*)\?[^\s"'<>]*`)
	userInfo = lazyregexp.New(`://[^\s"'<>/@]+@`)
)

// redact removes secrets, and the parts of URLs that may hold some, from the text of a registry.
func redact(s string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) > 3 {
			s = strings.ReplaceAll(s, secret, "***")
			s = strings.ReplaceAll(s, url.QueryEscape(secret), "***")
		}
	}
	return userInfo().ReplaceAllString(urlQuery().ReplaceAllString(s, "$1"), "://")
}
