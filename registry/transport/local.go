package transport

import "net/http"

// Local is a wire to something in this process that answers requests. Its errors are final and returned as they are.
type Local struct{ Answers http.RoundTripper }

// RoundTrip sends r.
func (l *Local) RoundTrip(r Request) (*http.Response, error) {
	resp, err := l.Answers.RoundTrip(r.Request)
	if err != nil {
		return nil, &ReadError{err}
	}
	return resp, nil
}
