package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"database/sql/driver"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// errNotMySQL: the server sent bytes that no MySQL server sends.
var errNotMySQL = errors.New("not the MySQL protocol")

// stage is the stage of a connection to a MySQL server.
type stage string

const (
	greeting stage = "greeting from"
	login    stage = "login to"
	query    stage = "query"
)

// limits are those of what a server may send, in bytes; the driver would take 16 MiB a packet, and a probe runs beside an
// election.
type limits struct{ packet, total int }

// smallAnswer is for a check: a greeting is about 100 bytes, a public key 500, the answer to SELECT 1 60.
var smallAnswer = limits{packet: 16 << 10, total: 64 << 10}

// wire is the connection under the MySQL driver. It passes on complete packets only, after validating the parts that
// the driver reads unchecked: go-sql-driver 1.10.1 indexes into greetings, ERR, OK, EOF and AuthSwitch packets without
// checking their length, and a panic inside it leaks a goroutine. It also keeps the network error, which the driver
// replaces with "invalid connection".
//
// Used by one goroutine at a time, except for Close.
type wire struct {
	net.Conn
	in     *bufio.Reader
	stage  stage
	packet []byte // the rest of the packet that Read passes on
	most   limits
	total  int // bytes received
	// columns is where in the answer to a query the next packet is: 0, at its beginning; n > 1, before n-1 descriptions of
	// columns; 1, in the rows.
	columns   int
	width     int    // how many columns the rows have
	asks      string // what is asked in the stage query, for errors: "SELECT 1 on"
	err       error  // the first network or protocol error
	linger    time.Time
	kept      bool          // the driver has been let go, and the connection is kept
	lettingGo bool          // the driver closes its session, not the connection
	release   func() bool   // undoes endWith
	ended     chan struct{} // closed when the end of the context has affected the connection
}

func newWire(conn net.Conn, most limits) *wire {
	return &wire{Conn: conn, most: most, in: bufio.NewReaderSize(conn, 512), stage: greeting}
}

// endWith makes the end of ctx end what the connection does, until stop or release.
func (w *wire) endWith(ctx context.Context) {
	w.ended = make(chan struct{})
	w.release = context.AfterFunc(ctx, func() {
		defer close(w.ended)
		_ = w.Conn.SetDeadline(time.Unix(1, 0))
	})
}

// stop prevents the end of the context from affecting the connection from now on.
func (w *wire) stop() {
	if !w.release() {
		<-w.ended
	}
}

// greet waits for the greeting, which the next Read passes on.
func (w *wire) greet() error {
	if err := w.next(); err != nil {
		return w.failed(err)
	}
	return nil
}

// doing is what is being done, for errors, to be followed by the server's address.
func (w *wire) doing() string {
	if w.stage == query {
		return w.asks
	}
	return string(w.stage)
}

// Read returns data of at most one packet.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.packet) == 0 {
		if err := w.next(); err != nil {
			return 0, w.failed(err)
		}
	}
	n := copy(p, w.packet)
	w.packet = w.packet[n:]
	return n, nil
}

// Write sends, and notices the end of the greeting.
func (w *wire) Write(p []byte) (int, error) {
	if w.lettingGo {
		return len(p), nil
	}
	if w.stage == greeting {
		w.stage = login
	}
	w.columns = 0 // the answer to what is being sent begins anew
	n, err := w.Conn.Write(p)
	if err != nil {
		return n, w.failed(err)
	}
	return n, nil
}

// Close waits until linger, if set, for the server to close its end. The server has then read COM_QUIT, and the socket
// that stays in TIME_WAIT for a minute is the server's, not the director's.
func (w *wire) Close() error {
	if w.lettingGo {
		return nil
	}
	if !w.linger.IsZero() && w.Conn.SetReadDeadline(w.linger) == nil {
		_, _ = io.CopyN(io.Discard, w.in, int64(w.most.total))
	}
	return w.Conn.Close()
}

// letGo ends the driver's session and its goroutine, and keeps the connection.
func (w *wire) letGo(session driver.Conn) {
	w.lettingGo = true
	_ = session.Close()
	w.lettingGo, w.kept = false, true
	_ = w.SetDeadline(time.Time{})
}

func (w *wire) failed(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}

// next receives one packet: 3 bytes length (little endian), 1 byte sequence number, payload.
func (w *wire) next() error {
	header := make([]byte, 4, 128)
	if _, err := io.ReadFull(w.in, header); err != nil {
		return err
	}
	size := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if w.total += len(header) + size; size == 0 || size > w.most.packet || w.total > w.most.total {
		more, _ := w.in.Peek(min(w.in.Buffered(), 60))
		return fmt.Errorf("%w: received %q", errNotMySQL, append(header, more...))
	}
	packet := append(header, make([]byte, size)...)
	if n, err := io.ReadFull(w.in, packet[len(header):]); err != nil {
		if w.stage == greeting && errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: received %q, then the connection was closed", errNotMySQL, packet[:min(len(header)+n, 60)])
		}
		return err
	}
	if !w.sound(packet[len(header):]) {
		return fmt.Errorf("%w: malformed packet %q", errNotMySQL, packet[:min(len(packet), 60)])
	}
	if w.stage == greeting {
		clearExtensions(packet[len(header):])
	}
	w.packet = packet
	return nil
}

