package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-multiarch/docker-multiarch/internal/pause"
)

// slowBody returns a byte after each wait.
type slowBody struct {
	ctx   context.Context
	waits []time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	if len(b.waits) == 0 {
		return 0, io.EOF
	}
	err := pause.For(b.ctx, b.waits[0])
	b.waits = b.waits[1:]
	if err != nil {
		return 0, err
	}
	p[0] = 'x'
	return 1, nil
}

func (b *slowBody) Close() error { return nil }

func TestIdleTimeout(t *testing.T) {
	seconds := func(n ...int) (out []time.Duration) {
		for _, s := range n {
			out = append(out, time.Duration(s)*time.Second)
		}
		return out
	}
	for name, tt := range map[string]struct {
		dial, source, network, commit, body []time.Duration
		rate                                int64
		fails                               bool
	}{
		"fast":                       {},
		"slow to connect":            {dial: seconds(9)},
		"no connection":              {dial: seconds(11), fails: true},
		"slow answer, with progress": {body: seconds(9, 9, 9, 9)},
		"answer that stops":          {body: seconds(9, 11), fails: true},
		"answer in time":             {rate: 1, body: seconds(1, 1, 1, 1, 1, 1, 1, 1, 1)},
		"answer at the least rate":   {rate: 1, body: slices.Repeat([]time.Duration{900 * time.Millisecond}, 100)},
		"answer below that":          {rate: 2, body: slices.Repeat(seconds(1), 20), fails: true},
		"answer that is too late":    {rate: 2, body: seconds(5, 4, 3), fails: true},
		"slow source of an upload":   {source: seconds(100, 100)},
		"upload that stops":          {source: seconds(0, 0), network: seconds(1, 11), fails: true},
		"slow commit":                {source: seconds(1), commit: seconds(50)},
		"commit that does not end":   {source: seconds(1), commit: seconds(70), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var body io.Reader
				if tt.source != nil {
					body = &slowBody{t.Context(), tt.source}
				}
				idle := &IdleTimeout{Connect: 10 * time.Second, Idle: 10 * time.Second, Commit: time.Minute, Rate: tt.rate, Next: roundTripperOf(func(r Request) (*http.Response, error) {
					wait := func(waits []time.Duration) error {
						for _, d := range waits {
							if err := pause.For(r.Context(), d); err != nil {
								return err
							}
						}
						return nil
					}
					if err := wait(tt.dial); err != nil {
						return nil, err
					}
					r.gotConn(&net.TCPConn{})
					for i := 0; r.Body != nil; i++ {
						_, err := r.Body.Read(make([]byte, 1))
						if errors.Is(err, io.EOF) {
							break
						}
						if i < len(tt.network) {
							if err := wait(tt.network[i : i+1]); err != nil {
								return nil, err
							}
						}
					}
					if err := wait(tt.commit); err != nil {
						return nil, err
					}
					return &http.Response{StatusCode: http.StatusOK, Body: &slowBody{r.Context(), tt.body}, Request: r.Request}, nil
				})}
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://r.example.com/", body)
				resp, err := idle.RoundTrip(Request{Request: req})
				if err == nil {
					if resp.Request != req {
						t.Error("got another request in the answer than the one sent")
					}
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				var timeout net.Error
				if got := errors.As(err, &timeout) && timeout.Timeout(); got != tt.fails || (err != nil) != tt.fails {
					t.Errorf("got error %v, want a timeout %t", err, tt.fails)
				}
			})
		})
	}
}
