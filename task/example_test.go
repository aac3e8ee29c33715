package task_test

import (
	"fmt"
	"os"

	"github.com/docker-multiarch/docker-multiarch/task"
)

func ExampleParse() {
	file, findings := task.Parse(task.Rendered{Text: `
steps:
- id: build
  build: -t registry.example.com/app:1.0 .
- id: push
  push: [registry.example.com/app:1.0]
- cmd: alpine echo done
  retries: many
`})
	for _, f := range findings {
		fmt.Println(f)
	}
	for _, s := range file.Steps {
		fmt.Println(s.ID, s.After, s.Timeout)
	}
	// Output:
	// 8:12: error: steps[2].retries: expected a whole number from 0 to 2147483647, found "many"
	// build [] 10m0s
	// push [0] 10m0s
	// acb_step_2 [1] 10m0s
}

func ExampleLints() {
	rendered := task.Rendered{Text: `
steps:
- {id: build, build: -t app:1.0-arm64 .}
- {id: push, push: [app:1.0-arm64], when: ["-"]}
`}
	file, _ := task.Parse(rendered)
	dockerfile := func(task.Step) ([]byte, error) { return nil, os.ErrNotExist }
	for _, f := range task.Lints(rendered, file, dockerfile) {
		fmt.Println(f)
	}
	// Output:
	// 4:20: lint: steps[1].push: app:1.0-arm64 is built by build, which may not be done by then: add it to when
}
