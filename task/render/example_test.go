package render_test

import (
	"context"
	"fmt"

	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker-multiarch/docker-multiarch/task/render"
)

func Example() {
	file := []byte(`version: v1.1.0
# the image of all steps
alias: {values: {image: "{{.Run.Registry}}/app"}}
steps:
- build: -t $image:{{.Values.version}} .
- push: ["$image:{{.Values.versions}}"]
`)
	vars := render.Variables{
		Run:    map[string]string{"Registry": "registry.example.com"},
		Values: map[string]any{"version": "1.0"},
	}
	rendered, findings := render.Render(context.Background(), file, vars, nil)
	for _, f := range findings {
		fmt.Println(f)
	}
	fmt.Print(rendered.Text)
	fmt.Println(rendered.Origin(task.Position{Line: 3, Column: 1}))
	// Output:
	// 6:18: warning: {{.Values.versions}} has no value: set it with --set versions=... or --values
	// version: v1.1.0
	// steps:
	// - build: -t registry.example.com/app:1.0 .
	// - push: ["registry.example.com/app:"]
	// {5 1}
}
