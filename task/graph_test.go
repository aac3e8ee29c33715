package task

import (
	"encoding/json"
	"testing"
)

func TestGraph(t *testing.T) {
	g := NewGraph(parsed(t, `
steps:
- {id: amd64, build: "-t r.io/app:1-amd64 .", when: ["-"]}
- {id: arm64, build: "-t r.io/app:1-arm64 .", when: ["-"], context: arm}
- {id: push, push: ["r.io/app:1-amd64", "r.io/app:1-arm64"], when: [amd64, arm64]}
- {id: list, cmd: docker manifest create r.io/app:1 r.io/app:1-amd64}
- {id: test, cmd: "alpine sh -c 'echo \"hi\"'", when: [arm64]}
- {id: images, cmd: docker images, when: [list, test]}
`))
	const text = `STEP     AFTER          PARALLEL            ACTION
amd64    -              arm64, test         docker build --tag=r.io/app:1-amd64 .
arm64    -              amd64               [arm] docker build --tag=r.io/app:1-arm64 .
push     amd64, arm64   test                docker push r.io/app:1-amd64; docker push r.io/app:1-arm64
list     push           test                docker multiarch create r.io/app:1 r.io/app:1-amd64
test     arm64          amd64, push, list   alpine sh -c 'echo "hi"'
images   list, test     -                   docker images
`
	const dot = `digraph task {
	rankdir=LR;
	node [shape=box];
	"amd64" [label="amd64\ndocker build --tag=r.io/app:1-amd64 ."];
	"arm64" [label="arm64\ndocker build --tag=r.io/app:1-arm64 .\non arm"];
	"push" [label="push\ndocker push r.io/app:1-amd64; docker push r.io/app:1-arm64"];
	"list" [label="list\ndocker multiarch create r.io/app:1 r.io/app:1-amd64"];
	"test" [label="test\nalpine sh -c 'echo \"hi\"'"];
	"images" [label="images\ndocker images"];
	"amd64" -> "push";
	"arm64" -> "push";
	"push" -> "list";
	"arm64" -> "test";
	"list" -> "images";
	"test" -> "images";
}
`
	const array = `[
 {"id":"amd64","kind":"build","action":"docker build --tag=r.io/app:1-amd64 .","after":[],"context":""},
 {"id":"arm64","kind":"build","action":"docker build --tag=r.io/app:1-arm64 .","after":[],"context":"arm"},
 {"id":"push","kind":"push","action":"docker push r.io/app:1-amd64; docker push r.io/app:1-arm64","after":["amd64","arm64"],"context":""},
 {"id":"list","kind":"plugin","action":"docker multiarch create r.io/app:1 r.io/app:1-amd64","after":["push"],"context":""},
 {"id":"test","kind":"container","action":"alpine sh -c 'echo \"hi\"'","after":["arm64"],"context":""},
 {"id":"images","kind":"docker","action":"docker images","after":["list","test"],"context":""}
]`
	if got := g.Text(); got != text {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
	if got := g.Dot(); got != dot {
		t.Errorf("got\n%s\nwant\n%s", got, dot)
	}
	raw, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(array), &want); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(got)
	if b, _ := json.Marshal(want); string(a) != string(b) {
		t.Errorf("got\n%s, want\n%s", a, b)
	}
}