// sound reports whether the driver can parse the payload, which is not empty.
func (w *wire) sound(payload []byte) bool {
	switch kind := payload[0]; {
	case kind == 0xff:
		return soundError(payload)
	case w.stage == greeting:
		return soundGreeting(payload)
	case w.stage == query:
		return w.soundResult(payload)
	case kind == 0x00:
		return soundOK(payload)
	case kind == 0x01:
		return soundAuthData(payload[1:])
	case kind == 0xfe:
		return soundAuthSwitch(payload)
	default:
		return true
	}
}

// soundResult checks a packet of the answer to a query: a number of columns, so many descriptions of columns, and rows. A row may
// begin with any byte: with 00 if its first column is empty, with fb if that is NULL, with fc if it is longer than 250 bytes.
func (w *wire) soundResult(payload []byte) bool {
	kind := payload[0]
	switch {
	case w.columns == 0 && kind == 0x00:
		return soundOK(payload)
	case w.columns == 0:
		// fb is LOAD DATA LOCAL, a request for a file of the director's; above that are numbers of columns above 250.
		w.columns, w.width = int(kind)+1, int(kind)
		return kind < 0xfb
	case w.columns > 1:
		w.columns--
		return soundColumn(payload)
	case kind == 0xfe:
		return soundEnd(payload)
	}
	return soundRow(payload, w.width)
}

// soundEnd checks an EOF packet, or an OK packet in its place (CLIENT_DEPRECATE_EOF): short ones of both kinds look the same.
func soundEnd(payload []byte) bool { return len(payload) >= 5 && soundOK(payload) }

// soundGreeting checks a HandshakeV10 with the 20-byte challenge of protocol 4.1, which servers send since 2004.
func soundGreeting(p []byte) bool {
	if p[0] != 10 {
		return false
	}
	end := bytes.IndexByte(p[1:], 0) // of the version
	if end < 0 {
		return false
	}
	rest := len(p) - (1 + end + 1)
	return rest >= longGreeting
}

// The fields of a HandshakeV10 after the server's version.
const (
	extensions   = 4 + 8 + 1 + 2 + 3 + 2 + 7 // thread, challenge, filler, capabilities, charset and status, more capabilities, length and filler
	longGreeting = extensions + 4 + 13       // MariaDB's extended capabilities, more challenge
)

// clearExtensions clears MariaDB's extended capabilities in a valid greeting: with MARIADB_CLIENT_CACHE_METADATA the
// driver indexes past the end of a short column count, and SELECT 1 needs none of them.
func clearExtensions(p []byte) {
	after := p[1+bytes.IndexByte(p[1:], 0)+1:]
	if p[0] == 10 && len(after) >= longGreeting {
		clear(after[extensions : extensions+4])
	}
}

// soundError checks an ERR packet: a number, and a state of 5 characters after '#'.
func soundError(p []byte) bool {
	return len(p) >= 4 && (p[3] != '#' || len(p) >= 9)
}

// soundOK checks an OK packet: two integers of variable length, then two bytes of status.
func soundOK(p []byte) bool {
	rest := p[1:]
	for range 2 {
		size, ok := lenencSize(rest)
		if !ok {
			return false
		}
		rest = rest[size:]
	}
	return len(rest) >= 2
}

// soundColumn checks the description of a column (Protocol::ColumnDefinition41): six texts, a byte, and 10 bytes of numbers that the
// driver reads.
func soundColumn(p []byte) bool {
	rest, ok := skipTexts(p, 6)
	return ok && len(rest) >= 1+10
}

// soundRow checks a row of so many columns, each a text.
func soundRow(p []byte, columns int) bool {
	rest, ok := skipTexts(p, columns)
	return ok && len(rest) == 0
}

// skipTexts returns what follows so many texts, each with its length before it.
func skipTexts(p []byte, count int) (rest []byte, ok bool) {
	for range count {
		size, ok := lenencSize(p)
		if !ok {
			return nil, false
		}
		length := uint64(p[0])
		switch p[0] {
		case 0xfb: // NULL
			length = 0
		case 0xfc:
			length = uint64(binary.LittleEndian.Uint16(p[1:]))
		case 0xfd:
			length = uint64(p[1]) | uint64(p[2])<<8 | uint64(p[3])<<16
		case 0xfe:
			length = binary.LittleEndian.Uint64(p[1:])
		}
		if length > uint64(len(p)-size) {
			return nil, false
		}
		p = p[size+int(length):]
	}
	return p, true
}

func lenencSize(p []byte) (int, bool) {
	if len(p) == 0 {
		return 0, false
	}
	size := 1
	switch p[0] {
	case 0xfc:
		size = 3
	case 0xfd:
		size = 4
	case 0xfe:
		size = 9
	}
	return size, len(p) >= size
}

// soundAuthSwitch checks an AuthSwitchRequest: the plugin's name, a zero, the plugin's data. A single byte requests the
// method of MySQL 4.0, which the driver refuses.
func soundAuthSwitch(p []byte) bool {
	name, data, found := bytes.Cut(p[1:], []byte{0})
	if !found {
		return len(p) == 1
	}
	return string(name) != "mysql_native_password" || len(data) >= 20
}

// soundAuthData checks the data that a server sends during a login; a public key must be an RSA key.
func soundAuthData(p []byte) bool {
	block, _ := pem.Decode(p)
	if block == nil {
		return true
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return false
	}
	_, ok := key.(*rsa.PublicKey)
	return ok
}
