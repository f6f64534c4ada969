package api

import (
	"net"
	"sync"
	"sync/atomic"
)

// maxConnections limits the connections to the socket, so that a script that leaves its connections open does not use up
// the descriptors that checks and elections need.
const maxConnections = 256

// Limit returns a listener that closes connections beyond most at once.
func Limit(l net.Listener, most int) net.Listener { return &limited{Listener: l, most: int32(most)} }

// limited closes connections beyond most at once.
type limited struct {
	net.Listener
	most int32
	open atomic.Int32
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &counted{Conn: conn, left: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		_ = conn.Close()
	}
}

// counted is a connection of a limited listener.
type counted struct {
	net.Conn
	left func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.left()
	return c.Conn.Close()
}
