package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Sightings are the routers whose packets an instance has received lately, whether they are obeyed or not. What status
// says about other routers comes from here. Times are those of the machine. The zero value is empty.
type Sightings struct {
	all []sighting
}

// sighting is an uninterrupted run of packets of one kind from one source.
type sighting struct {
	Heard
	kind           sightingKind
	first, last    time.Duration
	shared         bool         // the last advert lists one of our VIPs
	missing, extra []netip.Addr // our VIPs that the last advert lacks; the addresses that it has instead
}

// sightingKind separates the packets of one source: a broken packet must not hide the adverts that are sent with it.
type sightingKind uint8

const (
	malformed     sightingKind = iota
	ofOurs                     // with our VRID
	refusedOfOurs              // likewise, but refused
	ofOthers                   // with another VRID
)

const (
	// sightingsKept limits the sources, because addresses can be forged.
	sightingsKept = 16
	// seenFor is the least time for which a router is reported after its last packet.
	seenFor = 2 * time.Second
	// sampledFor is the same for packets of which only a sample is read, one a second.
	sampledFor = 4 * time.Second
)

// Note adds a received packet. It ignores packets that say nothing about another router. A resignation ends the run of
// its source.
func (s *Sightings) Note(now time.Duration, h Heard, p Params, vips []netip.Addr) {
	p = p.withDefaults()
	kind := ofOurs
	switch {
	case h.Standing == Elsewhere:
		kind = ofOthers
	case h.Standing == Refused:
		kind = refusedOfOurs
	case h.Standing == Invalid && (h.Drop == DropOwnPacket || h.Drop == DropVRID):
		return
	case h.Standing == Invalid:
		kind = malformed
		h.Packet = Packet{VRID: p.VRID, Interval: p.AdvertInterval}
	}
	s.expire(now)
	at := slices.IndexFunc(s.all, func(o sighting) bool { return o.kind == kind && o.Source == h.Source })
	switch {
	case kind != malformed && h.Packet.Priority == PriorityResign:
		if at >= 0 {
			s.all = slices.Delete(s.all, at, at+1)
		}
		return
	case at < 0 && !s.room(h):
		return
	case at < 0:
		at = len(s.all)
		s.all = append(s.all, sighting{kind: kind, first: now})
	}
	o := &s.all[at]
	o.Heard, o.last = h, now
	o.missing, o.extra = nil, nil
	o.shared = slices.ContainsFunc(h.Packet.Addresses, func(a netip.Addr) bool { return slices.Contains(vips, a) })
	if (kind == ofOurs || kind == refusedOfOurs) && !slices.Equal(vips, h.Packet.Addresses) {
		o.missing, o.extra = lacking(vips, h.Packet.Addresses), lacking(h.Packet.Addresses, vips)
	}
}

// lacking returns the elements of want that are not in have.
func lacking(want, have []netip.Addr) []netip.Addr {
	there := make(map[netip.Addr]bool, len(have))
	for _, a := range have {
		there[a] = true
	}
	return slices.DeleteFunc(slices.Clone(want), func(a netip.Addr) bool { return there[a] })
}

// room makes room for one more run; a director of the cluster file may displace another router.
func (s *Sightings) room(h Heard) bool {
	if len(s.all) < sightingsKept {
		return true
	}
	at := slices.IndexFunc(s.all, func(o sighting) bool { return !o.Director })
	if !h.Director || at < 0 {
		return false
	}
	s.all = slices.Delete(s.all, at, at+1)
	return true
}

// expire forgets the routers that have been silent for so long that they are no longer MASTER.
func (s *Sightings) expire(now time.Duration) {
	s.all = slices.DeleteFunc(s.all, func(o sighting) bool { return now-o.last > o.lifetime() })
}

func (o *sighting) lifetime() time.Duration {
	least := seenFor
	if o.kind == ofOthers {
		least = sampledFor
	}
	// Half an interval more than a router that has lost three adverts in a row.
	return max(downAdverts*o.Packet.Interval+o.Packet.Interval/2, least)
}

// View is the instance's own part of a report.
type View struct {
	Params Params
	State  State
	Since  time.Duration // of State
	Peers  Peers
}

// Finding is something that is wrong with the routers around an instance.
type Finding struct {
	Kind   FindingKind
	Source netip.Addr
	Text   string // begins with the source
	Remedy string
}

// FindingKind is the kind of a Finding.
type FindingKind uint8

