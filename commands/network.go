package commands

import (
	"strconv"

	"github.com/docker-multiarch/docker-multiarch/registry"
	"github.com/spf13/pflag"
)

// network is how registries are to be reached.
type network struct {
	// insecure permits plain HTTP and certificates that nobody vouches for.
	insecure bool
	jobs     jobs
}

// addTo adds the flags; insecure describes that one.
func (n *network) addTo(flags *pflag.FlagSet, insecure string) {
	n.jobs = registry.DefaultJobs
	flags.BoolVar(&n.insecure, "insecure", false, insecure)
	flags.Var(&n.jobs, "jobs", "Requests to one registry that may be under way at a time")
}

// jobs is the value of --jobs, a number from 1 on.
type jobs int

// Set takes a number.
func (j *jobs) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return invalid("expected a number from 1 on")
	}
	*j = jobs(n)
	return nil
}

// String returns the number.
func (j *jobs) String() string { return strconv.Itoa(int(*j)) }

// Type is what help shows.
func (j *jobs) Type() string { return "int" }
