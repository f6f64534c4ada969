package config

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// BFD is how fast a BFD session finds that its neighbour is gone: after Multiplier intervals without a packet. The
// neighbour may ask for a longer interval.
type BFD struct {
	Interval   time.Duration
	Multiplier uint8 // from 2
}

// BFDSession is a session with a router that is no director. While it is down, every instance that tracks its name is in
// FAULT.
type BFDSession struct {
	Name      string
	Interface string
	Address   netip.Addr
	BFD
	Passive bool // waits for the neighbour to begin
}

// PeerBFD are the sessions of an instance with the other directors.
type PeerBFD struct {
	BFD
	// Addresses are those from which the directors send their adverts; empty if the file does not list them.
	// Config.ForNode makes them those of the other directors.
	Addresses []netip.Addr
}

// resolvePeerBFD makes the sessions of an instance those of one director: with each of the other directors, at the
// address from which it sends its adverts. i has its PerNode.
func (c *Config) resolvePeerBFD(i Instance, director string) *PeerBFD {
	at := slices.IndexFunc(c.Directors, func(d Director) bool { return d.Name == director })
	if i.PeerBFD == nil || at < 0 {
		return i.PeerBFD
	}
	p, own := *i.PeerBFD, i.forNode(director).Transport
	if len(p.Addresses) == 0 {
		p.Addresses = i.peersOf(c.Directors[at], c.Directors)
	}
	if len(p.Addresses) == 0 {
		for _, d := range c.Directors {
			p.Addresses = append(p.Addresses, i.SourceOn(d))
		}
	}
	p.Addresses = slices.DeleteFunc(slices.Clone(p.Addresses), func(a netip.Addr) bool {
		return a == c.Directors[at].Address || a == own.sourceOf(c.Directors[at]) || kernel.FamilyOf(a) != i.Family()
	})
	return &p
}

const (
	minBFDInterval = 10 * time.Millisecond
	maxBFDInterval = 10 * time.Second
	// steadyDetection is the shortest detection time that any current host can keep, virtual machines included.
	steadyDetection = 100 * time.Millisecond
)

// bfdFields are the keys that all sessions have.
func bfdFields[S any](in func(*S) *BFD, other ...word) []key[S] {
	return []key[S]{
		&field[S, time.Duration]{
			name: "interval", kind: durationIn(minBFDInterval, maxBFDInterval), in: func(s *S) *time.Duration { return &in(s).Interval },
			def: 100 * time.Millisecond, doc: "the interval between packets, in both directions; the neighbour may ask for a longer one",
			reload: Live,
			words:  append([]word{keepalived("min_rx", "min_tx")}, other...),
		},
		&field[S, uint8]{
			name: "multiplier", kind: wholeNumber[uint8](2, 255), in: func(s *S) *uint8 { return &in(s).Multiplier }, def: 3,
			doc: "how many packets in a row must be missing. Below `" + span(steadyDetection) + "` in all, there is a " +
				"[warning](operations.md#false-alarms)",
			reload: Live,
		},
	}
}

// warnFast warns about a detection time that a host may miss by itself.
func (b BFD) warnFast(o object) {
	if within := time.Duration(b.Multiplier) * b.Interval; within > 0 && within < steadyDetection {
		o.locate("interval").warn("see false alarms in operations.md, or run on every director: nice -n -20 lvsctl check --host FILE",
			"%d × %s: a director that gets no CPU for %s is taken for dead, and some machines have such pauses", b.Multiplier, span(b.Interval), span(within))
	}
}

