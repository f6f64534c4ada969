package vrrp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Datagram is a received IP packet of protocol 112.
type Datagram struct {
	// Payload is the IP payload, without the IP header.
	Payload             []byte
	Source, Destination netip.Addr
	// TTL is the received time to live (IPv6: hop limit).
	TTL int
	// Age is for how long it had waited on this host when it was read; 0 if that is not known, and for most readers no matter.
	Age time.Duration
}

// Peers is what the cluster file says about the other routers of a virtual router. The zero value knows none, and then
// no source is a stranger.
type Peers struct {
	// Directors are the addresses of the other directors.
	Directors []netip.Addr
	// Complete says that no other address on the segment belongs to a director. It is false on networks other than that
	// of the directors' own addresses, where their addresses are not in the file.
	Complete bool
	// IgnoreRefused says that refused adverts do not take part in the election. They are still reported.
	IgnoreRefused bool
	// Transport is how adverts reach them.
	Transport Transport
}

// Equal reports whether p and q are the same.
func (p Peers) Equal(q Peers) bool {
	return p.Complete == q.Complete && p.IgnoreRefused == q.IgnoreRefused && slices.Equal(p.Directors, q.Directors) && p.Transport.Equal(q.Transport)
}

// Has reports whether an address belongs to a router that the cluster file names.
func (p Peers) Has(a netip.Addr) bool {
	return slices.Contains(p.Directors, a) || p.Transport.Unicast && slices.Contains(p.Transport.Peers, a)
}

// Standing is what a received packet means to an instance. The zero value is Invalid.
type Standing uint8

const (
	// Invalid: a malformed packet, our own, or one that does not concern this instance.
	Invalid Standing = iota
	// Obeyed: the election follows it.
	Obeyed
	// Refused: a valid advert of our virtual router whose version, authentication, version 2 interval or Transport
	// differs from ours. Its sender does not follow our adverts either, but it is alive, and as MASTER it holds the VIPs.
	Refused
	// Stranger: a valid advert with our VRID that lists none of our VIPs and does not come from a director: it belongs
	// to another virtual router that happens to have the same ID. Or, with unicast, one from an address that is no peer.
	Stranger
	// Elsewhere: a valid advert with another VRID that lists one of our VIPs.
	Elsewhere
)

// Heard is a received packet with its meaning.
type Heard struct {
	Standing Standing
	Drop     DropReason // why it is not obeyed; DropNone if it is
	Source   netip.Addr
	Director bool   // the cluster file names Source: see Peers.Has
	Packet   Packet // zero if the packet is malformed
}

// Classify applies the receive rules of RFC 9568 7.1 (version 3) or RFC 3768 7.1 (version 2) to a datagram for the
// instance p with these VIPs. It is the only place where the meaning of a packet is decided.
//
// Three rules are relaxed. An address owner does not ignore adverts (RFC 9568 erratum 8298): of two owners the higher
// address wins. A version 3 peer may use a different interval, which a BACKUP adopts. The VIPs of a director of the
// cluster file are not compared, and those of any other router only need one in common: a peer whose list differs while
// the cluster file is being changed must not become a second MASTER (RFC 9568 leaves the comparison optional). Without
// VIPs nothing is compared.
func Classify(d Datagram, p Params, vips []netip.Addr, peers Peers) Heard {
	p = p.withDefaults()
	h := Heard{Source: d.Source.Unmap()}
	h.Director = peers.Has(h.Source)
	if h.Drop = onSegment(d, h.Source, p, peers.Transport); h.Drop != DropNone {
		return h
	}
	version := p.Version
	if len(d.Payload) > 0 {
		version = d.Payload[0] >> 4
	}
	h.Packet, h.Drop = Parse(d.Payload, d.Source, d.Destination)
	ours := len(vips) == 0 || slices.ContainsFunc(h.Packet.Addresses, func(a netip.Addr) bool { return slices.Contains(vips, a) })
	switch {
	case h.Drop != DropNone:
		if version != p.Version {
			h.Drop = DropVersion
		}
		return h
	case h.Packet.VRID != p.VRID:
		h.Drop = DropVRID
		if len(vips) > 0 && ours {
			h.Standing = Elsewhere
		}
		return h
	case len(h.Packet.Addresses) == 0 && len(vips) > 0: // RFC 9568 5.2.5 with erratum 8299
		h.Drop, h.Packet = DropAddressCount, Packet{}
		return h
	}
	if h.Drop = peers.Transport.misdirection(h.Source, d.Destination.Unmap()); h.Drop != DropNone {
		h.Standing, h.Drop = standingElsewhere(h, d.Destination.IsMulticast(), ours && len(vips) > 0)
		return h
	}
	h.Drop = refusal(h.Packet, p)
	switch {
	case !ours && !h.Director:
		h.Standing = Stranger
		if h.Drop == DropNone {
			h.Drop = DropForeignAddresses
		}
	case h.Drop != DropNone:
		h.Standing = Refused
	default:
		h.Standing = Obeyed
	}
	return h
}

// standingElsewhere judges a valid advert with our VRID whose destination or source is not one of our virtual router; ours
// says that it lists one of our VIPs.
func standingElsewhere(h Heard, multicast, ours bool) (Standing, DropReason) {
	switch {
	case h.Drop == DropNotPeer && (ours || !multicast):
		return Stranger, DropNotPeer // no evidence: to be trusted, a router must be a peer
	case h.Drop != DropNotPeer && (ours || h.Director):
		return Refused, h.Drop // its transport differs from ours
	case multicast:
		return Invalid, DropVRID // another virtual router: with unicast, or another group, VRIDs do not collide
	}
	return Invalid, h.Drop
}

// onSegment applies the rules about the IP header.
func onSegment(d Datagram, source netip.Addr, p Params, t Transport) DropReason {
	least := TTL
	if !d.Destination.Unmap().IsMulticast() {
		least = int(t.AcceptedTTL())
	}
	switch {
	case p.Source.IsValid() && source == p.Source:
		return DropOwnPacket
	case d.TTL < least || d.TTL > TTL:
		return DropTTL
	case kernel.FamilyOf(d.Destination.Unmap()) != kernel.FamilyOf(source), d.Destination == broadcast:
		return DropDestination
	}
	return DropNone
}

// broadcast is received by every host of a network.
var broadcast = netip.MustParseAddr("255.255.255.255")

// refusal returns why a valid advert of our virtual router is not obeyed.
func refusal(pkt Packet, p Params) DropReason {
	switch {
	case pkt.Version != p.Version:
		return DropVersion
	case pkt.AuthType != p.AuthType:
		return DropAuth
	case p.AuthType == authPassword && !pkt.Password.matches(p.Password):
		return DropAuth
	case pkt.Version == 2 && pkt.Interval != p.AdvertInterval:
		return DropInterval
	}
	return DropNone
}
