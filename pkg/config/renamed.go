package config

import "net/netip"

// Renamed returns the new names, by the old ones, of what has another name in a newer file but is the same: instances,
// virtual servers, and real servers as "virtual server/real server". Both files are resolved for one node.
func Renamed(before, after *Config) map[string]string {
	renamed := map[string]string{}
	note := func(from, to string, found bool) {
		if found && from != to {
			renamed[from] = to
		}
	}
	instances := map[InstanceID]string{}
	for _, i := range before.Instances {
		instances[i.ID()] = i.Name
	}
	for _, i := range after.Instances {
		name, found := instances[i.ID()]
		note(name, i.Name, found)
	}
	type place struct {
		protocol string
		mark     uint32
		at       netip.AddrPort
	}
	placeOf := func(v VirtualServer) place { return place{v.Protocol, v.Mark, netip.AddrPortFrom(v.Address, v.Port)} }
	services := map[place]VirtualServer{}
	for _, v := range before.VirtualServers {
		services[placeOf(v)] = v
	}
	for _, v := range after.VirtualServers {
		old, found := services[placeOf(v)]
		note(old.Name, v.Name, found)
		servers := make(map[netip.AddrPort]string, len(old.RealServers))
		for _, r := range old.RealServers {
			servers[netip.AddrPortFrom(r.Address, r.Port)] = r.Name
		}
		for _, r := range v.RealServers {
			name, found := servers[netip.AddrPortFrom(r.Address, r.Port)]
			note(ServerID{old.Name, name}.String(), ServerID{v.Name, r.Name}.String(), found)
		}
	}
	return renamed
}
