package config

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxServices is the limit of the addresses of a virtual server multiplied by its ports: each of them is a service in the
// kernel's table, with all real servers.
const maxServices = 1024

func addressesField() key[virtualServer] {
	item := addressOf(noMachine+loopback, value.serviceAddress)
	k := listOf(item, "list of addresses", func(v value) []netip.Addr {
		v.notEmpty("at least one address")
		var all []netip.Addr
		for _, i := range v.items("addresses") {
			all = append(all, item.read(i))
		}
		return all
	})
	k.schema.MinItems = new(int)
	*k.schema.MinItems = 1
	return &field[virtualServer, []netip.Addr]{
		name: "addresses", kind: k, in: func(s *virtualServer) *[]netip.Addr { return &s.Addresses }, unset: "none",
		instead: []string{"address"},
		doc:     "instead of `address`: several addresses, each with all ports; one pool of real servers, whose checks they share",
		reload:  Live,
		words:   []word{keepalived("virtual_server_group").write("`addresses` and `ports`")},
	}
}

func portsField() key[virtualServer] {
	return &field[virtualServer, []uint16]{
		name: "ports", kind: portList(), in: func(s *virtualServer) *[]uint16 { return &s.Ports }, unset: "none",
		instead: []string{"port"},
		doc:     "instead of `port`: several ports, such as `3306-3310` or `[80, 443, 8000-8009]`",
		reload:  Live,
	}
}

func portList() kind[[]uint16] {
	low, high, one := 1, math.MaxUint16, 1
	number, text := &Schema{Type: "integer", Minimum: &low, Maximum: &high}, &Schema{Type: "string", Pattern: portRange.String()}
	return kind[[]uint16]{
		form: form{text: "port, range or list of them", schema: &Schema{AnyOf: []*Schema{
			number, text, {Type: "array", Items: &Schema{AnyOf: []*Schema{number, text}}, MinItems: &one},
		}}},
		read: value.ports, same: slices.Equal[[]uint16],
	}
}

var portRange = regexp.MustCompile(`^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$`)

// ports reads a port, a range of ports, or a list of them, without duplicates.
func (v value) ports() []uint16 {
	if v.node.Kind != yaml.SequenceNode {
		return v.portRange()
	}
	v.notEmpty("at least one port")
	var all []uint16
	for _, item := range v.items("ports") {
		for _, p := range item.portRange() {
			if slices.Contains(all, p) {
				item.fail("", "%d is in the list already", p)
				return nil
			}
			all = append(all, p)
		}
		if len(all) > maxServices {
			v.fail("use port: 0 with persistence", "%d ports: a virtual server has at most %d", len(all), maxServices)
			return nil
		}
	}
	return all
}

// portRange reads 3306 or 3306-3310.
func (v value) portRange() []uint16 {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!str" {
		n, ok := v.whole(1, math.MaxUint16)
		if !ok {
			return nil
		}
		return []uint16{uint16(n)}
	}
	if !portRange.MatchString(v.node.Value) {
		v.fail("", "%s is not a port or a range of ports such as 3306-3310", quote(v.node.Value))
		return nil
	}
	from, to, _ := strings.Cut(v.node.Value, "-")
	first, err := strconv.ParseUint(from, 10, 16)
	last, lastErr := strconv.ParseUint(to, 10, 16)
	switch {
	case err != nil || lastErr != nil:
		v.fail("", "%s is out of range: 1 to %d", v.node.Value, math.MaxUint16)
		return nil
	case first > last:
		v.fail(fmt.Sprintf("write %d-%d", last, first), "%s ends before it begins", v.node.Value)
		return nil
	case last-first >= maxServices:
		v.fail("use port: 0 with persistence", "%s are %d ports: a virtual server has at most %d", v.node.Value, last-first+1, maxServices)
		return nil
	}
	var all []uint16
	for p := first; p <= last; p++ {
		all = append(all, uint16(p))
	}
	return all
}

// checkGroup compares the keys that say what a virtual server is, and sets Address and Port to the first of several.
func (s *virtualServer) checkGroup(o object) {
	for several, one := range map[string]string{"addresses": "address", "ports": "port"} {
		if v, given := o.fields[one]; given && !o.missing(several) {
			v.fail("remove one of them", "%s and %s: both say the same thing", one, several)
		}
	}
	seen := map[netip.Addr]bool{}
	for i, at := range o.locate("addresses").entries() {
		if i < len(s.Addresses) && s.Addresses[i].IsValid() && seen[s.Addresses[i]] {
			at.fail("", "%s is in the list already", s.Addresses[i])
		} else if i < len(s.Addresses) {
			seen[s.Addresses[i]] = true
		}
	}
	if n := max(len(s.Addresses), 1) * max(len(s.Ports), 1); n > maxServices {
		o.locate("ports").fail("use port: 0 with persistence", "%d addresses with %d ports are %d services: a virtual server has at most %d", len(s.Addresses), len(s.Ports), n, maxServices)
	}
}

// settle makes a list of one the same as a single value.
func (s *virtualServer) settle() {
	if len(s.Addresses) > 0 {
		s.Address = s.Addresses[0]
	}
	if len(s.Ports) > 0 {
		s.Port = s.Ports[0]
	}
	if len(s.Addresses) == 1 {
		s.Addresses = nil
	}
	if len(s.Ports) == 1 {
		s.Ports = nil
	}
}

// addresses returns all addresses, in the order of the file.
func (v VirtualServer) addresses() []netip.Addr {
	if v.Marked != nil {
		return v.Marked.Addresses
	}
	if len(v.Addresses) > 0 {
		return v.Addresses
	}
	return []netip.Addr{v.Address}
}

// addressAt is where the i-th address of a virtual server is written. i is -1 for an address beside a list that cannot be used.
func addressAt(o object, i int) value {
	if list := o.locate("addresses").entries(); i >= 0 && i < len(list) {
		return list[i]
	}
	return o.locate("address")
}
