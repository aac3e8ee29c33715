package task

import (
	"encoding/json"
	"fmt"
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
	var parallel [][]string
	for _, n := range g {
		parallel = append(parallel, n.Parallel)
	}
	if got, want := fmt.Sprint(parallel), "[[arm64 test] [amd64] [test] [test] [amd64 push list] []]"; got != want {
		t.Errorf("got parallel steps %s, want %s", got, want)
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
