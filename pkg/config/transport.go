package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Transport is how the adverts of an instance travel. The zero value is multicast to the group of the address family,
// from the director's address.
type Transport struct {
	Peers           UnicastPeers `json:",omitzero"`
	UnicastSource   netip.Addr   `json:",omitzero"`
	UnicastMinTTL   uint8        `json:",omitzero"` // 1-255; 0 means 255
	MulticastGroup  netip.Addr   `json:",omitzero"`
	MulticastSource netip.Addr   `json:",omitzero"`
}

// UnicastPeers is the value of unicast_peers. The zero value means multicast.
type UnicastPeers struct {
	// Directors says that the peers are all other directors of the file. Config.ForNode fills in their Addresses.
	Directors bool         `json:",omitzero"`
	Addresses []netip.Addr `json:",omitzero"`
}

// Unicast reports whether adverts go to unicast addresses.
func (t Transport) Unicast() bool { return t.Peers.Directors || len(t.Peers.Addresses) > 0 }

// Source returns the source address of adverts that the file demands; invalid if it leaves the choice to the director.
func (t Transport) Source() netip.Addr {
	if t.Unicast() {
		return t.UnicastSource
	}
	return t.MulticastSource
}

// sourceOf returns the source address of a director's adverts, on the network that its address is of.
func (t Transport) sourceOf(d Director) netip.Addr {
	if s := t.Source(); s.IsValid() {
		return s
	}
	return d.Address
}

// SourceOn returns the address from which a director sends the adverts of an instance, on the network that its address is
// of. i has its PerNode.
func (i Instance) SourceOn(d Director) netip.Addr { return i.forNode(d.Name).Transport.sourceOf(d) }