func bfdSection() *sectionOf[BFDSession] {
	s := &sectionOf[BFDSession]{
		section: section{
			name: "bfd_sessions",
			what: "a BFD session with name, interface and address",
			intro: "A session of Bidirectional Forwarding Detection (RFC 5880 and 5881, asynchronous mode, without authentication) with a\n" +
				"router on the same link that runs BFD, too. Instances track it by its name, like [a track](#tracks), and are in FAULT while\n" +
				"it is down. It is not down before it has been up for the first time, nor while the router has switched BFD off\n" +
				"(AdminDown). For sessions between the directors see [`peer_bfd`](#peer_bfd).",
			words: []word{
				needless("is keepalived's word: a session that is not up sends a packet per second (RFC 5880)", "idle_tx"),
				needless("is keepalived's word: packets come from the interface's own address", "source_ip"),
				needless("is keepalived's word: single-hop BFD demands TTL 255", "ttl", "hoplimit", "max_hops"),
				needless("is keepalived's word: a session that is down puts the instances that track it into FAULT", "weight"),
			},
		},
		rules: func(b *BFDSession, o object) {
			b.warnFast(o)
			if b.Address.IsLoopback() {
				o.locate("address").fail("", "%s is a loopback address", b.Address)
			}
		},
	}
	s.fields = slices.Concat([]key[BFDSession]{
		&field[BFDSession, string]{
			name: "name", kind: nodeName, in: func(b *BFDSession) *string { return &b.Name },
			required: "the name that instances track it by",
			doc:      "the name that instances track it by; unique, also among tracks", reload: Live,
		},
		&field[BFDSession, string]{
			name: "interface", in: func(b *BFDSession) *string { return &b.Interface },
			kind:     texts("text", Schema{Pattern: `^[!-.0-9;-?A-~]{1,15}$`, Not: &Schema{Enum: []any{"lo", ".", ".."}}}, value.networkInterface),
			required: "the network interface towards the router, for example eth0",
			doc:      "the network interface towards the router", reload: Another,
		},
		&field[BFDSession, netip.Addr]{
			name: "address", kind: addressOf(noMachine+loopback, value.address), in: func(b *BFDSession) *netip.Addr { return &b.Address },
			required: "the router's address on that network",
			doc:      "the router's address on that network, and of no director", reload: Another,
			words: []word{keepalived("neighbor_ip")},
		},
	}, bfdFields(func(b *BFDSession) *BFD { return &b.BFD }), []key[BFDSession]{
		&field[BFDSession, bool]{
			name: "passive", kind: flag(false), in: func(b *BFDSession) *bool { return &b.Passive },
			doc: "whether to send nothing before the router is heard", reload: Live,
		},
	})
	return s.build()
}

func bfdField(s *sectionOf[BFDSession]) key[contents] {
	return &field[contents, []placed[BFDSession]]{
		name: "bfd_sessions", in: func(c *contents) *[]placed[BFDSession] { return &c.bfd },
		kind: mappingsOf(&s.section, 0, func(v value) []placed[BFDSession] {
			list := s.each(v, "BFD sessions", BFDSession{})
			unique(list, "name", func(b BFDSession) string { return b.Name })
			return list
		}),
		unset: "none", doc: "BFD sessions with routers that instances depend on",
		words: []word{keepalived("bfd_instance")},
	}
}

func peerBFDSection() *sectionOf[PeerBFD] {
	s := &sectionOf[PeerBFD]{
		section: section{
			name: "peer_bfd", part: true, what: "a mapping with interval and multiplier",
			intro: "BFD sessions with the other directors, over the interface of the instance. If the one with the MASTER fails, the director\n" +
				"takes over at once, instead of after three adverts; see [operations.md](operations.md#bfd-between-directors). Instances on the\n" +
				"same interface share the sessions.",
		},
		rules: func(p *PeerBFD, o object) {
			p.warnFast(o)
			if slices.ContainsFunc(p.Addresses, netip.Addr.IsLoopback) {
				o.locate("addresses").fail("", "has a loopback address")
			}
		},
	}
	item := addressOf(noMachine+loopback, value.address)
	s.fields = append(bfdFields(func(p *PeerBFD) *BFD { return &p.BFD }), &field[PeerBFD, []netip.Addr]{
		name: "addresses", in: func(p *PeerBFD) *[]netip.Addr { return &p.Addresses },
		kind: listOf(item, "list of addresses", func(v value) []netip.Addr {
			var list []netip.Addr
			for _, one := range v.items("addresses") {
				list = append(list, one.address())
			}
			return list
		}),
		unset: "see the meaning", reload: Live,
		doc: "the addresses from which the directors send their adverts, of all directors: each ignores its own. By default those of " +
			"`unicast_peers`, `multicast_source` or `directors`; required with multicast over IPv6, whose adverts come from link-local addresses",
	})
	return s.build()
}

