package commands

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"

	"github.com/docker-multiarch/docker-multiarch/credentials"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/task"
)

// stepLogins returns a function that returns the config.json of a step's container, with the user's logins for the registries
// that the step has, and the secrets in these files.
func (d *daemons) stepLogins(ctx context.Context, steps []task.Step) (configOf func(registries []string) ([]byte, error), secrets []string, err error) {
	found := map[string]types.AuthConfig{}
	for _, step := range steps {
		for _, registry := range step.Logins {
			auth, err := d.logins.stored.Lookup(ctx, registry, "", nil)
			if err != nil {
				return nil, nil, err
			}
			if auth.Username+auth.IdentityToken+auth.RegistryToken == "" {
				err := manifest.Errorf(errdefs.ErrNotFound, "step %s needs your login of %s, and there is none", step.ID, registry)
				return nil, nil, manifest.WithHint(err, "log in: docker login %s", registry)
			}
			found[credentials.ConfigKey(registry)] = auth
		}
	}
	configOf = func(registries []string) ([]byte, error) {
		file := configfile.New("")
		for _, registry := range registries {
			key := credentials.ConfigKey(registry)
			file.AuthConfigs[key] = found[key]
		}
		var content bytes.Buffer
		err := file.SaveToWriter(&content)
		return content.Bytes(), err
	}
	for _, auth := range found {
		encoded := base64.StdEncoding.EncodeToString([]byte(auth.Username + ":" + auth.Password)) // as config.json has it
		secrets = append(secrets, auth.Password, auth.IdentityToken, auth.RegistryToken, encoded)
	}
	return configOf, secrets, nil
}

// withLogins returns steps whose containers have these logins, too.
func withLogins(steps []task.Step, registries []string) []task.Step {
	steps = slices.Clone(steps)
	for i, step := range steps {
		if task.StartsContainer(step.Action) {
			steps[i].Logins = slices.Concat(step.Logins, registries)
		}
	}
	return steps
}
