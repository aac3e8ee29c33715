package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

// What net/http logs about servers, as that they send more than they were asked for, does not reach standard error.
func TestNoLogLines(t *testing.T) {
	s := newScene(t, harness.V3)
	s.Set("BUILDKIT_PROGRESS", "quiet") // a line is due after two seconds
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	over := make(chan struct{}) // closed once the client has met what it did not ask for
	end := sync.OnceFunc(func() { close(over) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerTwice(conn, over, end)
		}
	}()
	out := s.multiarch("repo", "tags", "-q", listener.Addr().String()+"/app")
	if out.Stdout != "1\n2\n" || out.Stderr != "" {
		t.Errorf("got stdout %q, stderr %q, want two tags and nothing else", out.Stdout, out.Stderr)
	}
}

// answerTwice is a registry of two pages of tags over plain HTTP, which sends two answers to the request for the first,
// and answers the second when the client has closed that connection.
func answerTwice(conn net.Conn, over <-chan struct{}, end func()) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		answer := func(header, body string) {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", header, len(body), body)
		}
		const second = `{"name":"app","tags":["2"]}`
		switch last := r.URL.Query().Get("last"); {
		case !strings.HasSuffix(r.URL.Path, "/tags/list"):
			answer("", "{}")
		case last == "1":
			<-over
			answer("", second)
		case last == "2":
			answer("", `{"name":"app","tags":[]}`)
		default:
			answer("Link: </v2/app/tags/list?last=1>; rel=\"next\"\r\n", `{"name":"app","tags":["1"]}`)
			answer("", second)
			_, _ = in.Peek(1)
			end()
			return
		}
	}
}
