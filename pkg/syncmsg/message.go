package syncmsg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
)

const (
	version  = 1
	size4    = 36 // of a connection of IPv4 without parameters
	size6    = 72
	inet6    = 1 << 0 // STYPE_F_INET6
	sizeMask = 0x0fff // SVER_MASK; the other bits are the version of the connection
	sizeBits = 12

	// HeaderSize is the size of a message without connections, in bytes.
	HeaderSize = 8
	// MaxConnections is the number of connections that a message can have.
	MaxConnections = math.MaxUint8
)

// Flags of a connection, IP_VS_CONN_F_* of linux/ip_vs.h. Others are passed on unchanged, such as the forwarding method.
const (
	FlagNoOutput uint32 = 0x0008 // the answers of the real server do not pass through the director
	FlagInactive uint32 = 0x0100 // not established
	FlagTemplate uint32 = 0x1000 // persistence of a client: no connection
)

// Forwarding methods, IP_VS_CONN_F_*.
const (
	ForwardNAT uint32 = 0
	ForwardTUN uint32 = 2
	ForwardDR  uint32 = 3
)

// States of TCP connections (IP_VS_TCP_S_*), of SCTP (IP_VS_SCTP_S_*) and of templates (IP_VS_CTPL_S_*), of linux net/ip_vs.h.
const (
	StateEstablished     uint16 = 1
	StateSynSent         uint16 = 2
	StateSynReceived     uint16 = 3
	StateFinWait         uint16 = 4
	StateCloseWait       uint16 = 7
	StateSynAck          uint16 = 10
	StateSCTPInit1       uint16 = 1
	StateSCTPInit        uint16 = 2
	StateSCTPCookieSent  uint16 = 3
	StateSCTPReplied     uint16 = 4
	StateSCTPCookieWait  uint16 = 5
	StateSCTPCookie      uint16 = 6
	StateSCTPEchoed      uint16 = 7
	StateSCTPEstablished uint16 = 8
	StateAssured         uint16 = 1
)

// Protocols, IPPROTO_*.
const (
	TCP  uint8 = 6
	UDP  uint8 = 17
	SCTP uint8 = 132
)

// Connection is an entry of the connection table.
type Connection struct {
	Protocol uint8
	// Client, Virtual and Server are of one family, not IPv4 mapped to IPv6, and have no zone. A template's Client has port 0.
	Client, Virtual, Server netip.AddrPort
	Flags                   uint32
	State                   uint16
	Mark                    uint32 // the firewall mark of its virtual server; 0: none
	// Timeout is in whole seconds, up to 2³²-1. 0: the receiver's own timeout for State, or 3 minutes for a template.
	Timeout    time.Duration
	Parameters []Parameter
}

// Parameter is an optional part of a connection, such as sequence numbers of an application protocol.
type Parameter struct {
	Type uint8  // IPVS_OPT_*; with bit 64 the receiver ignores it if it does not know it
	Data []byte // 1 to 255 bytes
}

// Message is a datagram with connections.
type Message struct {
	ID          uint8 // of the cluster; a receiver with an id ignores others
	Connections []Connection
}

// Errors of Parse.
var (
	errShort    = errors.New("shorter than its header")
	errSize     = errors.New("its size field is not its size: truncated?")
	errVersion  = errors.New("not version 1")
	errEntry    = errors.New("a connection is longer than the message, or shorter than its addresses")
	errFamily   = errors.New("a connection of an unknown type")
	errParam    = errors.New("a parameter is empty, or longer than its connection")
	errTooLarge = errors.New("larger than a message can be")
)

// Size is the size of a connection in a message, in bytes.
func (c Connection) Size() int { return (c.unpadded() + 3) &^ 3 }

func (c Connection) unpadded() int {
	n := size4
	if c.Client.Addr().Is6() {
		n = size6
	}
	for _, p := range c.Parameters {
		n += 2 + len(p.Data)
	}
	return n
}

// Append appends the datagram to b.
//
// Errors: more than MaxConnections, parameters of more than 4 kB, more than 65535 bytes, addresses of different families.
func (m Message) Append(b []byte) ([]byte, error) {
	if len(m.Connections) > MaxConnections {
		return b, fmt.Errorf("encode a synchronization message of %d connections: %w", len(m.Connections), errTooLarge)
	}
	start := len(b)
	b = append(b, 0, m.ID, 0, 0, uint8(len(m.Connections)), version, 0, 0)
	end := len(b)
	for _, c := range m.Connections {
		for (len(b)-start)%4 != 0 { // only between connections, as the kernel does
			b = append(b, 0)
		}
		var err error
		if b, err = c.append(b); err != nil {
			return b[:start], fmt.Errorf("encode a synchronization message: %s from %s: %w", c.Virtual, c.Client, err)
		}
		end = len(b)
	}
	if end-start > math.MaxUint16 {
		return b[:start], fmt.Errorf("encode a synchronization message of %d bytes: %w", end-start, errTooLarge)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(end-start))
	return b[:end], nil
}

