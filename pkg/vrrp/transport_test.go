package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// far is a peer that is a director of no cluster file, such as a keepalived.
var far = netip.MustParseAddr("10.78.0.4")

func unicastPeers(leastTTL uint8) Peers {
	return Peers{
		Directors: []netip.Addr{stranger}, Complete: true,
		Transport: Transport{Unicast: true, Peers: []netip.Addr{master, far}, LeastTTL: leastTTL},
	}
}

// sentTo returns a valid advert as received from source at destination.
func sentTo(t interface{ Fatal(...any) }, source, destination netip.Addr, ttl int, p Packet) Datagram {
	b, err := p.Append(nil, source, destination, PseudoHeaderChecksum)
	if err != nil {
		t.Fatal(err)
	}
	return Datagram{Payload: b, Source: source, Destination: destination, TTL: ttl}
}

// TestClassifyUnicast has one line for each kind of sender and destination, at a router that uses unicast.
func TestClassifyUnicast(t *testing.T) {
	v3 := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	v2, foreign, other := v3, v3, v3
	v2.Version, other.VRID = 2, 52
	foreign.Addresses = []netip.Addr{otherVIP}
	nobody := netip.MustParseAddr("10.77.0.67")
	us2, us3 := Params{VRID: 51, Version: 2, Source: backup}, Params{VRID: 51, Version: 3, Source: backup}
	for name, c := range map[string]struct {
		from, to netip.Addr
		ttl      int
		p        Packet
		us       Params
		least    uint8
		want     Standing
		drop     DropReason
	}{
		"peer":                                {master, backup, 255, v3, us3, 0, Obeyed, DropNone},
		"peer, version 2":                     {master, backup, 255, v2, us2, 0, Obeyed, DropNone},
		"peer, other VIPs":                    {far, backup, 255, foreign, us3, 0, Obeyed, DropNone},
		"peer, version":                       {far, backup, 255, v2, us3, 0, Refused, DropVersion},
		"peer, behind a router":               {far, backup, 254, v3, us3, 0, Invalid, DropTTL},
		"peer, behind a router, allowed":      {far, backup, 254, v3, us3, 254, Obeyed, DropNone},
		"peer, behind one router too many":    {far, backup, 253, v3, us3, 254, Invalid, DropTTL},
		"peer, by multicast":                  {master, group, 255, v3, us3, 0, Refused, DropMulticast},
		"peer, by multicast, other VIPs":      {master, group, 255, foreign, us3, 0, Refused, DropMulticast},
		"peer, by multicast through a router": {master, group, 254, v3, us3, 254, Invalid, DropTTL},
		"a director that is no peer":          {stranger, backup, 255, v3, us3, 0, Stranger, DropNotPeer},
		"nobody":                              {nobody, backup, 255, v3, us3, 0, Stranger, DropNotPeer},
		"nobody, other VIPs":                  {nobody, backup, 255, foreign, us3, 0, Stranger, DropNotPeer},
		"nobody, by multicast":                {nobody, group, 255, v3, us3, 0, Stranger, DropNotPeer},
		"nobody, by multicast, other VIPs":    {nobody, group, 255, foreign, us3, 0, Invalid, DropVRID},
		"nobody, other VRID with our VIP":     {nobody, backup, 255, other, us3, 0, Elsewhere, DropVRID},
		"to every host":                       {master, broadcast, 255, v3, us3, 0, Invalid, DropDestination},
		"our own source address":              {backup, backup, 255, v3, us3, 0, Invalid, DropOwnPacket},
	} {
		h := Classify(sentTo(t, c.from, c.to, c.ttl, c.p), c.us, []netip.Addr{vip}, unicastPeers(c.least))
		if h.Standing != c.want || h.Drop != c.drop {
			t.Errorf("%s: standing %d, dropped for %s; want %d, %s", name, h.Standing, h.Drop, c.want, c.drop)
		}
	}
}

// TestOwnGroup: with a group of its own, the group of the family is another one.
func TestOwnGroup(t *testing.T) {
	v3 := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	peers := ourPeers
	peers.Transport.Group = otherGroup
	for to, want := range map[netip.Addr]DropReason{otherGroup: DropNone, group: DropGroup, backup: DropUnicast} {
		if h := Classify(sentTo(t, master, to, 255, v3), Params{VRID: 51, Source: backup}, []netip.Addr{vip}, peers); h.Drop != want {
			t.Errorf("to %s: dropped for %s; want %s", to, h.Drop, want)
		}
	}
}

