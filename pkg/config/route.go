package config

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// route is a kernel.Route under construction.
type route struct {
	kernel.Route
	toAll    bool // destination: default
	scoped   bool // the file has a scope
	instance *instance
}

const (
	localTable = 255 // the kernel's own addresses
	maxTable   = 1<<32 - 1
)

func routeSection() *sectionOf[route] {
	s := &sectionOf[route]{
		section: section{
			name: "routes", part: true, what: "a route with destination and via or interface",
			intro: "Routes that a director adds after the virtual addresses when it becomes MASTER, and removes when it is no longer\n" +
				"MASTER. See [operations.md](operations.md#routes-and-rules-of-an-instance).",
			words: []word{
				needless("is keepalived's word: such a route is not supported", "blackhole", "unreachable", "prohibit", "nexthop", "nexthops", "type", "mtu", "advmss", "realm", "encap"),
			},
		},
		rules: func(r *route, o object) { r.check(o) },
	}
	s.fields = []key[route]{
		&field[route, netip.Prefix]{
			name: "destination", in: func(r *route) *netip.Prefix { return &r.Destination },
			kind:     scalar[netip.Prefix]("address, network or `default`", Schema{Type: "string"}, nil),
			readAs:   func(v value, r *route) netip.Prefix { return v.destination(r) },
			required: "an address or a network, such as 192.0.2.0/24, or default",
			doc:      "where the packets go: `192.0.2.1`, `192.0.2.0/24` or `default`, which is of the family of `via` or `source`, or else of the instance",
			reload:   Live, words: []word{synonyms("to", "dst", "dest")},
		},
		&field[route, netip.Addr]{
			name: "via", in: func(r *route) *netip.Addr { return &r.Via },
			kind:  addressOf(noMachine+loopback, value.address),
			unset: "none: the destination is on the interface", doc: "the next router",
			reload: Live, words: []word{synonyms("gateway", "gw")},
		},
		&field[route, string]{
			name: "interface", in: func(r *route) *string { return &r.Interface },
			kind:  texts("text", Schema{}, value.device),
			unset: "that of `via`", doc: "by which they leave; required without `via`, and if `via` is a link-local address",
			reload: Live, words: []word{synonyms("dev", "oif")},
		},
		&field[route, netip.Addr]{
			name: "source", in: func(r *route) *netip.Addr { return &r.Source },
			kind:  addressOf(noMachine+loopback, value.address),
			unset: "the kernel's choice", doc: "the source address of packets of this machine, which may be a virtual address: then connections that programs of the MASTER open by this route break when it loses the address",
			reload: Live, words: []word{synonyms("src")},
		},
		&field[route, uint32]{
			name: "table", in: func(r *route) *uint32 { return &r.Table }, def: kernel.MainTable,
			kind: tableNumber(), doc: "the routing table: 254 is `main`", reload: Live,
		},
		&field[route, uint32]{
			name: "metric", in: func(r *route) *uint32 { return &r.Metric },
			kind: wholeNumber[uint32](0, maxTable), doc: "of several routes to a destination the one with the lowest is used; 0 is 1024 with IPv6",
			reload: Live, words: []word{synonyms("priority", "preference")},
		},
		&field[route, kernel.Scope]{
			name: "scope", in: func(r *route) *kernel.Scope { return &r.Scope },
			kind: scopeKind(), readAs: func(v value, r *route) kernel.Scope { r.scoped = true; return v.scope() },
			unset: "`global` with `via`, else `link`", doc: "how far away the destination is (IPv4)", reload: Live,
		},
		&field[route, bool]{
			name: "onlink", in: func(r *route) *bool { return &r.OnLink }, kind: flag(false),
			doc: "`via` is on the interface although no network of the interface contains it", reload: Live,
		},
	}
	return s.build()
}

func tableNumber() kind[uint32] {
	k := wholeNumber[uint32](1, maxTable)
	number := k.read
	k.read = func(v value) uint32 {
		n := number(v)
		if n == localTable {
			v.fail("", "%d is the kernel's table of local addresses", n)
			return 0
		}
		return n
	}
	return k
}

