package harness

import (
	"bytes"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// JQ returns what jq prints for a filter over JSON, without the last newline: strings as they are, the keys of objects sorted.
func JQ(t testing.TB, input, filter string) string {
	t.Helper()
	tools, err := servers.FindTools()
	require(t, "jq", err)
	cmd, err := tools.Debian("usr/bin/jq", "-rS", filter)
	require(t, "jq", err)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("jq '%s': %v\n%s%s", filter, err, &stderr, input)
	}
	return strings.TrimSuffix(string(out), "\n")
}
