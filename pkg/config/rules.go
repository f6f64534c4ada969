package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Rules across sections.

// checkPurpose rejects a file without instances and virtual servers, and empty lists of them.
func (c *contents) checkPurpose(top object) {
	asked := false
	for _, key := range []string{"vrrp_instances", "virtual_servers"} {
		v, given := top.fields[key]
		asked = asked || given || top.meant[key]
		if given && v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
			v.fail("leave the key out", "is empty")
		}
	}
	if !asked {
		top.fail("add at least one of them", "the file has neither vrrp_instances nor virtual_servers: there is nothing to do")
	}
}

// machines returns the owner of each address that is not virtual: "director lvs-master", "real server mysql1".
func (c *contents) machines() map[netip.Addr]string {
	owners := map[netip.Addr]string{}
	for _, s := range c.services {
		for _, rs := range s.v.members() {
			owners[rs.v.Address] = "real server " + rs.v.Name
		}
	}
	for _, in := range c.instances {
		for _, at := range in.v.byDirector() {
			for _, a := range at.Transport.Peers.Addresses {
				owners[a] = "a unicast peer"
			}
			if a := at.Transport.Source(); a.IsValid() {
				owners[a] = "a director"
			}
		}
	}
	for _, d := range c.directors {
		owners[d.v.Address] = "director " + d.v.Name
	}
	return owners
}

// checkAddresses requires that each virtual address belongs to one instance and is not the address of a host.
func (c *contents) checkAddresses() {
	owners := c.machines()
	first := map[netip.Addr]int{}
	for _, in := range c.instances {
		for _, list := range heldLists(in) {
			for i, item := range list.at {
				addr := list.values[i].Addr()
				if !addr.IsValid() {
					continue
				}
				if owner, ok := owners[addr]; ok {
					item.fail("a virtual address belongs to no machine", "%s is the address of %s", addr, owner)
				}
				if line, ok := first[addr]; ok {
					item.fail("", "%s is used twice, first in line %d", addr, line)
					continue
				}
				first[addr] = item.place.Line
			}
		}
	}
}

// checkRouters rejects two instances with the same virtual router id, interface and address family on one director:
// adverts of one would be taken for adverts of the other.
func (c *contents) checkRouters() {
	type router struct {
		director, link string
		family         kernel.Family
		id             uint8
	}
	first := map[router]string{}
	for _, in := range c.instances {
		all := in.v.byDirector()
		for _, director := range slices.Sorted(maps.Keys(all)) {
			at := router{director, all[director].Interface, in.v.Family(), in.v.VRID}
			if at.link == "" || at.id == 0 {
				continue
			}
			if other, ok := first[at]; ok {
				on := ""
				if director != "" {
					on = " of " + director
				}
				in.at.locate("virtual_router_id").fail("", "%d is used by instance %s on %s%s already", at.id, quote(other), at.link, on)
				break
			}
			first[at] = in.v.Name
		}
	}
}

// checkOwners warns about two address owners in one instance: there can be only one (RFC 9568, section 1.7).
func (c *contents) checkOwners() {
	for _, in := range c.instances {
		all := in.v.byDirector()
		owner := ""
		for _, director := range slices.Sorted(maps.Keys(all)) {
			switch {
			case all[director].Priority != 255:
			case owner == "":
				owner = director
			default:
				at, text := in.at.setting(director, "priority"), fmt.Sprintf("255 on both %s and %s: only one of them can be the address owner", owner, director)
				if in.v.Strict {
					at.fail("write a lower one, or remove strict", "strict: %s (RFC 9568, section 1.7)", text)
				} else {
					at.warn("", "%s", text)
				}
			}
		}
	}
}

// lowestPriority is vrrp.PriorityDegraded, which a director also advertises by itself.
const lowestPriority = 1

// checkLowest warns about the priority that a degraded director advertises: a director that has it from the file gives
// way to every other one as if it were degraded.
func (c *contents) checkLowest() {
	for _, in := range c.instances {
		all := in.v.byDirector()
		for _, director := range slices.Sorted(maps.Keys(all)) {
			if all[director].Priority == lowestPriority {
				in.at.setting(director, "priority").warn("use 2 or more",
					"1 is what a degraded director advertises: others take over from this one at once, also with preempt: false and preempt_delay")
				break
			}
		}
	}
}

// checkTracks rejects names of undefined tracks and warns about unused tracks.
func (c *contents) checkTracks() {
	known := map[string]bool{}
	for _, t := range c.tracks {
		known[t.v.Name] = true
	}
	for _, name := range c.sessionNames() {
		known[name] = true
	}
	names := slices.Sorted(maps.Keys(known))
	used := map[string]bool{}
	refer := func(list value) {
		for _, item := range list.trackNames() {
			name := item.node.Value
			used[name] = true
			if known[name] || !isName(name) {
				continue
			}
			item.fail(cmp.Or(didYouMean(name, names), "add it to tracks at the top level"), "no track is named %s", name)
		}
	}
	for _, in := range c.instances {
		if list, ok := in.at.fields["tracks"]; ok {
			refer(list)
		}
		for _, director := range slices.Sorted(maps.Keys(in.v.PerNode)) {
			if list, ok := in.at.peek("per_node", director, "tracks"); ok {
				refer(list)
			}
		}
	}
	for _, g := range c.groups {
		if list, ok := g.at.fields["tracks"]; ok {
			refer(list)
		}
	}
	for _, i := range c.instances {
		used[i.v.TakeOverRecord] = true
	}
	for _, t := range c.tracks {
		if t.v.Name != "" && !used[t.v.Name] {
			t.at.locate("name").warn("name it in the tracks of an instance", "no instance tracks %s", t.v.Name)
		}
	}
	for _, b := range c.bfd {
		if b.v.Name != "" && !used[b.v.Name] {
			b.at.locate("name").warn("name it in the tracks of an instance", "no instance tracks %s", b.v.Name)
		}
	}
}

// checkMachines warns about virtual servers whose address no instance holds, and rejects two addresses of a family for one real
// server name.
func (c *contents) checkMachines() {
	held := map[netip.Addr]bool{}
	readable := len(c.instances) > 0 // the missing address may be one that could not be read
	for _, in := range c.instances {
		list, given := in.at.fields["virtual_addresses"]
		readable = readable && given && list.node.Kind == yaml.SequenceNode && len(list.node.Content) == len(in.v.VirtualAddresses)
		for _, p := range in.v.Held() {
			readable = readable && p.IsValid()
			held[p.Addr()] = true
		}
	}
	type home struct {
		addr netip.Addr
		line int
	}
	type machine struct {
		name   string
		family kernel.Family
	}
	homes := map[machine]home{}
	for _, s := range c.services {
		for i, address := range s.v.addresses() {
			if readable && address.IsValid() && !held[address] {
				addressAt(s.at, i).warn("add it to virtual_addresses", "no VRRP instance has %s", address)
			}
		}
		for _, rs := range s.v.members() {
			if !rs.v.Address.IsValid() || rs.v.Name == "" {
				continue
			}
			v := rs.at.locate("address")
			at := machine{rs.v.Name, kernel.FamilyOf(rs.v.Address)}
			if h, ok := homes[at]; !ok {
				homes[at] = home{rs.v.Address, v.place.Line}
			} else if h.addr != rs.v.Address {
				v.fail("one name is one machine", "%s has the address %s in line %d", rs.v.Name, h.addr, h.line)
			}
		}
	}
}
