package syncmsg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
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
	// Uncounted: the director does not know at the moment what connections it has. All fields below are zero then.
	Uncounted bool
	// Held are the connections to virtual addresses that the director holds, Others those to the other ones.
	Held, Others Counts
	// Reading is the number of the reading of the connection table that Held and Others are from.
	Reading uint32
	// Begun and Ended are how long ago that reading began and ended, Settled since when all of Held have been there: in
	// milliseconds, up to 2³²-1. Directors of older versions do not say it: 0, 0 and 5 s.
	Begun, Ended, Settled time.Duration
}

const (
	noteCounted   = 1 // with counts
	noteUncounted = 2
	noteMaster    = 1 << 0

	noteHead = HeaderSize + len(noteMagic) + 8
	// noteTimes is the size of what directors of older versions do not send.
	noteTimes = 4 * 4
	// NoteSize is the size of the longest note in bytes. It is less than 1024: the least that a daemon of the kernel receives.
	NoteSize = noteHead + 2*2*Buckets + noteTimes

	// settledBefore is what a note without times means.
	settledBefore = 5 * time.Second

	noteMagic = "LVSd"
)

// ErrNoNote means that a datagram is not a note of a version that is known.
var ErrNoNote = errors.New("not a note of a director")

// Append appends the datagram to b.
func (n *Note) Append(b []byte) []byte {
	size, kind, flags := NoteSize, byte(noteCounted), byte(0)
	if n.Uncounted {
		size, kind = noteHead, noteUncounted
	}
	if n.Master {
		flags = noteMaster
	}
	b = append(b, 0, n.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, 0, version, 0, 0)
	b = append(b, noteMagic...)
	b = append(b, kind, flags, 0, 0)
	b = binary.BigEndian.AppendUint32(b, n.Run)
	if n.Uncounted {
		return b
	}
	for _, counts := range []*Counts{&n.Held, &n.Others} {
		for _, v := range counts {
			b = binary.BigEndian.AppendUint16(b, uint16(min(v, math.MaxUint16)))
		}
	}
	b = binary.BigEndian.AppendUint32(b, n.Reading)
	for _, ago := range []time.Duration{n.Begun, n.Ended, n.Settled} {
		b = binary.BigEndian.AppendUint32(b, uint32(min(max(ago/time.Millisecond, 0), math.MaxUint32)))
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
	if b[4] != 0 || len(b) < noteHead || string(b[HeaderSize:at]) != noteMagic {
		return nil, ErrNoNote
	}
	n := &Note{ID: b[1], Master: b[at+1]&noteMaster != 0, Run: binary.BigEndian.Uint32(b[at+4:])}
	switch kind := b[at]; {
	case kind == noteUncounted:
		n.Uncounted = true
		return n, nil
	case kind != noteCounted || len(b) < NoteSize-noteTimes:
		return nil, ErrNoNote
	}
	at = noteHead
	for _, counts := range []*Counts{&n.Held, &n.Others} {
		for i := range counts {
			counts[i] = uint32(binary.BigEndian.Uint16(b[at:]))
			at += 2
		}
	}
	if len(b) < NoteSize {
		n.Settled = settledBefore
		return n, nil
	}
	n.Reading = binary.BigEndian.Uint32(b[at:])
	for i, ago := range []*time.Duration{&n.Begun, &n.Ended, &n.Settled} {
		*ago = time.Duration(binary.BigEndian.Uint32(b[at+4+4*i:])) * time.Millisecond
	}
	return n, nil
}
