package hostrules

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// fromClients accepts the packets of clients to an address; see others for those of everybody else.
func (b *builder) fromClients(why string, address netip.Addr, protocol string, ports []uint16) {
	b.add(Rule{
		Why: why, Family: kernel.FamilyOf(address), To: []netip.Addr{address}, Protocol: protocolOf(protocol), ToPorts: ports,
		From: only(kernel.FamilyOf(address), b.o.Clients),
	})
}

// tooBig are the ICMP errors of routers about answers of real servers, which go to the VIP: IPVS passes them on. Connection
// tracking knows no connection of theirs, because IPVS takes its packets, so that a rule for RELATED does not match.
func (b *builder) tooBig(address netip.Addr) {
	family := kernel.FamilyOf(address)
	protocol := uint8(icmp)
	if family == kernel.IPv6 {
		protocol = icmpv6
	}
	b.add(Rule{Why: "errors about answers to clients, such as \"fragmentation needed\"", Family: family, To: []netip.Addr{address}, Protocol: protocol})
}

// endpoint is one address and protocol with its ports; no ports: every one.
type endpoint struct {
	name     string
	address  netip.Addr
	protocol string
	ports    []uint16
}

// endpoints returns what clients of a virtual server connect to, the ports of an address together.
func endpoints(v config.VirtualServer) []endpoint {
	var all []endpoint
	for one := range v.Endpoints() {
		if !one.Address.IsValid() {
			continue // the rules of others that mark its packets are not known
		}
		at := slices.IndexFunc(all, func(e endpoint) bool { return e.address == one.Address && e.protocol == one.Protocol })
		if at < 0 {
			all = append(all, endpoint{name: v.Name, address: one.Address, protocol: one.Protocol})
			at = len(all) - 1
		}
		if one.Port != 0 {
			all[at].ports = append(all[at].ports, one.Port)
		}
	}
	return all
}

// clients are the packets to the virtual servers of a director.
func (b *builder) clients(own *config.Config) {
	for _, v := range own.VirtualServers {
		for _, e := range endpoints(v) {
			b.fromClients("clients of "+v.Name, e.address, e.protocol, e.ports)
			b.tooBig(e.address)
		}
	}
}

// answers are those of real servers with forward: nat, before IPVS rewrites them.
func (b *builder) answers(own *config.Config) {
	for _, v := range own.VirtualServers {
		for one := range v.Endpoints() {
			for _, r := range one.RealServers {
				if one.ForwardTo(r) != config.NAT || r.Address.IsLoopback() {
					continue
				}
				rule := Rule{
					Why: "answers of the real servers of " + v.Name, Hook: Forward, Family: kernel.FamilyOf(r.Address),
					From: prefixes(kernel.FamilyOf(r.Address), []netip.Addr{r.Address}), Protocol: protocolOf(one.Protocol),
				}
				if r.Port != 0 {
					rule.FromPorts = []uint16{r.Port}
				}
				b.add(rule)
			}
		}
	}
}

// served are the packets of clients that reach a real server: to the VIP, or with forward: nat to its own address.
func (b *builder) served(members []config.Membership) {
	for _, m := range members {
		v, r := m.VirtualServer, m.RealServer
		switch {
		case v.ForwardTo(r) != config.NAT:
			for _, e := range endpoints(v) {
				b.fromClients("clients of "+v.Name, e.address, e.protocol, e.ports)
			}
		default:
			for one := range v.Endpoints() {
				port := r.Port
				if port == 0 {
					port = one.Port
				}
				b.fromClients("clients of "+v.Name, r.Address, one.Protocol, portsOf(port))
				if len(v.SNATClients) > 0 {
					b.add(Rule{
						Why: "clients of " + v.Name + " whose address a director replaces by its own, which the file may not say", Family: kernel.FamilyOf(r.Address),
						To: []netip.Addr{r.Address}, Protocol: protocolOf(one.Protocol), ToPorts: portsOf(port),
					})
				}
			}
		}
	}
}

func portsOf(port uint16) []uint16 {
	if port == 0 {
		return nil
	}
	return []uint16{port}
}

