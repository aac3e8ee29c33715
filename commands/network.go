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
	jobs         number
	retryTimeout timeout
}

// addTo adds the flags; insecure describes that one.
func (n *network) addTo(flags *pflag.FlagSet, insecure string) {
	n.jobs, n.retryTimeout = registry.DefaultJobs, timeout(30*time.Second)
	flags.BoolVar(&n.insecure, "insecure", false, insecure)
	flags.Var(&n.jobs, "jobs", "Maximum concurrent requests per registry")
	flags.Var(&n.retryTimeout, "retry-timeout", "Give up on a registry after this long without an answer (0 disables retries)")
}

// timeout is a duration that is not negative.
type timeout time.Duration

// Set parses a duration like "30s".
func (t *timeout) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return invalid(`expected a duration like "30s" or "2m"`)
	}
	*t = timeout(d)
	return nil
}

// String returns the duration in the form that Set parses.
func (t *timeout) String() string {
	if *t == 0 {
		return "0" // which help does not show as a default
	}
	return time.Duration(*t).String()
}

// Type is the type that help shows.
func (t *timeout) Type() string { return "duration" }
