// Package e2e tests the built plugin as people use it: under the real docker
// command, against real registries and real daemons.
package e2e

import (
	"os"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
