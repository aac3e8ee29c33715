package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
)

// Splice returns the bytes of an index with other children: edit gets the position and the text of each and returns what
// replaces it, nil to remove it; more are added at the end. Everything else stays as it is, including the order of fields and
// white space. The error is errdefs.ErrInvalidArgument unless raw is JSON with exactly one list of manifests.
func Splice(raw []byte, edit func(n int, text []byte) []byte, more ...[]byte) ([]byte, error) {
	list, children, err := spans(raw)
	if err != nil {
		return nil, err
	}
	begin, end, separator := list.start+1, list.end-1, []byte(",")
	var texts [][]byte
	changed := len(more) > 0
	for n, c := range children {
		before := raw[c.start:c.end]
		after := edit(n, before)
		if changed = changed || !bytes.Equal(before, after); after != nil {
			texts = append(texts, after)
		}
	}
	if !changed {
		return raw, nil
	}
	if len(children) > 0 {
		separator = append(separator, raw[begin:children[0].start]...)
		begin, end = children[0].start, children[len(children)-1].end
	}
	if len(children) > 1 {
		separator = raw[children[0].end:children[1].start]
	}
	var out bytes.Buffer
	out.Write(raw[:begin])
	out.Write(bytes.Join(append(texts, more...), separator))
	out.Write(raw[end:])
	return out.Bytes(), nil
}

// span is a range of bytes.
type span struct{ start, end int64 }

// spans returns the span of the list of children in the bytes of an index, and those of the children.
func spans(raw []byte) (list span, children []span, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return list, nil, Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
	}
	lists := 0
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return list, nil, Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
		}
		if !strings.EqualFold(fmt.Sprint(name), "manifests") { // as encoding/json matches names
			continue
		}
		lists++
		list = span{d.InputOffset() - int64(len(value)), d.InputOffset()}
		elements := json.NewDecoder(bytes.NewReader(value))
		if bracket, _ := elements.Token(); bracket != json.Delim('[') {
			lists = 0
			break
		}
		for elements.More() {
			var child json.RawMessage
			if err := elements.Decode(&child); err != nil {
				return list, nil, Errorf(errdefs.ErrInvalidArgument, "index is not valid JSON (%w)", err)
			}
			end := list.start + elements.InputOffset()
			children = append(children, span{end - int64(len(child)), end})
		}
	}
	if lists != 1 {
		return list, nil, Errorf(errdefs.ErrInvalidArgument, "index has %d lists of manifests instead of one", lists)
	}
	return list, children, nil
}

// ChildText returns the text of an entry for Splice into raw: indented if raw is.
func (e Entry) ChildText(raw []byte) ([]byte, error) {
	child, err := marshalChild(e.Descriptor, e.Fields)
	list, children, noIndex := spans(raw)
	if err != nil || noIndex != nil || len(children) == 0 {
		return child, err
	}
	before := raw[list.start+1 : children[0].start]
	line := bytes.LastIndexByte(before, '\n')
	if line < 0 {
		return child, nil
	}
	prefix := string(before[line+1:])
	return json.MarshalIndent(child, prefix, prefix[:len(prefix)/2]) // the list is one level deep, its elements two
}
