package proxy

import (
	"net"
	"time"
)

// shaped is a listener whose connections read at most rate bytes per second.
type shaped struct {
	net.Listener
	rate int
}

func (s shaped) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &shapedConn{Conn: conn, rate: s.rate}, nil
}

// maxBurst bounds the bytes that a connection reads at once.
const maxBurst = 64 << 10

type shapedConn struct {
	net.Conn
	rate int
	free time.Time // when everything read so far has passed
}

// Read reads what the line has carried.
func (c *shapedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), maxBurst)])
	if now := time.Now(); c.free.Before(now) {
		c.free = now
	}
	c.free = c.free.Add(time.Duration(n) * time.Second / time.Duration(c.rate))
	<-time.After(time.Until(c.free))
	return n, err
}
