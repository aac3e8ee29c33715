package daemon

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/docker/client"
)

// headersEnv holds HTTP headers for the daemon, KEY=VALUE in CSV; they replace those of config.json.
const headersEnv = "DOCKER_CUSTOM_HEADERS"

// FromCLI returns a function for New that connects to the daemon the docker CLI is set up for: by --host
// or --context, DOCKER_HOST or DOCKER_CONTEXT, or config.json. The CLI's own Client method does not
// fit: it exits the process when the endpoint is wrong, and waits for the daemon without a limit of ours.
func FromCLI(cli command.Cli) func() (client.APIClient, error) {
	return func() (client.APIClient, error) {
		endpoint, err := endpoint(cli)
		if err != nil {
			return nil, err
		}
		opts, err := endpoint.ClientOpts()
		if err != nil {
			return nil, err
		}
		headers, err := headers(cli)
		if err != nil {
			return nil, err
		}
		if len(headers) > 0 {
			opts = append(opts, client.WithHTTPHeaders(headers))
		}
		api, err := client.NewClientWithOpts(append(opts, client.WithUserAgent(command.UserAgent()))...)
		if err != nil {
			return nil, err
		}
		return called{api, endpoint.Host}, nil
	}
}

// endpoint returns where the daemon is, with the TLS settings for it.
func endpoint(cli command.Cli) (docker.Endpoint, error) {
	name, contexts := cli.CurrentContext(), cli.ContextStore()
	if contexts == nil {
		return docker.Endpoint{}, errors.New("the docker CLI is not initialized")
	}
	metadata, err := contexts.GetMetadata(name)
	if err != nil {
		return docker.Endpoint{}, err
	}
	meta, err := docker.EndpointFromContext(metadata)
	if err != nil {
		return docker.Endpoint{}, fmt.Errorf("docker context %s: %w", name, err)
	}
	return docker.WithTLSData(contexts, name, meta)
}

// headers returns what to send with every request. Errors never contain values, which may be secret.
func headers(cli command.Cli) (map[string]string, error) {
	value := os.Getenv(headersEnv)
	if value == "" {
		return cli.ConfigFile().HTTPHeaders, nil
	}
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return nil, fmt.Errorf("%s is not a comma-separated list of KEY=VALUE", headersEnv)
	}
	headers := map[string]string{}
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			return nil, fmt.Errorf("%s has an entry that is not KEY=VALUE", headersEnv)
		}
		headers[http.CanonicalHeaderKey(key)] = value
	}
	return headers, nil
}

// called is a client that reports the address the user gave: behind a connection helper (ssh) a client has a placeholder.
type called struct {
	client.APIClient
	host string
}

// DaemonHost returns the daemon's address.
func (c called) DaemonHost() string {
	if c.host == "" {
		return c.APIClient.DaemonHost()
	}
	return c.host
}

// Socket returns the path of the daemon's socket on its host. If the daemon is on another machine, as that of Docker
// Desktop is, the path is unknown, and Socket returns the default.
func (d *Daemon) Socket(ctx context.Context) (string, error) {
	api, err := d.client(ctx)
	if err != nil {
		return "", err
	}
	path, local := strings.CutPrefix(api.DaemonHost(), "unix://")
	if !local || runtime.GOOS != "linux" || strings.Contains(path, "/.docker/desktop/") {
		return task.DockerSocket, nil
	}
	return path, nil
}

// Host returns the address of the daemon that the docker CLI is set up for, "" for the default one.
func Host(cli command.Cli) (string, error) {
	endpoint, err := endpoint(cli)
	return endpoint.Host, err
}