var scopes = map[string]kernel.Scope{"global": kernel.ScopeGlobal, "link": kernel.ScopeLink, "host": kernel.ScopeHost}

func scopeKind() kind[kernel.Scope] {
	return scalar("`global`, `link` or `host`", Schema{Type: "string", Enum: []any{"global", "link", "host"}}, value.scope)
}

func (v value) scope() kernel.Scope {
	s := v.text()
	scope, known := scopes[s]
	if s != "" && !known {
		v.fail("write global, link or host", "%s is no scope", quote(s))
	}
	return scope
}

// destination reads an address, a network or the word default, whose family is found out when all keys have been read.
func (v value) destination(r *route) netip.Prefix {
	if v.node.Value == "default" {
		r.toAll = true
		return netip.Prefix{}
	}
	return v.network()
}

// network reads an address or a network without host bits.
func (v value) network() netip.Prefix {
	s := v.text()
	if s == "" {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr := v.parseNetworkAddress(s)
		return netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		v.fail("", "%s is an IPv4 network in a form of IPv6", s)
	case p.Masked() != p:
		v.fail("write "+p.Masked().String(), "%s has bits behind its prefix length", s)
	default:
		return p
	}
	return netip.Prefix{}
}

func (v value) parseNetworkAddress(s string) netip.Addr {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		v.fail(addressHint(s), "%s is no IP address or network%s", quote(s), nonASCII(s))
	case addr.Is4In6(), addr.Zone() != "":
		v.fail("", "%s is no address of a machine", s)
	default:
		return addr
	}
	return netip.Addr{}
}

// check completes a route and rejects what the kernel would reject on any machine.
func (r *route) check(o object) {
	families := []netip.Addr{r.Via, r.Source}
	if r.toAll {
		family := r.instance.Family()
		for _, a := range families {
			if a.IsValid() {
				family = kernel.FamilyOf(a)
			}
		}
		r.Destination = netip.PrefixFrom(family.Unspecified(), 0)
	}
	if !r.Destination.IsValid() {
		return
	}
	for n, name := range []string{"via", "source"} {
		if a := families[n]; a.IsValid() && kernel.FamilyOf(a) != r.Family() {
			o.locate(name).fail("", "%s is an address of %s, and the destination is of %s", a, kernel.FamilyOf(a), r.Family())
		}
	}
	switch {
	case o.missing("via") && o.missing("interface"):
		o.fail("write via or interface", "a route to %s by nothing", r.Destination)
	case r.Via.IsLinkLocalUnicast() && r.Via.Is6() && o.missing("interface"):
		o.locate("interface").fail("", "is required: %s is a link-local address", r.Via)
	case r.OnLink && (o.missing("via") || o.missing("interface")):
		o.locate("onlink").fail("", "needs via and interface")
	}
	switch {
	case !r.scoped && !r.Via.IsValid():
		r.Scope = kernel.ScopeLink
	case r.scoped && r.Via.IsValid() && r.Scope != kernel.ScopeGlobal:
		o.locate("scope").fail("leave it out", "%s: what is reached via a router has the scope global", r.Scope)
	}
	if r.Family() == kernel.IPv6 {
		r.Scope = kernel.ScopeGlobal
	}
}

func routesField(s *sectionOf[route]) key[instance] {
	return &field[instance, []kernel.Route]{
		name: "routes", in: func(i *instance) *[]kernel.Route { return &i.Routes },
		kind: kind[[]kernel.Route]{form: mappingsOf[route](&s.section, 0, nil).form, same: slices.Equal[[]kernel.Route]},
		readAs: func(v value, i *instance) []kernel.Route {
			all := []kernel.Route{} // not nil, so that per_node can remove all
			for _, r := range s.each(v, "routes", route{instance: i}) {
				all = append(all, r.v.Route)
			}
			return all
		},
		unset: "none", doc: "routes that come and go with the virtual addresses", perNode: perNode,
		words: []word{keepalived("virtual_routes").write("`routes: [{destination: default, via: 10.77.0.254}]`")},
	}
}
