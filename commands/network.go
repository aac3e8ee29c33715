package commands

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/docker-multiarch/docker-multiarch/registry"
)

// network is how registries are to be reached.
type network struct {
	// insecure permits plain HTTP and certificates that cannot be verified.
	insecure     bool
	jobs         int
	retryTimeout time.Duration
}

// addTo adds the flags; insecure describes that one.
func (n *network) addTo(flags *pflag.FlagSet, insecure string) {
	n.jobs, n.retryTimeout = registry.DefaultJobs, 30*time.Second
	flags.BoolVar(&n.insecure, "insecure", false, insecure)
	addNumber(flags, &n.jobs, "jobs", "Maximum concurrent requests per registry")
	addTimeout(flags, &n.retryTimeout, "retry-timeout", "Give up on a registry after this long without an answer (0 disables retries)")
}
