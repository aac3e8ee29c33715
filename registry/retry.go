package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/registry/transport"
)

// mountAttempts bounds the attempts of a mount, since the blob can be uploaded instead.
const mountAttempts = 5

// staleToken is the refusal of an upload, which cannot be sent again with another token as it is.
type staleToken struct{ error }

func (e *staleToken) Unwrap() error { return e.error }

// retry runs a transfer again while it is interrupted and the retry budget lasts, and once more when it returns
// something else than it should, or was refused a token that may have expired.
func (h *host) retry(ctx context.Context, transfer func() error) error {
	attempts := h.client.budget.Attempts(h.name, 0)
	second := false
	var err error
	done := attempts.Run(ctx, func() *transport.Fault {
		err = transfer()
		if err == nil || ctx.Err() != nil || exhausted(err) != nil {
			return nil
		}
		if f := interruption(err); f != nil {
			return f
		}
		_, isStale := errors.AsType[*staleToken](err)
		if second || !errdefs.IsDataLoss(err) && !isStale {
			return nil
		}
		second = true
		return &transport.Fault{AtOnce: true}
	})
	if !done {
		err = describe(ctx, err, attempts)
	}
	return err
}

// describe adds to err how much was tried, where it does not say so itself.
func describe(ctx context.Context, err error, attempts *transport.Attempts) error {
	if ctx.Err() != nil || exhausted(err) != nil {
		return err
	}
	return withTried(err, attempts.String())
}

func withTried(err error, tried string) error {
	if tried == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, tried)
}

// exhausted returns the failure of a request whose attempts are exhausted, nil when err is none.
func exhausted(err error) *transport.ExhaustedError {
	failure, _ := errors.AsType[*transport.ExhaustedError](err)
	return failure
}

// interruption returns the fault that interrupted a transfer, nil for other errors.
func interruption(err error) *transport.Fault {
	interrupted, ok := errors.AsType[*transport.InterruptedError](err)
	if !ok {
		return nil
	}
	if refused, ok := errors.AsType[*Error](interrupted.Err); ok && refused.Status != 0 {
		return &transport.Fault{
			Why: transport.StatusText(refused.Status), After: refused.after, Few: interrupted.Few,
			Limited: refused.Status == http.StatusTooManyRequests,
		}
	}
	return transport.Transient(interrupted.Err, true)
}
