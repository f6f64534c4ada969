package bfd

import (
	"encoding/binary"
	"math"
	"time"
)

const (
	// Port is the UDP destination port of single-hop control packets (RFC 5881 section 4).
	Port = 3784
	// TTL is the TTL or hop limit of single-hop packets, sent and demanded: it shows that the sender is on the link (RFC
	// 5881 section 5).
	TTL = 255
	// Size is the size of a control packet without authentication, in bytes.
	Size = 24

	version = 1
)

// The bits of the second byte of a control packet, after the state.
const (
	bitPoll       = 1 << 5
	bitFinal      = 1 << 4
	bitControl    = 1 << 3
	bitAuth       = 1 << 2
	bitDemand     = 1 << 1
	bitMultipoint = 1 << 0
)

// Packet is a control packet (RFC 5880 section 4.1). Intervals are whole microseconds from 0 to 4294967295; Append
// limits others to that range.
type Packet struct {
	Diag                    Diag
	State                   State
	Poll                    bool // asks for a packet with Final
	Final                   bool
	ControlPlaneIndependent bool
	Demand                  bool
	Multiplier              uint8  // Detect Mult: not 0
	MyDiscriminator         uint32 // of the sender: not 0
	YourDiscriminator       uint32 // of the receiver, 0 if the sender does not know it
	DesiredMinTx            time.Duration
	RequiredMinRx           time.Duration // 0: the sender wants no periodic packets
	RequiredMinEcho         time.Duration // 0: the sender does not support the echo function
}

// Append appends the packet to b.
func (p Packet) Append(b []byte) []byte {
	flags := byte(p.State&3) << 6
	for _, f := range []struct {
		set bool
		bit byte
	}{{p.Poll, bitPoll}, {p.Final, bitFinal}, {p.ControlPlaneIndependent, bitControl}, {p.Demand, bitDemand}} {
		if f.set {
			flags |= f.bit
		}
	}
	b = append(b, version<<5|byte(p.Diag&31), flags, p.Multiplier, Size)
	b = binary.BigEndian.AppendUint32(b, p.MyDiscriminator)
	b = binary.BigEndian.AppendUint32(b, p.YourDiscriminator)
	b = binary.BigEndian.AppendUint32(b, micros(p.DesiredMinTx))
	b = binary.BigEndian.AppendUint32(b, micros(p.RequiredMinRx))
	return binary.BigEndian.AppendUint32(b, micros(p.RequiredMinEcho))
}

func micros(d time.Duration) uint32 {
	return uint32(min(max(d/time.Microsecond, 0), math.MaxUint32))
}

// Parse reads the payload of a UDP datagram by the rules of RFC 5880 section 6.8.6 that need no session. If the reason
// is not DropNone, the packet must be discarded.
func Parse(b []byte) (Packet, DropReason) {
	if len(b) < Size {
		return Packet{}, DropLength
	}
	length, flags := int(b[3]), b[1]
	interval := func(at int) time.Duration { return time.Duration(binary.BigEndian.Uint32(b[at:])) * time.Microsecond }
	p := Packet{
		Diag: Diag(b[0] & 31), State: State(flags >> 6), Poll: flags&bitPoll != 0, Final: flags&bitFinal != 0,
		ControlPlaneIndependent: flags&bitControl != 0, Demand: flags&bitDemand != 0, Multiplier: b[2],
		MyDiscriminator: binary.BigEndian.Uint32(b[4:]), YourDiscriminator: binary.BigEndian.Uint32(b[8:]),
		DesiredMinTx: interval(12), RequiredMinRx: interval(16), RequiredMinEcho: interval(20),
	}
	switch {
	case b[0]>>5 != version:
		return Packet{}, DropVersion
	case length < Size || length > len(b):
		return Packet{}, DropLength
	case flags&bitAuth != 0:
		return Packet{}, DropAuth
	case p.Multiplier == 0:
		return Packet{}, DropMultiplier
	case flags&bitMultipoint != 0:
		return Packet{}, DropMultipoint
	case p.MyDiscriminator == 0 || p.YourDiscriminator == 0 && p.State != Down && p.State != AdminDown:
		return Packet{}, DropDiscriminator
	}
	return p, DropNone
}