// The kinds.
const (
	// TwoMasters: this director is MASTER and has received adverts of another MASTER for three intervals: the other one
	// does not receive ours.
	TwoMasters FindingKind = iota
	// RefusedAdverts: a router that holds the VIPs sends adverts that are refused.
	RefusedAdverts
	// UnknownMaster: this director follows a MASTER that is not in the cluster file.
	UnknownMaster
	// UnknownRouter: a router that is not in the cluster file, or one of another virtual router, uses our VRID.
	UnknownRouter
	// VIPsNotHeld: the MASTER does not have all VIPs.
	VIPsNotHeld
	// VIPListsDiffer: another router of ours has other VIPs.
	VIPListsDiffer
	// VIPsElsewhere: another virtual router has one of our VIPs.
	VIPsElsewhere
	// InvalidPackets: a router sends packets with our VRID that are malformed.
	InvalidPackets
	// VIPClaimed: another machine has one of our VIPs, according to ARP (Claims).
	VIPClaimed
)

// Report returns what is wrong now, in the order of the sources.
func (s *Sightings) Report(now time.Duration, v View) []Finding {
	s.expire(now)
	var found []Finding
	c := s.company()
	for i := range s.all {
		found = append(found, s.all[i].judge(v, c)...)
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return a.Source.Compare(b.Source) })
	return found
}

// Contested reports whether another machine has held VIPs of this instance for three intervals, according to its adverts,
// beside a MASTER. Then it is useless to announce them: see Machine.
func (s *Sightings) Contested(now time.Duration, v View) bool {
	s.expire(now)
	return v.State == Master && slices.ContainsFunc(s.all, func(o sighting) bool {
		return (o.Standing == Obeyed || o.Standing == Refused || o.Standing == Elsewhere) && o.lasts(v)
	})
}

// lasts reports whether the run has gone on for three intervals, a little less because packets are delayed by different
// times, since the instance entered its state: during an election other routers are MASTER for up to an interval.
func (o *sighting) lasts(v View) bool {
	interval := max(o.Packet.Interval, v.Params.AdvertInterval)
	return o.last-max(o.first, v.Since) >= downAdverts*interval-interval/2
}

// company are the routers that the instance takes for MASTERs of its own virtual router.
type company struct {
	masters   []netip.Addr
	directors int          // of these
	elsewhere []netip.Addr // the addresses of machines that are MASTER of one of our VIPs with another VRID
}

func (s *Sightings) company() (c company) {
	for i := range s.all {
		switch o := &s.all[i]; o.Standing {
		case Obeyed, Refused:
			c.masters = append(c.masters, o.Source)
			if o.Director {
				c.directors++
			}
		case Elsewhere:
			c.elsewhere = append(c.elsewhere, o.Packet.Addresses...)
		}
	}
	return c
}

func (o *sighting) judge(v View, c company) []Finding {
	say := func(kind FindingKind, remedy, format string, args ...any) Finding {
		return Finding{Kind: kind, Source: o.Source, Remedy: remedy, Text: o.Source.String() + " " + fmt.Sprintf(format, args...)}
	}
	switch o.Standing {
	case Invalid:
		if o.Drop == DropTTL && o.Director && v.Peers.Transport.Unicast {
			return []Finding{say(RefusedAdverts, "if routers are on the way, allow what they leave of the TTL: unicast_min_ttl, 254 behind one router. A keepalived sends 64 with IPv6, unless it has unicast_ttl 255",
				"sends packets for virtual router %d with a TTL of less than %d: they are ignored (%s), and if it is MASTER, so may this director be",
				v.Params.VRID, v.Peers.Transport.AcceptedTTL(), o.Drop)}
		}
		return []Finding{say(InvalidPackets, "", "sends packets for virtual router %d that are not valid (%s)", v.Params.VRID, o.Drop)}
	case Elsewhere:
		// Our MASTER may have the VIP in another instance, while the cluster file is being changed: see lists.
		if !o.lasts(v) || v.State != Master && slices.Contains(c.masters, o.Source) {
			return nil
		}
		return []Finding{say(VIPsElsewhere, "", "is MASTER of virtual router %d with %s, which this instance has in virtual router %d: two machines hold it",
			o.Packet.VRID, join(o.Packet.Addresses), v.Params.VRID)}
	case Stranger:
		if o.Drop == DropNotPeer {
			return []Finding{o.outsider(v, say)}
		}
		return []Finding{say(UnknownRouter, "", "is MASTER of another virtual router %d with %s and is no director of the cluster file; its adverts are ignored (%s)",
			v.Params.VRID, join(o.Packet.Addresses), o.Drop)}
	case Refused:
		return append([]Finding{o.refused(v, say)}, o.lists(v, c, say)...)
	case Obeyed:
		return append(o.obeyed(v, c, say), o.lists(v, c, say)...)
	}
	return nil
}

type sayFunc = func(kind FindingKind, remedy, format string, args ...any) Finding

