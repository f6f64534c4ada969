package mysqltest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Capabilities of the protocol; see MySQL's include/mysql_com.h.
const (
	clientLongPassword  = 1 << 0
	clientProtocol41    = 1 << 9
	clientSecure        = 1 << 15
	clientPluginAuth    = 1 << 19
	clientConnectAttrs  = 1 << 20
	clientLenencAuth    = 1 << 21
	clientDeprecateEOF  = 1 << 24
	statusAutocommit    = 2
	comQuit             = 1
	comQuery            = 3
	comPing             = 14
	maxClientPacket     = 1 << 20
	serverCapabilities  = clientLongPassword | clientProtocol41 | clientSecure | clientPluginAuth | clientConnectAttrs | clientLenencAuth | clientDeprecateEOF
	utf8mb4GeneralCi    = 45
	challengeLength     = 20
	serverVersion       = "8.0.40-mysqltest"
	authMoreData        = 0x01
	fastAuthSuccess     = 0x03
	performFullAuth     = 0x04
	requestPublicKey    = 0x02
	packetHeaderLength  = 4
	columnTypeLonglong  = 8
	binaryCollationByte = 63
)

var errMalformed = errors.New("mysqltest: malformed packet from the client")

// stream reads and writes packets: 3 bytes length, 1 byte sequence number, payload.
type stream struct {
	io.ReadWriter
	sequence byte
}

func (s *stream) read() ([]byte, error) {
	var header [packetHeaderLength]byte
	if _, err := io.ReadFull(s, header[:]); err != nil {
		return nil, err
	}
	size := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if size > maxClientPacket {
		return nil, errMalformed
	}
	s.sequence = header[3] + 1
	payload := make([]byte, size)
	_, err := io.ReadFull(s, payload)
	return payload, err
}

func (s *stream) write(payload []byte) error {
	_, err := s.Write(s.frame(payload))
	return err
}

func (s *stream) frame(payload []byte) []byte {
	n := len(payload)
	packet := append([]byte{byte(n), byte(n >> 8), byte(n >> 16), s.sequence}, payload...)
	s.sequence++
	return packet
}

func errorPacket(number uint16, state, message string) []byte {
	p := binary.LittleEndian.AppendUint16([]byte{0xff}, number)
	if state != "" {
		p = append(p, '#')
		p = append(p, state...)
	}
	return append(p, message...)
}

func okPacket(kind byte) []byte {
	return []byte{kind, 0, 0, statusAutocommit, 0, 0, 0}
}

// Greeting is a HandshakeV10 payload with a plugin's name; see "Protocol::HandshakeV10" in MySQL's internals manual.
func Greeting(plugin Plugin, challenge []byte) []byte {
	capabilities := uint32(serverCapabilities)
	if plugin == NoPlugins {
		capabilities &^= clientPluginAuth | clientConnectAttrs // the latter came with 5.6.6
	}
	p := append([]byte{10}, serverVersion...)
	p = append(p, 0)
	p = binary.LittleEndian.AppendUint32(p, 7) // connection id
	p = append(p, challenge[:8]...)
	p = append(p, 0)
	p = binary.LittleEndian.AppendUint16(p, uint16(capabilities))
	p = append(p, utf8mb4GeneralCi)
	p = binary.LittleEndian.AppendUint16(p, statusAutocommit)
	p = binary.LittleEndian.AppendUint16(p, uint16(capabilities>>16))
	p = append(p, challengeLength+1)
	p = append(p, make([]byte, 10)...)
	p = append(p, challenge[8:challengeLength]...)
	p = append(p, 0)
	if plugin == NoPlugins {
		return p
	}
	p = append(p, plugin...)
	return append(p, 0)
}

// answerOne sends the result set of SELECT 1.
func (s *stream) answerOne(deprecateEOF bool) error {
	column := []byte("\x03def\x00\x00\x00\x011\x00\x0c")
	column = append(column, binaryCollationByte, 0, 1, 0, 0, 0, columnTypeLonglong, 0x81, 0, 0, 0, 0)
	eof := []byte{0xfe, 0, 0, statusAutocommit, 0}
	out := append(s.frame([]byte{1}), s.frame(column)...)
	if deprecateEOF {
		out = append(out, s.frame([]byte("\x011"))...)
		out = append(out, s.frame(okPacket(0xfe))...)
	} else {
		out = append(out, s.frame(eof)...)
		out = append(out, s.frame([]byte("\x011"))...)
		out = append(out, s.frame(eof)...)
	}
	_, err := s.Write(out)
	return err
}

// credentials are the content of a HandshakeResponse41.
type credentials struct {
	capabilities uint32
	user         string
	proof        []byte
	plugin       string
	attributes   map[string]string
}

func parseLogin(p []byte) (credentials, error) {
	const fixed = 4 + 4 + 1 + 23
	if len(p) < fixed {
		return credentials{}, errMalformed
	}
	c := credentials{capabilities: binary.LittleEndian.Uint32(p), attributes: map[string]string{}}
	user, rest, ok := bytes.Cut(p[fixed:], []byte{0})
	if !ok || len(rest) == 0 {
		return credentials{}, errMalformed
	}
	c.user = string(user)
	if c.proof, rest, ok = cutString(rest); !ok {
		return credentials{}, errMalformed
	}
	if c.capabilities&clientPluginAuth != 0 {
		plugin, after, _ := bytes.Cut(rest, []byte{0})
		c.plugin, rest = string(plugin), after
	}
	if c.capabilities&clientConnectAttrs != 0 {
		all, _, ok := cutString(rest)
		for ok && len(all) > 0 {
			var key, value []byte
			if key, all, ok = cutString(all); ok {
				value, all, ok = cutString(all)
				c.attributes[string(key)] = string(value)
			}
		}
	}
	return c, nil
}

// cutString removes a length-prefixed string from p. The lengths in tests fit into 3 bytes.
func cutString(p []byte) (s, rest []byte, ok bool) {
	if len(p) == 0 {
		return nil, nil, false
	}
	size, p := int(p[0]), p[1:]
	if size == 0xfc {
		if len(p) < 2 {
			return nil, nil, false
		}
		size, p = int(binary.LittleEndian.Uint16(p)), p[2:]
	}
	if size > len(p) {
		return nil, nil, false
	}
	return p[:size], p[size:], true
}
