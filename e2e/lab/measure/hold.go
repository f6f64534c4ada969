package measure

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// Connections is a set of open connections to servers of package standin.
type Connections struct {
	h           *lab.Host
	connections []*heldConnection
}

type heldConnection struct {
	conn   net.Conn
	in     *bufio.Reader
	server string
	err    error
}

const holdDeadline = 5 * time.Second

// OpenConnections opens count connections from the host, one after the other, and keeps them open, without keepalives. Each must be
// answered within 5 s.
func OpenConnections(h *lab.Host, address string, count int) *Connections {
	h.T().Helper()
	held := &Connections{h: h}
	h.T().Cleanup(held.Close)
	for i := range count {
		c, err := holdOne(h, address)
		if err != nil {
			h.T().Fatalf("hold connection %d of %d to %s: %v", i+1, count, address, err)
		}
		held.connections = append(held.connections, c)
	}
	return held
}

// OpenOne is like OpenConnections for one connection, and returns why it was not answered.
func OpenOne(h *lab.Host, address string) (*Connections, error) {
	c, err := holdOne(h, address)
	if err != nil {
		return nil, err
	}
	held := &Connections{h: h, connections: []*heldConnection{c}}
	h.T().Cleanup(held.Close)
	return held, nil
}

func holdOne(h *lab.Host, address string) (*heldConnection, error) {
	ctx, cancel := context.WithTimeout(context.Background(), holdDeadline)
	defer cancel()
	conn, err := h.Dial(ctx, "tcp4", address)
	if err != nil {
		return nil, err
	}
	if tcp, is := conn.(*net.TCPConn); is { // a connection that nobody uses sends nothing
		if err := tcp.SetKeepAlive(false); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	c := &heldConnection{conn: conn, in: bufio.NewReader(conn)}
	if c.server, err = c.line(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *heldConnection) line() (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(holdDeadline)); err != nil {
		return "", err
	}
	text, err := c.in.ReadString('\n')
	return strings.TrimSpace(text), err
}

// Servers counts the held connections by server, including dead ones.
func (h *Connections) Servers() map[string]int {
	servers := map[string]int{}
	for _, c := range h.connections {
		servers[c.server]++
	}
	return servers
}

// Clients returns the client's address and port of each held connection: "10.77.0.50:43056".
func (h *Connections) Clients() []string {
	all := make([]string, len(h.connections))
	for n, c := range h.connections {
		all[n] = c.conn.LocalAddr().String()
	}
	return all
}

// ClientsOf is like Clients for the connections to one server, including dead ones.
func (h *Connections) ClientsOf(server string) []string {
	var its []string
	for _, c := range h.connections {
		if c.server == server {
			its = append(its, c.conn.LocalAddr().String())
		}
	}
	return its
}

// Alive sends a line on every connection and counts, by server, those that answer within 5 s. A connection that failed
// once stays dead.
func (h *Connections) Alive() map[string]int {
	for _, c := range h.connections {
		if c.err == nil {
			_, c.err = c.conn.Write([]byte("ping\n"))
		}
	}
	alive := map[string]int{}
	for _, c := range h.connections {
		if c.err != nil {
			continue
		}
		var answer string
		answer, c.err = c.line()
		if c.err == nil && answer != c.server {
			c.err = fmt.Errorf("%s answers on the connection to %s", answer, c.server)
		}
		if c.err == nil {
			alive[c.server]++
		}
	}
	return alive
}

// Errors returns why connections are dead, by server.
func (h *Connections) Errors() map[string][]error {
	causes := map[string][]error{}
	for _, c := range h.connections {
		if c.err != nil {
			causes[c.server] = append(causes[c.server], c.err)
		}
	}
	return causes
}

// CloseOf closes the connections to one server with FIN and removes them.
func (h *Connections) CloseOf(server string) {
	kept := h.connections[:0]
	for _, c := range h.connections {
		if c.server == server {
			_ = c.conn.Close()
			continue
		}
		kept = append(kept, c)
	}
	h.connections = kept
}

// Close closes all connections with FIN.
func (h *Connections) Close() {
	for _, c := range h.connections {
		_ = c.conn.Close()
	}
	h.connections = nil
}
