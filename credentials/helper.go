package credentials

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	protocol "github.com/docker/docker-credential-helpers/credentials"
)

const (
	// maxAnswer bounds the output of a helper.
	maxAnswer = 1 << 20
	// maxReport bounds what a helper reports on stderr.
	maxReport = 64 << 10
	// maxName bounds the name of a helper in an error.
	maxName = 200
	// tokenUser is the user name that marks a secret as an identity token.
	tokenUser = "<token>"
)

var errTooLong = errors.New("answer too long")

// runHelper runs docker-credential-<name> get. The credentials are empty if the helper does not know the
// registry.
func (s *Store) runHelper(ctx context.Context, file *configfile.ConfigFile, name, key, host string) (types.AuthConfig, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimeout)
	defer cancel()
	program := "docker-credential-" + name
	if strings.ContainsAny(name, `/\`) {
		return types.AuthConfig{}, failed(file, manifest.OneLine(program, maxName), host, "its name contains a path separator")
	}
	out, err := run(ctx, program, key)
	if err != nil && protocol.IsErrCredentialsNotFoundMessage(string(out)) {
		return types.AuthConfig{}, nil
	}
	if err != nil {
		return types.AuthConfig{}, s.helperError(ctx, file, program, key, host, out, err)
	}
	var found protocol.Credentials
	if json.Unmarshal(out, &found) != nil {
		return types.AuthConfig{}, failed(file, program, host, "its output is not credentials in JSON")
	}
	if found.Username == tokenUser {
		return types.AuthConfig{IdentityToken: found.Secret, ServerAddress: key}, nil
	}
	return types.AuthConfig{Username: found.Username, Password: found.Secret, ServerAddress: key}, nil
}

// run returns the output of the program for key. On a terminal its stderr is that of this process, as with the docker CLI,
// since a helper may prompt there; otherwise it is shown only if the program does not fail. The program is killed when ctx
// ends.
func run(ctx context.Context, program, key string) ([]byte, error) {
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	out := &bounded{limit: maxAnswer, exceeded: func() { kill(errTooLong) }}
	cmd := exec.CommandContext(ctx, program, protocol.ActionGet)
	cmd.Stdin = strings.NewReader(key)
	cmd.Stdout = out
	reported := &bounded{limit: maxReport, exceeded: func() {}}
	if cmd.Stderr = os.Stderr; !isTerminal(os.Stderr) {
		cmd.Stderr = reported
	}
	cmd.WaitDelay = time.Second // a process that it starts, such as an agent, may keep its stdout open
	err := cmd.Run()
	if errors.Is(context.Cause(ctx), errTooLong) {
		return nil, errTooLong
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if err == nil {
		_, _ = os.Stderr.Write(reported.bytes)
	}
	return out.bytes, err
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// bounded keeps the first bytes that are written to it, and calls exceeded if there are more.
type bounded struct {
	bytes    []byte
	limit    int
	exceeded func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.bytes)+len(p) > b.limit {
		b.exceeded()
	}
	b.bytes = append(b.bytes, p[:min(len(p), b.limit-len(b.bytes))]...)
	return len(p), nil
}

var errTimeout = errors.New("helper timed out")

// helperError returns why the program, which printed out, returned no credentials.
func (s *Store) helperError(ctx context.Context, file *configfile.ConfigFile, program, key, host string, out []byte, err error) error {
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return failed(file, program, host, fmt.Sprintf("no answer within %s", s.timeout))
	case ctx.Err() != nil:
		return fmt.Errorf("running credential helper %s for %s: %w", program, host, ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return failed(file, program, host, "no such program in PATH")
	case errors.Is(err, errTooLong):
		return failed(file, program, host, "its output is too long")
	case exit == nil:
		return failed(file, program, host, err.Error())
	case knownMessage(out) != "":
		return failed(file, program, host, fmt.Sprintf("%s: %s", exit, knownMessage(out)))
	}
	err = manifest.Errorf(errdefs.ErrFailedPrecondition, "credential helper %s failed for %s: %s", program, host, exit)
	return manifest.WithHint(err, "its output may contain a secret and is not shown; to see it: echo %s | %s get", key, program)
}

// failed returns the error of a helper, with a hint.
func failed(file *configfile.ConfigFile, program, host, why string) error {
	err := manifest.Errorf(errdefs.ErrFailedPrecondition, "credential helper %s failed for %s: %s", program, host, why)
	return manifest.WithHint(err, "repair it, or remove it from credsStore and credHelpers in %s", cmp.Or(file.Filename, "the docker config"))
}

// knownMessages are what credential helpers print when they fail, less the parts that vary. Any other text may contain
// the secret.
var knownMessages = []string{
	"A specified logon session does not exist. It may already have been terminated.",
	"Cannot autolaunch D-Bus without X11 $DISPLAY",
	"Cannot create an item in a locked collection",
	"The name org.freedesktop.secrets was not provided by any .service files",
	"The specified item could not be found in the keychain.",
	"The user name or passphrase you entered is not correct.",
	"User interaction is not allowed.",
	"decryption failed: No secret key",
	"decryption failed: Bad passphrase",
	"keychain cannot be accessed because the current session does not allow user interaction",
	"missing server url",
	"no credentials server URL",
	"no credentials username",
	"no hostname in URL",
	"not implemented",
	"pass not initialized",
	"password store is empty",
	"pinentry: No such file or directory",
	"unknown action: get",
}

// knownMessage returns the known messages in the output of a helper, "" for none.
func knownMessage(out []byte) string {
	var found []string
	for _, m := range knownMessages {
		if bytes.Contains(out, []byte(m)) {
			found = append(found, m)
		}
	}
	return strings.Join(found, "; ")
}
