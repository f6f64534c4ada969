package packets

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// linkType is LINKTYPE_LINUX_SLL2: a packet of any interface, with the number of the interface and the hardware address of its sender.
const linkType = 276

const (
	recordSize = 16
	linkSize   = 20
)

// newFile returns a file without packets (pcap-savefile(5)).
func newFile() []byte {
	le := binary.LittleEndian
	f := le.AppendUint32(nil, 0xa1b2c3d4) // times have microseconds
	f = le.AppendUint16(f, 2)
	f = le.AppendUint16(f, 4)
	f = append(f, make([]byte, 8)...)
	f = le.AppendUint32(f, snapped+linkSize)
	return le.AppendUint32(f, linkType)
}

// appendPacket adds what is recorded of a packet; nothing of others.
func appendPacket(f []byte, at time.Time, from *unix.SockaddrLinklayer, packet []byte) []byte {
	etherType := from.Protocol>>8 | from.Protocol<<8 // network byte order
	kept := headers(etherType, packet)
	if kept == 0 {
		return f
	}
	le, be := binary.LittleEndian, binary.BigEndian
	f = le.AppendUint32(f, uint32(at.Unix()))
	f = le.AppendUint32(f, uint32(at.Nanosecond()/int(time.Microsecond)))
	f = le.AppendUint32(f, uint32(linkSize+kept))
	f = le.AppendUint32(f, uint32(linkSize+length(etherType, packet)))
	f = be.AppendUint16(f, etherType)
	f = be.AppendUint16(f, 0)
	f = be.AppendUint32(f, uint32(from.Ifindex))
	f = be.AppendUint16(f, from.Hatype)
	f = append(f, from.Pkttype, min(from.Halen, 8))
	f = append(f, from.Addr[:8]...)
	return append(f, packet[:kept]...)
}
