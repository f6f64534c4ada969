package config

// dontTrackPrimaryField is keepalived's, without its effect on an interface that is set down: the kernel takes the routes and
// the IPv6 addresses away with that, and the other director, which loses its carrier, takes over.
func dontTrackPrimaryField() key[instance] {
	return &field[instance, bool]{
		name: "dont_track_primary", kind: flag(false), in: func(i *instance) *bool { return &i.DontTrackPrimary },
		doc: "whether the instance goes on while its `interface` has no carrier: for adverts on a cable that leads only to the other " +
			"director, and virtual addresses on other interfaces. See [failover.md](failover.md#a-cable-between-the-directors)",
		perNode: perNode, reload: Live,
	}
}

// checkDontTrackPrimary rejects a delay of what never happens, and warns about virtual addresses that nobody reaches.
func (i *instance) checkDontTrackPrimary(o object) {
	reported := map[value]bool{}
	for _, d := range i.directors {
		at, v := i.forNode(d.v.Name), o.setting(d.v.Name, "dont_track_primary")
		if !at.DontTrackPrimary || reported[v] {
			continue
		}
		reported[v] = true
		if at.InterfaceDelays.Down > 0 {
			v.fail("remove interface_down_delay", "the lost carrier of %s never counts as a fault, and interface_down_delay says that it does later", at.Interface)
		}
		for _, p := range at.Held() {
			if on := at.Placements[p.Addr()].Interface; on == "" || on == at.Interface {
				v.warn("name the interface of its clients in address_options, or remove dont_track_primary",
					"%s is on %s itself: without a carrier nobody reaches it there, and this director is MASTER nevertheless", p.Addr(), at.Interface)
				break
			}
		}
	}
}
