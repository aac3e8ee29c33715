package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	protocol "github.com/docker/docker-credential-helpers/credentials"
)

const (
	// maxAnswer bounds what is read of a helper's answer.
	maxAnswer = 1 << 20
	// maxSaid bounds what an error repeats of a helper's words.
	maxSaid = 200
	// maxWord is the longest word of them that cannot be a token.
	maxWord = 24
	// tokenUser is the user name that marks a secret as an identity token.
	tokenUser = "<token>"
)

var errTooLong = errors.New("answer too long")

// askHelper runs docker-credential-<name> get. A helper that does not know the registry gives empty
// credentials.
func (s *Store) askHelper(ctx context.Context, name, key, host string) (types.AuthConfig, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimeout)
	defer cancel()
	program := "docker-credential-" + name
	out, err := run(ctx, program, key)
	if err != nil && protocol.IsErrCredentialsNotFoundMessage(string(out)) {
		return types.AuthConfig{}, nil
	}
	if err != nil {
		return types.AuthConfig{}, s.helperError(ctx, program, host, out, err)
	}
	var found protocol.Credentials
	if json.Unmarshal(out, &found) != nil {
		return types.AuthConfig{}, s.failed(program, host, "what it printed are no credentials in JSON")
	}
	return authConfig(found, key), nil
}

// authConfig returns what a helper found as config.json would hold it.
func authConfig(found protocol.Credentials, key string) types.AuthConfig {
	if found.Username == tokenUser {
		return types.AuthConfig{IdentityToken: found.Secret, ServerAddress: key}
	}
	return types.AuthConfig{Username: found.Username, Password: found.Secret, ServerAddress: key}
}

// run returns what the program prints on stdout for key. Its stderr is the person's, as it is with the
// docker CLI: a helper may ask for something there. When ctx ends it is killed.
func run(ctx context.Context, program, key string) ([]byte, error) {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	out := &answer{refuse: kill}
	cmd := exec.CommandContext(ctx, program, protocol.ActionGet)
	cmd.Stdin = strings.NewReader(key)
	cmd.Stdout = out
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second // a process that it leaves behind, as an agent, may hold its stdout open
	err := cmd.Run()
	if out.tooLong {
		return nil, errTooLong
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return out.bytes, err
}

// answer takes no more than maxAnswer bytes and calls refuse when there are more.
type answer struct {
	bytes   []byte
	refuse  func()
	tooLong bool
}

func (a *answer) Write(p []byte) (int, error) {
	if len(a.bytes)+len(p) > maxAnswer {
		a.tooLong = true
		a.refuse()
		return 0, errTooLong
	}
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}

var errTimeout = errors.New("helper timed out")

// helperError says why the program, which printed out, gave no credentials.
func (s *Store) helperError(ctx context.Context, program, host string, out []byte, err error) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return s.failed(program, host, fmt.Sprintf("it gave no answer within %s", s.timeout))
	case ctx.Err() != nil:
		return fmt.Errorf("asking credential helper %s for %s: %w", program, host, ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return s.failed(program, host, "there is no such program in PATH")
	case errors.Is(err, errTooLong):
		return s.failed(program, host, "its answer is too long")
	case !errors.As(err, &exit):
		return s.failed(program, host, err.Error())
	case said(out) != "":
		return s.failed(program, host, fmt.Sprintf("%s, saying: %s", exit, said(out)))
	}
	return s.failed(program, host, exit.Error())
}

// failed returns the error of a helper, with what a person can do about it.
func (s *Store) failed(program, host, why string) error {
	return manifest.Errorf(errdefs.ErrFailedPrecondition,
		"credential helper %s failed for %s: %s; repair it, or take it out of credsStore and credHelpers in %s",
		program, host, why, configName(s.config()))
}

func configName(file *configfile.ConfigFile) string {
	if file.Filename == "" {
		return "the docker config"
	}
	return file.Filename
}

// said returns the message of a helper that failed, fit for an error: one line without control
// characters, and nothing that may be a secret, neither JSON nor long words.
func said(out []byte) string {
	text := strings.ToValidUTF8(string(out), "?")
	if strings.ContainsAny(text, "{}") {
		return ""
	}
	var words []string
	length := 0
	for _, word := range strings.Fields(text) {
		if len(word) > maxWord {
			word = "[...]"
		}
		if length += len(word) + 1; length > maxSaid {
			break
		}
		words = append(words, strings.Map(printable, word))
	}
	return strings.Join(words, " ")
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '?'
}