func peerBFDField() key[instance] {
	s := peerBFDSection()
	return &field[instance, *PeerBFD]{
		name: "peer_bfd", in: func(i *instance) **PeerBFD { return &i.PeerBFD },
		kind: kind[*PeerBFD]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) *PeerBFD {
				o, ok := v.object(&s.section)
				if !ok {
					return nil
				}
				p := new(PeerBFD)
				s.take(o, p)
				return p
			},
		},
		unset: "none", doc: "BFD sessions with the other directors, to take over from a dead MASTER sooner",
	}
}

// checkBFD rejects two sessions with one neighbour, which could not be told apart, and sessions of bfd_sessions with
// directors: if one of them fails, the other one must take over and not go to FAULT.
func (c *contents) checkBFD() {
	tracks := map[string]bool{}
	for _, t := range c.tracks {
		tracks[t.v.Name] = t.v.Name != ""
	}
	type neighbour struct {
		link    string
		address netip.Addr
	}
	first := map[neighbour]int{}
	for _, b := range c.bfd {
		at := neighbour{b.v.Interface, b.v.Address}
		line, twice := first[at]
		first[at] = b.at.locate("address").place.Line
		switch {
		case tracks[b.v.Name]:
			b.at.locate("name").fail("", "%s is the name of a track, too", b.v.Name)
		case !at.address.IsValid() || at.link == "":
		case twice:
			b.at.locate("address").fail("", "there is a session with %s on %s already, in line %d", at.address, at.link, line)
		}
		for _, d := range c.directors {
			if d.v.Address == at.address && at.address.IsValid() {
				b.at.locate("address").fail("write peer_bfd: {} into the instance", "%s is director %s: when it fails, the others must take over and not go to FAULT", at.address, d.v.Name)
			}
		}
	}
	c.checkPeerBFD()
}

// checkPeerBFD rejects instances of one interface and family whose sessions, which they share, have different settings.
func (c *contents) checkPeerBFD() {
	type settings struct {
		BFD
		by string
	}
	type link struct {
		director, device string
		family           kernel.Family
	}
	first := map[link]settings{}
	for _, in := range c.instances {
		if in.v.PeerBFD == nil {
			continue
		}
		all := in.v.byDirector()
		for _, director := range slices.Sorted(maps.Keys(all)) {
			at := link{director, all[director].Interface, in.v.Family()}
			known, found := first[at]
			if found && known.BFD != in.v.PeerBFD.BFD {
				in.at.locate("peer_bfd").fail("", "instance %s has other settings on the interface %s for %s, and they share the sessions", quote(known.by), at.device, at.family)
				break
			}
			first[at] = settings{in.v.PeerBFD.BFD, in.v.Name}
		}
		if in.v.Family() == kernel.IPv6 && !in.v.Transport.Unicast() && !in.v.Transport.Source().IsValid() && len(in.v.PeerBFD.Addresses) == 0 {
			in.at.locate("peer_bfd").fail("add addresses: the link-local addresses of all directors on this interface",
				"adverts over IPv6 come from link-local addresses, which are not those of directors")
		}
		if len(c.directors) == 1 {
			in.at.locate("peer_bfd").warn("", "there is no other director")
		}
	}
}

// sessionNames returns the names of the sessions that instances may track.
func (c *contents) sessionNames() []string {
	var names []string
	for _, b := range c.bfd {
		if b.v.Name != "" {
			names = append(names, b.v.Name)
		}
	}
	return names
}
