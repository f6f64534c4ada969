package config

import (
	"net/netip"
	"slices"
)

func suspendField() key[virtualServer] {
	return &field[virtualServer, bool]{
		name: "ha_suspend", kind: flag(false), in: func(s *virtualServer) *bool { return &s.Suspends },
		doc: "whether a director checks the real servers only while it is MASTER of an instance with the address, or about to become it: see " +
			"[virtual-servers.md](virtual-servers.md#checks-of-the-master-only)",
		reload: Live,
	}
}

// checkSuspends compares ha_suspend with the instances, and rejects tracks that depend on checks that only a MASTER makes: a MASTER
// whose track fails would no longer look at the servers, and become MASTER again because nothing is known.
func (c *contents) checkSuspends() {
	suspends := map[string]bool{}
	for _, s := range c.services {
		if !s.v.Suspends {
			continue
		}
		suspends[s.v.Name] = true
		held := func(a netip.Addr) bool {
			return slices.ContainsFunc(c.instances, func(i placed[instance]) bool {
				return slices.ContainsFunc(i.v.Held(), func(p netip.Prefix) bool { return p.Addr() == a })
			})
		}
		if !slices.ContainsFunc(s.v.addresses(), held) {
			s.at.locate("ha_suspend").warn("remove it, or write the address in virtual_addresses of an instance", "has no effect: no VRRP instance has the address")
		}
	}
	for _, t := range c.tracks {
		if w, is := t.v.Watch.(WatchedVirtualServer); is && suspends[w.VirtualServer] {
			t.at.locate("virtual_server").fail("remove its ha_suspend", "%s has ha_suspend: while this director is not MASTER nothing is known about it", w.VirtualServer)
		}
	}
}