// TestOnlyPeersCount: whatever an address sends that is no peer, it is neither obeyed nor evidence; and the same for a
// TTL below the least.
func TestOnlyPeersCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := uint8(rapid.IntRange(0, 255).Draw(t, "least TTL"))
		peers := unicastPeers(least)
		from := rapid.SampledFrom([]netip.Addr{master, far, stranger, netip.MustParseAddr("10.77.0.67")}).Draw(t, "from")
		to := rapid.SampledFrom([]netip.Addr{backup, group, otherGroup, vip}).Draw(t, "to")
		ttl := rapid.IntRange(0, 255).Draw(t, "TTL")
		h := Classify(sentTo(t, from, to, ttl, Packet{
			Version: uint8(rapid.IntRange(2, 3).Draw(t, "version")), VRID: 51, Priority: rapid.Uint8().Draw(t, "priority"), Interval: sec,
			Addresses: rapid.SliceOfN(rapid.SampledFrom([]netip.Addr{vip, otherVIP}), 1, 3).Draw(t, "VIPs"),
		}), Params{VRID: 51, Source: backup}, []netip.Addr{vip}, peers)
		counts := h.Standing == Obeyed || h.Standing == Refused
		if peer := from == master || from == far; counts && !peer {
			t.Errorf("%s is no peer: %+v", from, h)
		}
		if counts && (ttl < int(peers.Transport.AcceptedTTL()) || to.IsMulticast() && ttl != TTL) {
			t.Errorf("TTL %d to %s with a least TTL of %d: %+v", ttl, to, least, h)
		}
		if h.Standing == Obeyed && to.IsMulticast() {
			t.Errorf("obeyed by multicast: %+v", h)
		}
	})
}

func TestDestinations(t *testing.T) {
	for _, c := range []struct {
		of     Transport
		family kernel.Family
		want   string
	}{
		{Transport{}, kernel.IPv4, "224.0.0.18"},
		{Transport{}, kernel.IPv6, "ff02::12"},
		{Transport{Group: otherGroup}, kernel.IPv4, "224.0.0.19"},
		{Transport{Unicast: true, Peers: []netip.Addr{master, far}, Group: otherGroup}, kernel.IPv4, "10.77.0.2 10.78.0.4"},
		{Transport{Unicast: true}, kernel.IPv4, ""},
	} {
		var got []string
		for _, a := range c.of.Destinations(c.family) {
			got = append(got, a.String())
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%+v: %s; want %s", c.of, text, c.want)
		}
	}
}

// TestTransportFindings: what a report says about a router whose transport differs, and about one that is no peer.
func TestTransportFindings(t *testing.T) {
	v3 := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	ownGroup := ourPeers
	ownGroup.Transport.Group = otherGroup
	for name, c := range map[string]struct {
		from, to netip.Addr
		peers    Peers
		state    State
		kind     FindingKind
		want     string
		ttl      int // 0: 255
	}{
		"unicast at multicast": {master, backup, ourPeers, Backup, RefusedAdverts, "sends VRRPv3 adverts by unicast for virtual router 51", 0},
		"multicast at unicast": {master, group, unicastPeers(0), Backup, RefusedAdverts, "sends VRRPv3 adverts by multicast for virtual router 51", 0},
		"another group":        {master, group, ownGroup, Master, RefusedAdverts, "sends VRRPv3 adverts to another multicast group for virtual router 51", 0},
		"no peer":              {stranger, backup, unicastPeers(0), Backup, UnknownRouter, "is none of the unicast_peers; they are ignored (not_peer)", 0},
		"no peer, two MASTERs": {stranger, backup, unicastPeers(0), Master, TwoMasters, "both machines hold the virtual addresses", 0},
		"behind a router":      {master, backup, unicastPeers(0), Master, RefusedAdverts, "with a TTL of less than 255: they are ignored (ttl)", 254},
	} {
		p := Params{VRID: 51, Source: backup}.withDefaults()
		if c.ttl == 0 {
			c.ttl = 255
		}
		h := Classify(sentTo(t, c.from, c.to, c.ttl, v3), p, []netip.Addr{vip}, c.peers)
		var s Sightings
		for at := range 5 {
			s.Note(time.Duration(at)*sec, h, p, []netip.Addr{vip})
		}
		found := s.Report(4*sec, View{Params: p, State: c.state, Peers: c.peers})
		if len(found) != 1 || found[0].Kind != c.kind || !strings.Contains(found[0].Text, c.want) || found[0].Remedy == "" {
			t.Errorf("%s: %+v; want kind %d with %q and a remedy", name, found, c.kind, c.want)
		}
	}
}
