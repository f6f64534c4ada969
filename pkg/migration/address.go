package migration

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// vip is a line of virtual_ipaddress.
type vip struct {
	addr    netip.Addr
	options *object // of address_options; empty if there are none
	at      *conftree.Statement
}

func (r *reader) readVIPs(i *instance, list *[]vip, s *conftree.Statement) {
	for _, line := range s.Block {
		if v, ok := r.readVIP(i, line); ok {
			*list = append(*list, v)
		}
		r.rest(line)
	}
}

func (r *reader) readVIP(i *instance, s *conftree.Statement) (vip, bool) {
	text, length, hasLength := strings.Cut(s.Keyword(), "/")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		r.judge(s, Refused, "'%s' is no address", s.Keyword())
		return vip{}, false
	}
	v := vip{addr: addr, options: &object{}, at: s}
	if bits, err := strconv.Atoi(length); hasLength && (err != nil || bits < 0 || bits > addr.BitLen()) {
		r.judge(s, Refused, "'/%s' is no prefix length", length)
		return vip{}, false
	} else if hasLength && bits != addr.BitLen() {
		r.judge(s, Changed, "a virtual address is always a single one, /%d instead of /%d, so that it is never a source address", addr.BitLen(), bits)
	}
	for n := 1; n < len(s.Words); n++ {
		word, value := s.Arg(n), s.Arg(n+1)
		switch word {
		case "dev":
			if n++; value != i.interfaceName() {
				r.set(v.options, "interface", value, nil)
			}
		case "label":
			n++
			r.set(v.options, "label", value, nil)
		case "scope":
			n++
			r.setScope(v.options, value, s)
		case "brd", "broadcast":
			if n++; value == "-" || value == "+" {
				r.judge(s, Changed, "a single address has no broadcast address")
				continue
			}
			r.set(v.options, "broadcast", value, nil)
		case "preferred_lft", "no_track", "noprefixroute", "nodad", "-nodad", "home", "mngtmpaddr", "autojoin", "use_vmac", "peer":
			r.judge(s, Refused, "'%s' of an address is not supported", word)
			return vip{}, false
		default:
			r.judge(s, Refused, "keepalived does not know '%s' here%s", word, didYouMean(word, []string{"dev", "label", "scope", "brd", "broadcast"}))
			return vip{}, false
		}
	}
	return v, true
}

func (r *reader) setScope(o *object, scope string, s *conftree.Statement) {
	switch scope {
	case "global":
	case "host":
		r.set(o, "scope", scope, nil)
	default:
		r.judge(s, Changed, "scope %s is not supported, because the kernel would send from the address: it is global", scope)
	}
}

// placeVIPs writes the addresses. Those of the other family than the first are not in adverts, as in keepalived.
func (r *reader) placeVIPs(i *instance) {
	var advertised, others []string
	var options []*object
	place := func(v vip, into *[]string) {
		*into = append(*into, v.addr.String())
		if label := v.options.text("label"); label != "" && !strings.HasPrefix(label, i.device(v)+":") {
			r.judge(v.at, Changed, "a label begins with the name of the interface that has the address, %s: it is left out", i.device(v))
			v.options.remove("label")
		}
		if len(v.options.entries) > 0 {
			o := &object{}
			o.add("address", v.addr.String())
			o.entries = append(o.entries, v.options.entries...)
			options = append(options, o)
		}
	}
	for _, v := range i.vips {
		if v.addr.Is6() != i.vips[0].addr.Is6() {
			r.judge(v.at, Changed, "it is of the other address family, so it is not in the adverts: excluded_addresses")
			place(v, &others)
			continue
		}
		place(v, &advertised)
	}
	for _, v := range i.excluded {
		place(v, &others)
	}
	i.ipv6 = len(i.vips) > 0 && i.vips[0].addr.Is6()
	r.set(i.object, "virtual_addresses", append([]string{}, advertised...), nil)
	if len(others) > 0 {
		r.set(i.object, "excluded_addresses", others, nil)
	}
	if len(options) > 0 {
		r.set(i.object, "address_options", options, nil)
	}
}

// device is the interface that has an address.
func (i *instance) device(v vip) string {
	if own := v.options.text("interface"); own != "" {
		return own
	}
	if i.get("virtual_mac") == nil && i.get("ipvlan") == nil {
		return i.interfaceName()
	}
	if virtual := i.text("virtual_interface"); virtual != "" {
		return virtual
	}
	return "vrrp." + i.text("virtual_router_id")
}

// readRoutes reads virtual_routes: [src ADDRESS] [to] DESTINATION [via|gw ADDRESS] [dev INTERFACE] [table N] [metric N].
func (r *reader) readRoutes(i *instance, s *conftree.Statement) {
	var routes []*object
	for _, line := range s.Block {
		o, ok := &object{}, true
		for n := 0; n < len(line.Words); n++ {
			word, value := line.Arg(n), line.Arg(n+1)
			keys := map[string]string{"src": "source", "via": "via", "gw": "via", "dev": "interface", "scope": "scope", "to": "destination"}
			switch key := keys[word]; {
			case key != "":
				n++
				r.set(o, key, value, nil)
			case word == "table":
				n++
				number, known := routingTable(value)
				ok = ok && known
				r.set(o, word, number, nil)
			case word == "metric":
				n++
				number, err := strconv.Atoi(value)
				if err != nil || number < 0 {
					ok = false
				}
				r.set(o, word, number, nil)
			case word == "onlink":
				r.set(o, "onlink", true, nil)
			case o.get("destination") == nil && (word == "default" || strings.ContainsAny(word, ".:")):
				r.set(o, "destination", word, nil)
			default:
				ok = false
			}
		}
		if o.get("onlink") != nil && (o.get("via") == nil || o.get("interface") == nil) {
			r.judgeAll(line, Refused, "onlink needs via and dev, without which the kernel does not take the route")
			continue
		}
		if !ok || o.get("destination") == nil {
			r.judgeAll(line, Refused, "such a route is not supported: routes: [{destination: default, via: 10.77.0.254}]")
			continue
		}
		o.sort("destination", "via", "interface", "source")
		routes = append(routes, o)
		r.rest(line)
	}
	if len(routes) > 0 {
		r.set(i.object, "routes", routes, s)
	}
}
