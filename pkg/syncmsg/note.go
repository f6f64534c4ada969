package syncmsg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Buckets is the number of parts into which connections are counted. Two directors whose counts differ in a bucket have
// different connections there.
const Buckets = 128

// Counts are the numbers of connections in each bucket. A number beyond 65535 is sent as 65535.
type Counts [Buckets]uint32

// Total is the sum.
func (c *Counts) Total() (n int) {
	for _, v := range c {
		n += int(v)
	}
	return n
}

// Note is what a director tells the others once a second.
type Note struct {
	ID  uint8  // of the cluster
	Run uint32 // of the daemon: another number after each start
	// Master: the director holds a virtual address.
	Master bool
	// Held are the connections to virtual addresses that the director holds, Others those to the other ones.
	Held, Others Counts
}

const (
	noteVersion = 1
	noteMaster  = 1 << 0
	// NoteSize is the size of a note in bytes. It is less than 1024: the least that a daemon of the kernel receives.
	NoteSize = HeaderSize + len(noteMagic) + 8 + 2*2*Buckets

	noteMagic = "LVSd"
)

// ErrNoNote means that a datagram is not a note of a version that is known.
var ErrNoNote = errors.New("not a note of a director")

// Append appends the datagram to b.
func (n *Note) Append(b []byte) []byte {
	flags := byte(0)
	if n.Master {
		flags = noteMaster
	}
	b = append(b, 0, n.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(NoteSize))
	b = append(b, 0, version, 0, 0)
	b = append(b, noteMagic...)
	b = append(b, noteVersion, flags, 0, 0)
	b = binary.BigEndian.AppendUint32(b, n.Run)
	for _, counts := range []*Counts{&n.Held, &n.Others} {
		for _, v := range counts {
			b = binary.BigEndian.AppendUint16(b, uint16(min(v, math.MaxUint16)))
		}
	}
	return b
}

// ParseNote reads a datagram. Later versions may have more bytes at the end.
//
// Errors: ErrNoNote; other errors mean that it is not a message at all.
func ParseNote(b []byte) (*Note, error) {
	if err := checkHeader(b); err != nil {
		return nil, fmt.Errorf("synchronization message of %d bytes: %w", len(b), err)
	}
	at := HeaderSize + len(noteMagic)
	if b[4] != 0 || len(b) < NoteSize || string(b[HeaderSize:at]) != noteMagic || b[at] != noteVersion {
		return nil, ErrNoNote
	}
	n := &Note{ID: b[1], Master: b[at+1]&noteMaster != 0, Run: binary.BigEndian.Uint32(b[at+4:])}
	at += 8
	for _, counts := range []*Counts{&n.Held, &n.Others} {
		for i := range counts {
			counts[i] = uint32(binary.BigEndian.Uint16(b[at:]))
			at += 2
		}
	}
	return n, nil
}