// directors returns the addresses of a family from which the directors send checks. known is false if they may have others: their
// instances are on several interfaces, of which some have addresses that are not in the file.
func directors(cfg *config.Config, family kernel.Family) (all []netip.Prefix, known bool) {
	var addresses []netip.Addr
	known = true
	for _, d := range cfg.Directors {
		addresses = append(addresses, d.Address)
		links := map[string]bool{}
		for _, i := range cfg.ForNode(d.Name).Instances {
			source := i.Transport.Source()
			if source.IsLinkLocalUnicast() { // only adverts come from it
				source = netip.Addr{}
			}
			addresses = append(addresses, source)
			links[i.Interface] = links[i.Interface] || source.IsValid()
		}
		silent := 0
		for _, named := range links {
			if !named {
				silent++
			}
		}
		known = known && (silent == 0 || len(links) == 1)
	}
	all = prefixes(family, addresses)
	slices.SortFunc(all, netip.Prefix.Compare)
	all = slices.Compact(all)
	return all, known && len(all) > 0
}

// tunnels are the encapsulated packets that a real server gets. From where is not restricted: the director's kernel sends them
// from the address of its route to the server, which may be one that is not in the file.
func (b *builder) tunnels(members []config.Membership) {
	for _, m := range members {
		if m.VirtualServer.ForwardTo(m.RealServer) != config.TUN {
			continue
		}
		r := Rule{Why: "tunnel packets of the directors", Family: kernel.FamilyOf(m.RealServer.Address), Protocol: ipip}
		switch t := m.RealServer.Tunnel; {
		case t.Type == config.GRE:
			r.Protocol = gre
		case t.Type == config.GUE:
			r.Protocol, r.ToPorts = udp, []uint16{t.Port}
		case m.VirtualServer.Family() == kernel.IPv6:
			r.Protocol = ipv6
		}
		r.Why += ", from everybody: the file may not say the address of their route to this machine"
		b.add(r)
	}
}

// checks are those that the directors make of a real server at its own address.
func (b *builder) checks(cfg *config.Config, members []config.Membership) {
	for _, m := range members {
		for v := range m.VirtualServer.Services() {
			for _, c := range m.RealServer.Checks {
				r := Rule{Family: kernel.FamilyOf(m.RealServer.Address)}
				if from, known := directors(cfg, r.Family); known && (c.Source == "" || c.Source == config.SourceDirector) {
					r.Why, r.From = "checks by the directors, if their routes to this machine have these source addresses", from
				} else {
					r.Why = "checks by the directors, from everybody: the file does not say their source addresses"
				}
				port := c.Port
				if port == 0 {
					port = v.CheckPort(m.RealServer)
				}
				switch c.Kind.Network() {
				case config.OverTCP:
					r.Protocol, r.ToPorts = tcp, portsOf(port)
				case config.OverUDP:
					r.Protocol, r.ToPorts = udp, portsOf(port)
				case config.OverICMP:
					r.Echo, r.Protocol = true, icmp
					if r.Family == kernel.IPv6 {
						r.Protocol = icmpv6
					}
				default:
					continue // it does not say what it sends
				}
				r.To = []netip.Addr{m.RealServer.Address}
				b.add(r)
			}
		}
	}
}

// others drops what is not from the clients, if they are named, after all that is accepted.
func (b *builder) others(cfg *config.Config, members []config.Membership, director bool) {
	if len(b.o.Clients) == 0 {
		return
	}
	drop := func(address netip.Addr, protocol string, ports []uint16) {
		family := kernel.FamilyOf(address)
		if len(only(family, b.o.Clients)) == 0 {
			return
		}
		b.add(Rule{
			Why: "everybody else", Family: family, To: []netip.Addr{address}, Protocol: protocolOf(protocol), ToPorts: ports, Drop: true,
		})
	}
	services := []config.VirtualServer{}
	if director {
		services = cfg.VirtualServers
	}
	for _, m := range members {
		if m.VirtualServer.ForwardTo(m.RealServer) != config.NAT {
			services = append(slices.Clone(services), m.VirtualServer)
		}
	}
	for _, v := range services {
		for _, e := range endpoints(v) {
			drop(e.address, e.protocol, e.ports)
		}
	}
}