func (c Connection) append(b []byte) ([]byte, error) {
	all := [...]netip.AddrPort{c.Client, c.Virtual, c.Server}
	kind := byte(0)
	if c.Client.Addr().Is6() {
		kind = inet6
	}
	for _, a := range all {
		if !a.IsValid() || a.Addr().Is4In6() || a.Addr().BitLen() != c.Client.Addr().BitLen() {
			return b, errFamily
		}
	}
	length := c.unpadded()
	if length > sizeMask {
		return b, errTooLarge
	}
	b = append(b, kind, c.Protocol)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = binary.BigEndian.AppendUint32(b, c.Flags)
	b = binary.BigEndian.AppendUint16(b, c.State)
	for _, a := range all {
		b = binary.BigEndian.AppendUint16(b, a.Port())
	}
	b = binary.BigEndian.AppendUint32(b, c.Mark)
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(c.Timeout/time.Second, 0), math.MaxUint32)))
	for _, a := range all {
		b = append(b, a.Addr().AsSlice()...)
	}
	for _, p := range c.Parameters {
		if len(p.Data) == 0 || len(p.Data) > math.MaxUint8 {
			return b, errParam
		}
		b = append(append(b, p.Type, uint8(len(p.Data))), p.Data...)
	}
	return b, nil
}

// Parse reads a datagram by the rules of the kernel (ip_vs_process_message). Parameters are not examined. The message does
// not refer to b.
func Parse(b []byte) (Message, error) {
	if err := checkHeader(b); err != nil {
		return Message{}, fmt.Errorf("synchronization message of %d bytes: %w", len(b), err)
	}
	m := Message{ID: b[1]}
	at := HeaderSize
	for range int(b[4]) {
		c, next, err := parseConnection(b, at)
		if err != nil {
			return Message{}, fmt.Errorf("synchronization message of %d bytes: at byte %d: %w", len(b), at, err)
		}
		m.Connections = append(m.Connections, c)
		at = next
	}
	return m, nil
}

// Header is the begin of a message.
type Header struct {
	ID          uint8 // of the cluster
	Connections uint8 // their number; 0 in a note, too
}

// ParseHeader reads the begin of a datagram, of which the rest need not be there; false if it is too short. It checks nothing
// else: the receiver wants to know about messages with another id, and about those that are longer than it reads.
func ParseHeader(b []byte) (Header, bool) {
	if len(b) < HeaderSize {
		return Header{}, false
	}
	return Header{ID: b[1], Connections: b[4]}, true
}

func checkHeader(b []byte) error {
	switch {
	case len(b) < HeaderSize:
		return errShort
	case int(binary.BigEndian.Uint16(b[2:])) != len(b):
		return errSize
	case b[0] != 0 || b[5] != version || b[6] != 0 || b[7] != 0:
		return errVersion
	}
	return nil
}

// parseConnection reads the connection at an offset; next is that of the following one.
func parseConnection(b []byte, at int) (c Connection, next int, err error) {
	if at+size4 > len(b) {
		return c, 0, errEntry
	}
	field := binary.BigEndian.Uint16(b[at+2:])
	length := int(field & sizeMask)
	need, width := size4, 4
	switch b[at] {
	case 0:
	case inet6:
		need, width = size6, 16
	default:
		return c, 0, errFamily
	}
	if field>>sizeBits != 0 {
		return c, 0, errVersion
	}
	if length < need || at+length > len(b) {
		return c, 0, errEntry
	}
	e := b[at : at+length]
	address := func(n int) netip.AddrPort {
		ip, _ := netip.AddrFromSlice(e[24+n*width : 24+(n+1)*width])
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(e[10+2*n:]))
	}
	c = Connection{
		Protocol: e[1], Flags: binary.BigEndian.Uint32(e[4:]), State: binary.BigEndian.Uint16(e[8:]),
		Client: address(0), Virtual: address(1), Server: address(2),
		Mark: binary.BigEndian.Uint32(e[16:]), Timeout: time.Duration(binary.BigEndian.Uint32(e[20:])) * time.Second,
	}
	c.Parameters, err = parseParameters(e[need:])
	return c, at + (length+3)&^3, err
}

func parseParameters(b []byte) (all []Parameter, err error) {
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || len(b) < 2+int(b[1]) {
			return nil, errParam
		}
		end := 2 + int(b[1])
		all = append(all, Parameter{Type: b[0], Data: append([]byte(nil), b[2:end]...)})
		b = b[end:]
	}
	return all, nil
}
