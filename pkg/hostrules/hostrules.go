package hostrules

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Options say what the cluster file does not.
type Options struct {
	// Clients are the networks of the clients of virtual servers; none: everybody. If some are of a family, packets of others
	// of that family are dropped.
	Clients []netip.Prefix
	// Networks returns the networks of an interface of the node; nil if the node is another machine. The addresses of the
	// directors are then taken to be on the interface of the instances, if these have only one.
	Networks func(link string) []netip.Prefix
}

// Of returns the rules of a node, which is a director, a real server or both, in the order in which they apply. The error
// is that the file does not name it.
func Of(cfg *config.Config, names []string, o Options) ([]Rule, error) {
	b := builder{o: o}
	d, notDirector := cfg.DirectorNamed(names...)
	members, notServer := cfg.RealServersNamed(names...)
	if notDirector != nil && notServer != nil {
		return nil, notDirector
	}
	if slices.ContainsFunc(o.Clients, netip.Prefix.IsValid) { // drops follow, which programs of this machine must not meet
		for _, f := range families {
			b.add(Rule{Why: "programs of this machine", Family: f, Link: "lo"})
		}
	}
	if notDirector == nil {
		own := cfg.ForNode(d.Name)
		b.adverts(cfg, own, d)
		b.bfd(own)
		b.sync(cfg, own, d)
		b.clients(own)
		b.answers(own)
	}
	if notServer == nil {
		b.tunnels(members)
		b.served(members)
		b.checks(cfg, members)
	}
	b.others(cfg, members, notDirector == nil)
	return b.rules, nil
}

var families = []kernel.Family{kernel.IPv4, kernel.IPv6}

type builder struct {
	o     Options
	rules []Rule
}

// add appends a rule that is not there yet.
func (b *builder) add(r Rule) {
	if r.Hook == "" {
		r.Hook = Input
	}
	if !slices.ContainsFunc(b.rules, func(other Rule) bool { return same(r, other) }) {
		b.rules = append(b.rules, r)
	}
}

// same reports whether two rules match the same packets and do the same.
func same(a, b Rule) bool {
	return a.Hook == b.Hook && a.Family == b.Family && a.Link == b.Link && a.Protocol == b.Protocol && a.OnLink == b.OnLink && a.Echo == b.Echo && a.Drop == b.Drop &&
		slices.Equal(a.From, b.From) && slices.Equal(a.To, b.To) && slices.Equal(a.FromPorts, b.FromPorts) && slices.Equal(a.ToPorts, b.ToPorts)
}

// located reports whether the addresses of the directors in the file are on an interface, so that what they send there
// comes from them. d is the node, which is a director.
func (b *builder) located(cfg *config.Config, d config.Director, link string) bool {
	if b.o.Networks != nil {
		return slices.ContainsFunc(b.o.Networks(link), func(p netip.Prefix) bool { return p.Contains(d.Address) })
	}
	return !slices.ContainsFunc(cfg.Instances, func(i config.Instance) bool { return i.Interface != link })
}

// sources returns the addresses from which the other directors send adverts of an instance by multicast; known is
// false if the file does not say one of them.
func (b *builder) sources(cfg *config.Config, i config.Instance, d config.Director) (all []netip.Addr, known bool) {
	located := b.located(cfg, d, i.Interface)
	for _, other := range cfg.Directors {
		if other.Name == d.Name {
			continue
		}
		source := other.Address
		for _, theirs := range cfg.ForNode(other.Name).Instances {
			if demanded := theirs.Transport.Source(); theirs.Name == i.Name && demanded.IsValid() {
				source = demanded
			} else if theirs.Name == i.Name && !located {
				return nil, false
			}
		}
		if kernel.FamilyOf(source) != i.Family() || i.Family() == kernel.IPv6 && !source.IsLinkLocalUnicast() {
			return nil, false // adverts of IPv6 come from a link-local address (RFC 9568, section 5.1.2.1)
		}
		all = append(all, source)
	}
	return all, true
}

// anyDemands reports whether a director has a source address of its own for an instance.
func anyDemands(cfg *config.Config, instance string) bool {
	return slices.ContainsFunc(cfg.Directors, func(d config.Director) bool {
		return slices.ContainsFunc(cfg.ForNode(d.Name).Instances, func(i config.Instance) bool {
			return i.Name == instance && i.Transport.Source().IsValid()
		})
	})
}

// adverts are VRRP of the other directors and of nobody else.
func (b *builder) adverts(cfg, own *config.Config, d config.Director) {
	multicast := false
	for _, i := range own.Instances {
		r := Rule{Why: "adverts of the other directors", Family: i.Family(), Protocol: vrrp}
		if i.Transport.Unicast() {
			r.From = prefixes(i.Family(), i.Transport.Peers.Addresses)
			b.add(r)
			continue
		}
		multicast = multicast || i.Family() == kernel.IPv4
		all, known := b.sources(cfg, i, d)
		if r.From = prefixes(i.Family(), all); !known {
			r.Why = "adverts from this network: the file does not say the addresses of the directors in it; multicast_source of an instance names them"
			r.Link, r.OnLink = i.Interface, true
		} else if len(all) == 0 {
			continue // no other director
		}
		b.add(r)
	}
	for _, i := range own.Instances {
		b.add(Rule{Why: "adverts of strangers", Family: i.Family(), Protocol: vrrp, Drop: true})
	}
	if multicast || own.ConnectionSync != nil {
		b.add(Rule{Why: "queries of switches, which else stop to pass the multicast groups on", Family: kernel.IPv4, Protocol: igmp})
	}
}

// bfd are the packets of the neighbours of BFD sessions.
func (b *builder) bfd(own *config.Config) {
	for _, f := range families {
		var all []netip.Addr
		for _, s := range own.BFDSessions {
			all = append(all, s.Address)
		}
		for _, i := range own.Instances {
			if i.PeerBFD != nil {
				all = append(all, i.PeerBFD.Addresses...)
			}
		}
		if from := prefixes(f, all); len(from) > 0 {
			slices.SortFunc(from, netip.Prefix.Compare)
			b.add(Rule{Why: "BFD of the neighbours", Family: f, From: slices.Compact(from), Protocol: udp, ToPorts: []uint16{bfdPort}, OnLink: true})
		}
	}
}

// sync are the messages of the connection synchronization.
func (b *builder) sync(cfg, own *config.Config, d config.Director) {
	s := own.ConnectionSync
	if s == nil {
		return
	}
	r := Rule{
		Why: "connection synchronization of the other directors", Family: kernel.IPv4,
		To: []netip.Addr{s.Group}, Protocol: udp, ToPorts: []uint16{s.Port},
	}
	stranger := r
	for _, i := range own.Instances {
		if i.Interface != s.Interface || i.Family() != kernel.IPv4 || anyDemands(cfg, i.Name) {
			continue // the kernel sends from the first address of the interface, whatever source an instance demands
		}
		if all, known := b.sources(cfg, i, d); known {
			r.From = prefixes(kernel.IPv4, all)
			break
		}
	}
	if len(r.From) == 0 {
		r.Why = "connection synchronization from this network: the file does not say the addresses of the directors in it"
		r.Link = s.Interface
	}
	b.add(r)
	stranger.Why, stranger.Drop = "connection synchronization of strangers", true
	b.add(stranger)
}
