package mysqltest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Server is a listening MySQL server.
type Server struct {
	listener net.Listener
	script   Script
	done     chan struct{}
	serving  sync.WaitGroup

	mu       sync.Mutex // guards the following fields
	counters Counters
	open     map[net.Conn]struct{}
}

// Listen starts a server on address ("127.0.0.1:0", "[fd00::1]:3306"). The caller closes it.
func Listen(address string, script Script) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("mysqltest: %w", err)
	}
	s := &Server{listener: l, done: make(chan struct{}), script: script, open: map[net.Conn]struct{}{}}
	s.counters.Programs = map[string]int{}
	s.serving.Go(s.accept)
	return s, nil
}

// Address is where the server listens.
func (s *Server) Address() netip.AddrPort {
	return s.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Counters returns the counters. The outcome of open connections is not counted yet.
func (s *Server) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counters
	c.Programs = maps.Clone(c.Programs)
	return c
}

// Idle waits until no connection is open, so that Counters are complete. It returns an error after patience.
func (s *Server) Idle(patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.open)
		s.mu.Unlock()
		if n == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("mysqltest: %d connections still open after %v", n, patience)
		}
	}
}

// Cut closes the open connections, as a process that ends does. What is sent before comes from say, which may be nil.
func (s *Server) Cut(say []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_, _ = conn.Write(say)
		_ = conn.Close()
	}
}

// Close stops listening, closes open connections and waits for their goroutines.
func (s *Server) Close() {
	close(s.done)
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = struct{}{}
		s.counters.Connections++
		s.mu.Unlock()
		s.serving.Go(func() {
			defer s.forget(conn)
			s.serve(conn)
		})
	}
}

func (s *Server) forget(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

func (s *Server) count(f func(*Counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.counters)
}

// errEnd means that a fault has already ended the connection.
var errEnd = errors.New("mysqltest: the script ends here")

func (s *Server) serve(conn net.Conn) {
	script := s.script
	wire := &stream{ReadWriter: conn}
	client, err := s.login(conn, wire, script)
	if err != nil {
		s.count(func(c *Counters) { c.AbortedConnects++ })
		return
	}
	s.count(func(c *Counters) { c.Programs[client.attributes["program_name"]]++ })
	for {
		command, err := wire.read()
		switch {
		case err != nil || len(command) == 0:
			s.count(func(c *Counters) { c.AbortedClients++ })
			return
		case command[0] == comQuit:
			s.count(func(c *Counters) { c.Quits++ })
			return
		case command[0] == comPing:
			if err = s.interfere(conn, wire, script.Faults[AtPing]); err == nil {
				s.count(func(c *Counters) { c.Pings++ })
				err = wire.write(okPacket(0))
			}
		case command[0] != comQuery:
			err = wire.write(errorPacket(1047, "08S01", "Unknown command"))
		default:
			// An ERR packet ends the answer, not the connection: the client still has to send COM_QUIT.
			if err = s.interfere(conn, wire, script.Faults[AtQuery]); err == nil {
				s.count(func(c *Counters) { c.Queries++ })
				err = wire.answerOne(client.capabilities&clientDeprecateEOF != 0)
			} else if script.Faults[AtQuery].Number != 0 {
				err = nil
			}
		}
		if err != nil {
			s.count(func(c *Counters) { c.AbortedClients++ })
			return
		}
	}
}

func (s *Server) login(conn net.Conn, wire *stream, script Script) (credentials, error) {
	if err := s.interfere(conn, wire, script.Faults[AtGreeting]); err != nil {
		return credentials{}, err
	}
	challenge := make([]byte, challengeLength)
	_, _ = rand.Read(challenge)
	for i := range challenge {
		challenge[i] = challenge[i]&0x3f + 0x40 // printable, as servers send it: no zero byte
	}
	announced := script.Plugin
	switch announced {
	case "", Foreign:
		announced = Native
	case SHA2Full:
		announced = SHA2
	}
	if err := wire.write(Greeting(announced, challenge)); err != nil {
		return credentials{}, err
	}
	payload, err := wire.read()
	if err != nil {
		return credentials{}, err
	}
	client, err := parseLogin(payload)
	if err != nil {
		return credentials{}, err
	}
	if err := s.interfere(conn, wire, script.Faults[AtLogin]); err != nil {
		return credentials{}, err
	}
	proven, err := wire.proven(script, challenge, client)
	if err != nil {
		return credentials{}, err
	}
	if !proven || script.User != "" && script.User != client.user {
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		_ = wire.write(errorPacket(1045, "28000", fmt.Sprintf("Access denied for user '%s'@'%s' (using password: YES)", client.user, host)))
		return credentials{}, errEnd
	}
	return client, wire.write(okPacket(0))
}

// interfere injects a fault; after an error the regular answer of the stage must not be sent.
func (s *Server) interfere(conn net.Conn, wire *stream, f Fault) error {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.done:
			return errEnd
		}
	}
	switch {
	case f.answers():
		return nil
	case f.Number != 0:
		state := "HY000"
		if wire.sequence == 0 {
			state = "" // before the login the protocol has no state (sql/protocol_classic.cc, net_send_error_packet)
		}
		_ = wire.write(errorPacket(f.Number, state, f.Message))
	case f.Raw != nil:
		_, _ = conn.Write(f.Raw)
	case f.Silent:
		buffer := make([]byte, 512)
		for {
			if _, err := conn.Read(buffer); err != nil {
				return errEnd
			}
		}
	case f.Reset:
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	return errEnd
}
