package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// Fields are the fields of a descriptor in an index, and of its platform, that this program does not know: JSON objects,
// empty for none. They are written as they were read, after the others.
type Fields struct {
	Descriptor json.RawMessage `json:",omitempty"`
	Platform   json.RawMessage `json:",omitempty"`
}

// Compact returns f without white space. The error is errdefs.ErrInvalidArgument unless f has JSON objects.
func (f Fields) Compact() (out Fields, err error) {
	if out.Descriptor, err = otherFields(f.Descriptor, nil); err != nil {
		return out, err
	}
	out.Platform, err = otherFields(f.Platform, nil)
	return out, err
}

var (
	descriptorFields = []string{"mediaType", "size", "digest", "annotations", "artifactType", "platform", "urls", "data"}
	platformFields   = []string{"architecture", "os", "os.version", "os.features", "variant"}
)

// ChildFields returns the unknown fields of each child of an index, which has been parsed.
func ChildFields(raw []byte) ([]Fields, error) {
	var index struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
	}
	out := make([]Fields, len(index.Manifests))
	for i, child := range index.Manifests {
		var d struct {
			Platform json.RawMessage `json:"platform"`
		}
		if err := json.Unmarshal(child, &d); err != nil {
			return nil, Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
		}
		var err error
		if out[i].Descriptor, err = otherFields(child, descriptorFields); err != nil {
			return nil, err
		}
		if out[i].Platform, err = otherFields(d.Platform, platformFields); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// otherFields returns the fields of a JSON object that encoding/json finds no known name for, as an object; empty for none.
func otherFields(raw json.RawMessage, known []string) (json.RawMessage, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, Errorf(errdefs.ErrInvalidArgument, "%q is not a JSON object", OneLine(string(raw), maxVariants))
	}
	var out []byte
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, Errorf(errdefs.ErrInvalidArgument, "not valid JSON (%w)", err)
		}
		text := fmt.Sprint(name)
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, text) }) {
			continue
		}
		quoted, _ := json.Marshal(text)
		out = append(append(append(append(out, ','), quoted...), ':'), value...)
	}
	if out == nil {
		return nil, nil
	}
	out[0] = '{'
	var compact bytes.Buffer
	err := json.Compact(&compact, append(out, '}'))
	return compact.Bytes(), err
}

// withFields returns a struct, which has a field that is never omitted, as JSON with unknown fields at its end.
func withFields(known any, unknown json.RawMessage) (json.RawMessage, error) {
	object, err := json.Marshal(known)
	if len(unknown) == 0 || err != nil {
		return object, err
	}
	return append(append(bytes.TrimSuffix(object, []byte("}")), ','), unknown[1:]...), nil
}