// refused judges a router whose adverts are refused.
func (o *sighting) refused(v View, say sayFunc) Finding {
	r := refusedAdvert{Version: o.Packet.Version, AuthType: o.Packet.AuthType, OwnAuth: v.Params.AuthType, Why: o.Drop, Interval: o.Packet.Interval}
	result := "this director does not take the virtual addresses while it sends them"
	switch {
	case v.State == Master:
		result = "both machines hold the virtual addresses"
	case v.Peers.IgnoreRefused:
		result = "this director takes the virtual addresses all the same (ignore_refused_adverts)"
	}
	if v.Peers.Complete && !o.Director {
		result += "; it is no director of the cluster file"
	}
	remedy := ""
	switch o.Drop {
	case DropVersion:
		remedy = fmt.Sprintf("give both the same version: protocol_version here is %d", v.Params.Version)
	case DropAuth:
		remedy = r.remedy(o.Source)
	case DropUnicast:
		remedy = fmt.Sprintf("adverts here go to the multicast group: write unicast_peers on all directors, or on none (keepalived: unicast_peer on %s)", o.Source)
	case DropMulticast:
		remedy = fmt.Sprintf("adverts here go to the unicast_peers: write unicast_peers on all directors, or on none (keepalived: add unicast_peer on %s)", o.Source)
	case DropGroup:
		remedy = fmt.Sprintf("give both the same group: multicast_group here is %s", v.Peers.Transport.GroupOf(kernel.FamilyOf(o.Source)))
	case DropInterval:
		remedy = fmt.Sprintf("give both the same interval, as version 2 requires: advert_interval here is %s", v.Params.AdvertInterval)
	}
	return say(RefusedAdverts, remedy, "sends %s for virtual router %d: they are refused, and it follows none of ours; %s", r, v.Params.VRID, result)
}

// outsider judges a router that is none of the unicast_peers. Its adverts are never evidence, but clients may use it.
func (o *sighting) outsider(v View, say sayFunc) Finding {
	const remedy = "if it is a router of this instance, add its address to unicast_peers, on all directors; otherwise stop its VRRP"
	if v.State == Master && o.shared && o.lasts(v) {
		return say(TwoMasters, remedy, "is MASTER of virtual router %d too, with priority %d: its adverts are ignored because it is none of the unicast_peers, and both machines hold the virtual addresses",
			v.Params.VRID, o.Packet.Priority)
	}
	return say(UnknownRouter, remedy, "sends adverts of virtual router %d with priority %d and is none of the unicast_peers; they are ignored (%s)",
		v.Params.VRID, o.Packet.Priority, o.Drop)
}

// obeyed judges a router whose adverts are obeyed.
func (o *sighting) obeyed(v View, c company, say sayFunc) (found []Finding) {
	switch unknown := v.Peers.Complete && !o.Director; {
	case unknown && v.State != Master && c.directors == 0:
		found = append(found, say(UnknownMaster, "", "is MASTER with priority %d and is no director of the cluster file: another virtual router %d in this network, "+
			"or forged adverts (VRRP has no authentication: find that machine, or choose another virtual_router_id)", o.Packet.Priority, v.Params.VRID))
	case unknown:
		found = append(found, say(UnknownRouter, "", "sends adverts of virtual router %d with priority %d and is no director of the cluster file",
			v.Params.VRID, o.Packet.Priority))
	}
	if v.State == Master && o.lasts(v) {
		found = append(found, say(TwoMasters, "", "is MASTER of virtual router %d too, with priority %d: it does not receive our adverts, and both machines hold the virtual addresses",
			v.Params.VRID, o.Packet.Priority))
	}
	return found
}

// lists judges the VIPs of a router of ours. They differ for a moment while the cluster file is being changed.
func (o *sighting) lists(v View, c company, say sayFunc) []Finding {
	switch {
	case len(o.missing)+len(o.extra) == 0 || !o.lasts(v):
		return nil
	case v.State != Master && len(c.masters) == 1:
		if nowhere := lacking(o.missing, c.elsewhere); len(nowhere) > 0 {
			return []Finding{say(VIPsNotHeld, "", "is MASTER of virtual router %d without %s: no director holds it", v.Params.VRID, join(nowhere))}
		}
	}
	return []Finding{say(VIPListsDiffer, "", "has other virtual addresses for virtual router %d: %s", v.Params.VRID, o.differences())}
}

// differences describes how the lists of VIPs differ.
func (o *sighting) differences() string {
	var parts []string
	if len(o.missing) > 0 {
		parts = append(parts, "not "+join(o.missing))
	}
	if len(o.extra) > 0 {
		parts = append(parts, "also "+join(o.extra))
	}
	return strings.Join(parts, ", ")
}

// join lists addresses, the first four.
func join(all []netip.Addr) string {
	const named = 4
	texts := make([]string, 0, named)
	for _, a := range all[:min(len(all), named)] {
		texts = append(texts, a.String())
	}
	text := strings.Join(texts, ", ")
	if more := len(all) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
