package main

import (
	"fmt"
	"io"
	"net/http"
)

// logged writes "METHOD PATH?QUERY STATUS" to w for each request, in one write and before the client can see the end
// of the response body: a client with a response finds its line in the log.
func logged(next http.Handler, w io.Writer) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		line := func(status int) {
			fmt.Fprintf(w, "%s %s %d\n", r.Method, r.URL.RequestURI(), status)
		}
		recorder := &recorder{ResponseWriter: rw, line: line}
		next.ServeHTTP(recorder, r)
		if !recorder.written {
			recorder.WriteHeader(http.StatusOK)
		}
	})
}

// recorder logs the first final status, before it is sent.
type recorder struct {
	http.ResponseWriter
	line    func(status int)
	written bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.written && status >= 200 {
		r.written = true
		r.line(status)
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if !r.written {
		r.WriteHeader(http.StatusOK)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController access the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
