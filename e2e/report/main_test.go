package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	pass := []event{{Action: "pass", Package: "a", Test: "TestA"}, {Action: "pass", Package: "a"}}
	tests := map[string]struct {
		events []event
		ci     bool
		well   bool
		says   string
	}{
		"passes":   {events: pass, well: true, says: "1 tests passed, 0 failed, 0 skipped"},
		"no tests": {events: []event{{Action: "skip", Package: "a"}}, says: "0 tests passed"},
		"fails": {
			events: append(pass, event{Action: "output", Package: "a", Test: "TestB", Output: "why\n"},
				event{Action: "fail", Package: "a", Test: "TestB"}),
			says: "why",
		},
		"cut off": {
			events: append(pass, event{Action: "output", Package: "b", Test: "TestB", Output: "panic: late\n"},
				event{Action: "fail", Package: "b"}),
			says: "panic: late",
		},
		"does not compile": {
			events: append(pass, event{Action: "build-output", ImportPath: "b", Output: "undefined: x\n"},
				event{Action: "build-fail", ImportPath: "b"}, event{Action: "fail", Package: "b"}),
			says: "undefined: x",
		},
		"skips": {
			events: append(pass, event{Action: "output", Package: "a", Test: "TestB", Output: "    b_test.go:1: no root\n"},
				event{Action: "skip", Package: "a", Test: "TestB"}),
			well: true, says: "skipped: a TestB b_test.go:1: no root",
		},
		"skips in CI": {events: append(pass, event{Action: "skip", Package: "a", Test: "TestB"}), ci: true},
		"participants": {
			events: append(pass, event{Action: "output", Package: "a", Output: "participant: daemon\n"}),
			well:   true, says: "participant: daemon",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReport(&out)
			for _, e := range test.events {
				r.add(e)
			}
			if well := r.summary(test.ci); well != test.well || !strings.Contains(out.String(), test.says) {
				t.Errorf("got success %t, want %t and %q in:\n%s", well, test.well, test.says, &out)
			}
		})
	}
}
