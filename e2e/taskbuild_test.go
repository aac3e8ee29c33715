package e2e

import (
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// A build for several platforms and a push result in one complete list, on both daemons.
func TestTaskBuildsPlatforms(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.write(map[string]string{
			"Dockerfile":  "FROM scratch\nARG TARGETARCH\nCOPY hello-$TARGETARCH /hello\nENTRYPOINT [\"/hello\"]\n",
			"hello-amd64": s.program("amd64"),
			"hello-arm64": s.program("arm64"),
			"acb.yaml": `
steps:
  - build: --platform linux/amd64,linux/arm64 -t {{.Run.Registry}}/` + s.repo + `:both -t {{.Run.Registry}}/` + s.repo + `:again .
  - push: ["{{.Run.Registry}}/` + s.repo + `:both", "{{.Run.Registry}}/` + s.repo + `:again"]
`})
		s.multiarch("task", "run", "--strict", "--registry", s.registry.Host)
		want := []string{"linux/amd64", "linux/arm64"}
		if s.daemon.Store == harness.Containerd { // for which buildx adds attestations
			want = append(want, "attestation", "attestation")
		}
		for _, tag := range []string{"both", "again"} {
			s.holds(tag, want...)
			s.multiarch("verify", "--deep", s.name(tag))
		}
	})
}

// The classic builder is used if the step sets DOCKER_BUILDKIT=0, or if the docker command has no buildx.
func TestTaskBuildsClassically(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.write(map[string]string{
			"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
			"acb.yaml":   "steps:\n  - build: -t " + s.plain("1") + " .\n",
			"asked.yaml": "steps:\n  - build: -t " + s.plain("2") + " .\n    env: [DOCKER_BUILDKIT=0]\n",
		})
		const classic = "Step 1/2 : FROM scratch"
		says(s.T, s.multiarch("task", "run").Stdout, classic)
		s.UseBuildx(s.T)
		says(s.T, s.multiarch("task", "run", "-f", "asked.yaml").Stdout, classic)
		saysNot(s.T, s.multiarch("task", "run").Stdout, classic)
		if tags := s.daemonTags(); len(tags) != 2 {
			s.Errorf("got images %v, want 2", tags)
		}
	})
}

// A build reads the files of a secret volume, in each of its attempts, and prints no secret.
func TestTaskBuildWithSecret(t *testing.T) {
	onEachStore(t, func(s *scene) {
		s.UseBuildx(s.T)
		s.write(map[string]string{
			"Dockerfile": "FROM IMAGE\nARG TRY\nRUN --mount=type=secret,id=token echo \"token is $(cat /run/secrets/token)\" && test \"$(cat /run/secrets/token)\" = 'very secret'\n",
			"acb.yaml": `
secrets: [{id: key, keyvault: https://example.vault.azure.net/secrets/key}]
volumes: [{name: keys, secret: {key: {{.Secrets.key | b64enc}}}}]
steps:
  - build: --network none --no-cache --progress plain --secret id=token,src=/keys/key -t ` + s.plain("secret") + ` .
    volumeMounts: [{name: keys, mountPath: /keys}]
    repeat: 1
`})
		s.image("Dockerfile")
		s.Set("KEY", "very secret")
		r := s.multiarch("task", "run", "--secret", "id=key,env=KEY")
		says(s.T, r.Stdout+r.Stderr, "token is ****", "repetition 2 of 2")
		saysNot(s.T, r.Stdout+r.Stderr, "very secret")
		s.refused([]string{"secret key", "--secret id=key,src=FILE"}, "task", "run")
		s.refused([]string{"no-such-file"}, "task", "run", "--secret", "id=key,src=no-such-file")
	})
}
