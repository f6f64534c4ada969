package vrrpsock

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// headerSize is the size of an IPv4 header without options, in bytes (RFC 791 section 3.1).
const headerSize = 20

// parse splits a packet as raw sockets deliver it, with its IPv4 header (raw(7)). The kernel has checked that header;
// if it is malformed anyway, the datagram has no payload, and readers drop it as too short.
func parse(b []byte) vrrp.Datagram {
	var d vrrp.Datagram
	if len(b) < headerSize || b[0]>>4 != 4 {
		return d
	}
	size := int(b[0]&0x0f) * 4
	if size < headerSize || size > len(b) {
		return d
	}
	d.TTL = int(b[8])
	d.Source, _ = netip.AddrFromSlice(b[12:16])
	d.Destination, _ = netip.AddrFromSlice(b[16:20])
	d.Payload = b[size:]
	return d
}
