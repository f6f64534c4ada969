package config

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// maxTargets is how many targets a gateway track may have.
const maxTargets = 16

// GatewayCheck asks hosts whether they are there.
type GatewayCheck struct {
	noSecret
	Targets Addrs
	AtLeast int  // how many of them must answer, at least 1
	ARP     bool // by ARP or neighbour discovery instead of ICMP echo
}

// Addrs is a list of addresses as text, so that values are comparable.
type Addrs string

// List returns the addresses.
func (a Addrs) List() []netip.Addr {
	var all []netip.Addr
	for text := range strings.FieldsSeq(string(a)) {
		all = append(all, netip.MustParseAddr(text)) // only what was an address
	}
	return all
}

// addrsOf returns a list of addresses.
func addrsOf(all ...netip.Addr) Addrs {
	text := make([]string, len(all))
	for i, a := range all {
		text[i] = a.String()
	}
	return Addrs(strings.Join(text, " "))
}

// Type returns Gateway.
func (GatewayCheck) Type() CheckType { return Gateway }

// Network returns OverICMP.
func (GatewayCheck) Network() Network { return OverICMP }

// Probe calls p.Gateway.
func (c GatewayCheck) Probe(p Prober) { p.Gateway(c) }

// Target returns the only target of a check that is a part of a track: see Track.Checks.
func (c GatewayCheck) Target() netip.Addr { return c.Targets.List()[0] }

// checks returns the check of each target.
func (c GatewayCheck) checks(with Check) []Check {
	var all []Check
	for _, target := range c.Targets.List() {
		with.Kind = GatewayCheck{Targets: addrsOf(target), AtLeast: 1, ARP: c.ARP}
		all = append(all, with)
	}
	return all
}

func (GatewayCheck) sealed() {}

func gatewayTrack() trackKind {
	return scheduled(Gateway, "enough of the `targets` answer", []key[GatewayCheck]{
		&field[GatewayCheck, Addrs]{
			name: "targets", in: func(c *GatewayCheck) *Addrs { return &c.Targets }, kind: targets(),
			required: "the addresses to ask, for example [10.77.0.1]",
			doc:      "the addresses to ask, at most 16",
			reload:   Restart,
		},
		&field[GatewayCheck, int]{
			name: "at_least", kind: atLeast(), in: func(c *GatewayCheck) *int { return &c.AtLeast }, def: 1,
			doc: "how many of the targets must answer", reload: Restart,
		},
		&field[GatewayCheck, bool]{
			name: "method", kind: gatewayMethod(), in: func(c *GatewayCheck) *bool { return &c.ARP },
			unset: "`ping`", doc: "`ping`: ICMP echo. `arp`: ARP, for IPv6 neighbour discovery, which hosts on the same network answer even if they drop ICMP",
			reload: Restart,
		},
	}, func(c GatewayCheck, o object) CheckKind {
		if n := len(c.Targets.List()); c.AtLeast > n && n > 0 {
			o.locate("at_least").fail("", "%d of %d targets can never answer", c.AtLeast, n)
		}
		return c
	})
}

func gatewayMethod() kind[bool] {
	k := oneOf[string](vocabulary{what: "a method", words: []string{"ping", "arp"}})
	return scalar(k.text, *k.schema, func(v value) bool { return k.read(v) == "arp" })
}

func targets() kind[Addrs] {
	item, one, most := addressOf(noMachine, value.routableAddress), 1, maxTargets
	return scalar("list of addresses", Schema{Type: "array", Items: item.schema, MinItems: &one, MaxItems: &most, UniqueItems: true}, func(v value) Addrs {
		v.notEmpty("at least one address")
		var all []netip.Addr
		for i, one := range v.items("addresses") {
			switch a := one.routableAddress(); {
			case i == maxTargets:
				one.fail("", "is one more than %d targets", maxTargets)
			case !a.IsValid():
			case slices.Contains(all, a):
				one.fail("", "%s is listed twice", a)
			default:
				all = append(all, a)
			}
		}
		return addrsOf(all...)
	})
}

// checkGateways warns about gateways that are asked too seldom to keep a director that is cut off from becoming MASTER. Its
// master-down timer ends at the earliest two intervals of adverts after the cut (RFC 9568, section 6.1; the last advert may
// be one old), and the first question without an answer must have failed by then.
func (c *contents) checkGateways() {
	for _, in := range c.instances {
		all := in.v.byDirector()
		for _, director := range slices.Sorted(maps.Keys(all)) {
			if t, found := c.slowGateway(all[director]); found {
				most := 2 * all[director].AdvertInterval
				in.at.setting(director, "tracks").warn("give the track an interval and a timeout of "+span(most)+" together, at most",
					"with adverts every %s, a director that is cut off becomes MASTER before %s, which is asked every %s, has failed", span(all[director].AdvertInterval), t.Name, span(t.Check.Interval))
				break
			}
		}
	}
}

func (c *contents) slowGateway(i Instance) (Track, bool) {
	for _, t := range c.tracks {
		_, is := t.v.Check.Kind.(GatewayCheck)
		used := slices.ContainsFunc(i.Tracks, func(u TrackUse) bool { return u.Name == t.v.Name })
		if used && is && t.v.Gate && i.AdvertInterval > 0 && t.v.Check.Interval+t.v.Check.Timeout > 2*i.AdvertInterval {
			return t.v.Track, true
		}
	}
	return Track{}, false
}
