package display

import (
	"fmt"
	"os"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

// ciSystem is a CI system that finds commands in the output of its jobs.
type ciSystem struct {
	group, endGroup string
	// failure returns the command that reports an error at a line of a file, which may be "".
	failure func(file string, line int, message string) string
}

// newCISystem returns the CI system that this process runs in, nil for none or another.
func newCISystem(getenv func(string) string) *ciSystem {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		return &ciSystem{"::group::", "::endgroup::", gitHubError}
	case strings.EqualFold(getenv("TF_BUILD"), "true"):
		return &ciSystem{"##[group]", "##[endgroup]", azureError}
	}
	return nil
}

// The escapes of the values of commands.
var (
	gitHubText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	azureText      = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A")
	azureProperty  = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A", ";", "%3B", "]", "%5D")
)

func gitHubError(file string, line int, message string) string {
	at := ""
	if file != "" {
		at = fmt.Sprintf(" file=%s,line=%d", gitHubProperty.Replace(file), line)
	}
	return "::error" + at + "::" + gitHubText.Replace(message)
}

func azureError(file string, line int, message string) string {
	at := ""
	if file != "" {
		at = fmt.Sprintf("sourcepath=%s;linenumber=%d;", azureProperty.Replace(file), line)
	}
	return "##vso[task.logissue type=error;" + at + "]" + azureText.Replace(message)
}

// ciCommand matches the start of a command: ## in brackets anywhere in a line, as both systems take it, and :: at the
// start of one.
var ciCommand = lazyregexp.New(`(?m)##\w*\[|^[\s\p{Z}]*::`)

// WithoutCICommands returns text in which the CI system that this process runs in finds no commands.
func WithoutCICommands(text string) string { return newCISystem(os.Getenv).defuse(text) }

// defuse returns text in which the system finds no commands.
func (c *ciSystem) defuse(text string) string {
	if c == nil {
		return text
	}
	return ciCommand().ReplaceAllStringFunc(text, func(start string) string {
		n := strings.IndexAny(start, "#:") + 1
		return start[:n] + " " + start[n:]
	})
}
