package vrrp

import "net/netip"

// Datagram is a received IP packet of protocol 112.
type Datagram struct {
	// Payload is the IP payload, without the IP header.
	Payload             []byte
	Source, Destination netip.Addr
	// TTL is the received time to live (IPv6: hop limit).
	TTL int
}

// Accept applies the receive rules of RFC 9568 7.1 (version 3) or RFC 3768 7.1 (version 2) to a datagram for the
// instance p, in order, and returns the first reason to drop it.
//
// Three rules are relaxed, as in keepalived's defaults. An address owner does not ignore adverts (RFC 9568 erratum
// 8298): of two owners the higher address wins. A version 3 peer may use a different interval, which a BACKUP adopts.
// The list of VIPs is not compared: a peer whose list differs while the cluster file is being changed must not become a
// second MASTER. Callers that want to warn can compare Packet.Addresses.
func Accept(d Datagram, p Params) (Packet, DropReason) {
	p = p.withDefaults()
	if p.Source.IsValid() && d.Source.Unmap() == p.Source {
		return Packet{}, DropOwnPacket
	}
	if d.TTL != TTL {
		return Packet{}, DropTTL
	}
	if len(d.Payload) > 0 && d.Payload[0]>>4 != p.Version {
		return Packet{}, DropVersion
	}
	pkt, reason := Parse(d.Payload, d.Source, d.Destination)
	switch {
	case reason != DropNone:
	case pkt.VRID != p.VRID:
		reason = DropVRID
	case pkt.AuthType != 0:
		reason = DropAuth
	case pkt.Version == 2 && pkt.Interval != p.AdvertInterval:
		reason = DropInterval
	}
	if reason != DropNone {
		return Packet{}, reason
	}
	return pkt, DropNone
}