// peersOf returns the unicast peers of an instance on one director: the addresses of the list except its own, or those
// of all other directors that can be such a peer. i has its PerNode.
func (i Instance) peersOf(d Director, directors []Director) []netip.Addr {
	own := i.forNode(d.Name).Transport
	var all []netip.Addr
	add := func(a netip.Addr) {
		if a != own.sourceOf(d) && a != d.Address && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	for _, a := range own.Peers.Addresses {
		add(a)
	}
	if len(all) > 0 || !own.Peers.Directors { // the directors have been found by ForNode, or are not wanted
		return all
	}
	for _, other := range directors {
		if at := i.SourceOn(other); other.Name != d.Name && kernel.FamilyOf(at) == i.Family() {
			add(at)
		}
	}
	return all
}

// resolvePeers makes the unicast peers of an instance those of one director.
func (c *Config) resolvePeers(i Instance, director string) []netip.Addr {
	at := slices.IndexFunc(c.Directors, func(d Director) bool { return d.Name == director })
	if at < 0 {
		return i.forNode(director).Transport.Peers.Addresses
	}
	return i.peersOf(c.Directors[at], c.Directors)
}

func transportFields() []key[instance] {
	return []key[instance]{
		&field[instance, UnicastPeers]{
			name: "unicast_peers", kind: unicastPeers(), in: func(i *instance) *UnicastPeers { return &i.Transport.Peers },
			doc: "sends adverts to each of these addresses instead of the multicast group, and obeys those of no other address. " +
				"`true`: the other directors; a list may contain the director itself, which is left out. All directors of an " +
				"instance use unicast, or none ([operations.md](operations.md#unicast))",
			perNode: perNode, reload: Live,
			words: []word{keepalived("unicast_peer").write("`unicast_peers: [10.77.0.3]`, or `unicast_peers: true`")},
		},
		&field[instance, netip.Addr]{
			name: "unicast_source", kind: addressOf(noMachine+loopback, value.directorAddress), in: func(i *instance) *netip.Addr { return &i.Transport.UnicastSource },
			unset: "the director's address",
			doc: "the source address of unicast adverts, which is the address that the peers name. While this director does not " +
				"have it, the instance is in FAULT",
			perNode: perNode, reload: Live,
			words: []word{keepalived("unicast_src_ip")},
		},
		&field[instance, uint8]{
			name: "unicast_min_ttl", kind: wholeNumber[uint8](1, 255), in: func(i *instance) *uint8 { return &i.Transport.UnicastMinTTL },
			unset: "`255`",
			doc: "the least TTL (IPv6: hop limit) of a received unicast advert. Adverts are sent with 255, and each router on the " +
				"way subtracts 1: `254` for peers behind one router. With 255 nobody outside the network can forge them",
			perNode: perNode, reload: Live,
			words: []word{keepalived("min_ttl")},
		},
		&field[instance, netip.Addr]{
			name: "multicast_group", kind: multicastGroup(), in: func(i *instance) *netip.Addr { return &i.Transport.MulticastGroup },
			unset: "`224.0.0.18`, IPv6 `ff02::12`", doc: "the multicast group of the adverts",
			perNode: mustAgree, reload: Live,
			words: []word{keepalived("mcast_dst_ip", "vrrp_mcast_group4", "vrrp_mcast_group6")},
		},
		&field[instance, netip.Addr]{
			name: "multicast_source", kind: addressOf(noMachine+loopback, value.directorAddress), in: func(i *instance) *netip.Addr { return &i.Transport.MulticastSource },
			unset:   "the director's address",
			doc:     "the source address of multicast adverts. While this director does not have it, the instance is in FAULT",
			perNode: perNode, reload: Live,
			words: []word{keepalived("mcast_src_ip")},
		},
	}
}

// unicastPeers is true, false or a list of addresses.
func unicastPeers() kind[UnicastPeers] {
	item, one := addressOf(noMachine+loopback, value.directorAddress), 1
	return kind[UnicastPeers]{
		form: form{text: "`true`, `false` or list of addresses", schema: &Schema{AnyOf: []*Schema{
			{Type: "boolean"}, {Type: "array", Items: item.schema, MinItems: &one, UniqueItems: true},
		}}},
		read: value.unicastPeers,
		same: func(a, b UnicastPeers) bool {
			return a.Directors == b.Directors && slices.Equal(a.Addresses, b.Addresses)
		},
		show: func(UnicastPeers) string { return "false" },
		json: func(UnicastPeers) any { return false },
	}
}

func (v value) unicastPeers() (peers UnicastPeers) {
	switch {
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool":
		peers.Directors = v.boolean(false)
		return peers
	case v.node.Kind != yaml.SequenceNode:
		v.fail(v.booleanHint(), "want true or a list of addresses, found %s", v.found())
		return peers
	}
	v.notEmpty("at least one address, or true for all other directors")
	for _, item := range v.items("addresses") {
		switch a := item.directorAddress(); {
		case !a.IsValid():
		case slices.Contains(peers.Addresses, a):
			item.fail("", "%s is listed twice", a)
		default:
			peers.Addresses = append(peers.Addresses, a)
		}
	}
	return peers
}

// multicastGroup is a multicast address.
func multicastGroup() kind[netip.Addr] {
	return scalar("multicast address", Schema{Type: "string", Pattern: `^((22[4-9]|23[0-9])\.|[fF][fF])`}, value.multicastGroup)
}

// everyHost is a group that every host of a network is a member of (RFC 1112, section 4).
var everyHost = netip.MustParseAddr("224.0.0.1")

func (v value) multicastGroup() netip.Addr {
	s := v.text()
	if s == "" {
		return netip.Addr{}
	}
	switch a, err := netip.ParseAddr(s); {
	case err != nil || a.Zone() != "" || !a.IsMulticast():
		v.fail("", "%s is not a multicast address", quote(s))
	case a == everyHost, a == netip.IPv6LinkLocalAllNodes(), a.IsInterfaceLocalMulticast():
		v.fail("", "%s is not a group of routers", a)
	default:
		return a
	}
	return netip.Addr{}
}

// checkTransports applies the rules about the transport of adverts.
func (c *contents) checkTransports() {
	directors := make([]Director, 0, len(c.directors))
	for _, d := range c.directors {
		if d.v.Name == "" || !d.v.Address.IsValid() {
			return // reported already
		}
		directors = append(directors, d.v)
	}
	for _, in := range c.instances {
		if !c.checkTransportKeys(in) {
			continue
		}
		switch unicast, multicast := in.v.transports(directors); {
		case unicast == "":
		case multicast != "":
			in.at.setting(multicast, "unicast_peers").fail("write unicast_peers in the instance itself, or on every director",
				"%s uses unicast and %s multicast: both would become MASTER", unicast, multicast)
		default:
			checkPeers(in, directors)
		}
	}
}

// transports returns a director that uses unicast for an instance and one that uses multicast; "" if none does.
func (i Instance) transports(directors []Director) (unicast, multicast string) {
	for _, d := range directors {
		if i.forNode(d.Name).Transport.Unicast() {
			unicast = d.Name
		} else {
			multicast = d.Name
		}
	}
	return unicast, multicast
}

// checkTransportKeys rejects keys of the other transport and addresses of the other family. It reports whether there are
// none.
func (c *contents) checkTransportKeys(in placed[instance]) (good bool) {
	good = true
	all, family := in.v.byDirector(), in.v.Family()
	reported := map[*yaml.Node]bool{}
	fail := func(v value, hint, format string, args ...any) {
		if good = false; !reported[v.node] {
			reported[v.node] = true
			v.fail(hint, format, args...)
		}
	}
	for _, d := range slices.Sorted(maps.Keys(all)) {
		t := all[d].Transport
		for _, one := range []struct {
			key     string
			given   bool
			unicast bool
			address netip.Addr
		}{
			{"unicast_source", t.UnicastSource.IsValid(), true, t.UnicastSource},
			{"unicast_min_ttl", t.UnicastMinTTL != 0, true, netip.Addr{}},
			{"multicast_group", t.MulticastGroup.IsValid(), false, t.MulticastGroup},
			{"multicast_source", t.MulticastSource.IsValid(), false, t.MulticastSource},
		} {
			at := in.at.setting(d, one.key)
			switch {
			case !one.given:
			case one.unicast && !t.Unicast():
				fail(at, "add unicast_peers, or remove it", "is for unicast, and the adverts of this instance go to the multicast group")
			case !one.unicast && t.Unicast():
				fail(at, "remove it", "is for multicast, and the adverts of this instance go to unicast_peers")
			case one.address.IsValid() && kernel.FamilyOf(one.address) != family:
				fail(at, "", "%s is not %s, the family of virtual_addresses", one.address, family)
			}
		}
		list := in.at.setting(d, "unicast_peers")
		for n, a := range t.Peers.Addresses {
			if items := list.entries(); kernel.FamilyOf(a) != family && n < len(items) {
				fail(items[n], "", "%s is not %s, the family of virtual_addresses", a, family)
			}
		}
	}
	return good
}

// checkPeers requires at least one peer on each director, and warns about a director that others do not take for one.
func checkPeers(in placed[instance], directors []Director) {
	if len(directors) == 1 && in.v.forNode(directors[0].Name).Transport.Peers.Directors {
		in.at.setting(directors[0].Name, "unicast_peers").warn("list the other routers", "the file has no other director to send adverts to")
		return
	}
	reported := map[*yaml.Node]bool{}
	for _, d := range directors {
		at, peers := in.at.setting(d.Name, "unicast_peers"), in.v.peersOf(d, directors)
		if reported[at.node] {
			continue
		}
		if len(peers) == 0 {
			reported[at.node] = true
			at.fail("list the addresses of the others", "has no %s address of another router for %s", in.v.Family(), d.Name)
			continue
		}
		var lacking []string
		for _, other := range directors {
			source := in.v.SourceOn(other)
			if other.Name != d.Name && kernel.FamilyOf(source) == in.v.Family() && !slices.Contains(peers, source) {
				lacking = append(lacking, fmt.Sprintf("%s (%s)", other.Name, source))
			}
		}
		if len(lacking) > 0 {
			reported[at.node] = true
			at.warn("add it", "%s is no peer of %s, which ignores its adverts", strings.Join(lacking, ", "), d.Name)
		}
	}
}
