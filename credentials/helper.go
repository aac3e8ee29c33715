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
	// maxAnswer bounds the output of a helper.
	maxAnswer = 1 << 20
	// maxMessage bounds the message of a helper in an error.
	maxMessage = 200
	// maxWord is the longest word of a message that cannot be a token.
	maxWord = 24
	// tokenUser is the user name that marks a secret as an identity token.
	tokenUser = "<token>"
)

var errTooLong = errors.New("answer too long")

// runHelper runs docker-credential-<name> get. The credentials are empty if the helper does not know the
// registry.
func (s *Store) runHelper(ctx context.Context, name, key, host string) (types.AuthConfig, error) {
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
		return types.AuthConfig{}, s.failed(program, host, "its output is not credentials in JSON")
	}
	return authConfig(found, key), nil
}

// authConfig returns the credentials of a helper as config.json has them.
func authConfig(found protocol.Credentials, key string) types.AuthConfig {
	if found.Username == tokenUser {
		return types.AuthConfig{IdentityToken: found.Secret, ServerAddress: key}
	}
	return types.AuthConfig{Username: found.Username, Password: found.Secret, ServerAddress: key}
}

// run returns the output of the program for key. Its stderr is that of this process, as with the docker CLI,
// since a helper may prompt there. The program is killed when ctx ends.
func run(ctx context.Context, program, key string) ([]byte, error) {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	out := &answer{refuse: kill}
	cmd := exec.CommandContext(ctx, program, protocol.ActionGet)
	cmd.Stdin = strings.NewReader(key)
	cmd.Stdout = out
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second // a process that it starts, such as an agent, may keep its stdout open
	err := cmd.Run()
	if out.tooLong {
		return nil, errTooLong
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return out.bytes, err
}

// answer keeps at most maxAnswer bytes and calls refuse if there are more.
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

// helperError returns why the program, which printed out, returned no credentials.
func (s *Store) helperError(ctx context.Context, program, host string, out []byte, err error) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return s.failed(program, host, fmt.Sprintf("no answer within %s", s.timeout))
	case ctx.Err() != nil:
		return fmt.Errorf("running credential helper %s for %s: %w", program, host, ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return s.failed(program, host, "no such program in PATH")
	case errors.Is(err, errTooLong):
		return s.failed(program, host, "its output is too long")
	case !errors.As(err, &exit):
		return s.failed(program, host, err.Error())
	case message(out) != "":
		return s.failed(program, host, fmt.Sprintf("%s: %s", exit, message(out)))
	}
	return s.failed(program, host, exit.Error())
}

// failed returns the error of a helper, with a hint.
func (s *Store) failed(program, host, why string) error {
	err := manifest.Errorf(errdefs.ErrFailedPrecondition, "credential helper %s failed for %s: %s", program, host, why)
	return manifest.WithHint(err, "repair it, or remove it from credsStore and credHelpers in %s", configName(s.config()))
}

func configName(file *configfile.ConfigFile) string {
	if file.Filename == "" {
		return "the docker config"
	}
	return file.Filename
}

// message returns the message of a failed helper for an error: one line without control characters, and
// without anything that may be a secret, such as JSON or long words.
func message(out []byte) string {
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
		if length += len(word) + 1; length > maxMessage {
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
