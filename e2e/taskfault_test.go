package e2e

import (
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// A secret stays hidden where a file is refused for it, and in the error of the run.
func TestTaskErrorsHideSecrets(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.V3)
	for name, step := range map[string]string{
		"number":    "{cmd: a, timeout: {{.Secrets.key}}}",
		"id":        `{cmd: a, id: "{{.Secrets.key}} b"}`,
		"reference": `{push: "{{.Secrets.key}} b"}`,
		"quoted":    `{cmd: a, id: '{{.Secrets.quotes}}'}`,
		"run":       "{push: h.example/{{.Secrets.key}}}",
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{T: t, Env: s.Env}
			s.Set("KEY", "veryhidden")
			s.Set("QUOTES", `veryhidden"\`)
			s.write(map[string]string{name + ".yaml": `
secrets: [{id: key, keyvault: https://v.example/k}, {id: quotes, keyvault: https://v.example/q}]
steps: [` + step + "]\n"})
			r := s.ends(1, []string{"****"}, "task", "run", "-f", name+".yaml", "--secret", "id=key,env=KEY", "--secret", "id=quotes,env=QUOTES")
			saysNot(t, r.Stdout+r.Stderr, "veryhidden", "panic")
		})
	}
}
