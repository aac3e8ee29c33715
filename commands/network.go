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
	flags.Var(&n.jobs, "jobs", "Requests to one registry that may be under way at a time")
	flags.Var(&n.retryTimeout, "retry-timeout", "Longest wait, in all, for registries that are busy or failing (0 to try once)")
}

// timeout is a duration that is not less than 0.
type timeout time.Duration

// Set takes a duration as Go writes it.
func (t *timeout) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return invalid(`expected a duration like "30s" or "2m"`)
	}
	*t = timeout(d)
	return nil
}

// String returns the duration as Set takes it.
func (t *timeout) String() string { return time.Duration(*t).String() }

// Type is what help calls it.
func (t *timeout) Type() string { return "duration" }
