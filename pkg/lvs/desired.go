package lvs

import (
	"github.com/lvs-director/lvs-director/pkg/config"
)

// Desired is the table that shall be: every virtual server, also one whose pool is empty (its VIP then refuses at once,
// where without a service the director's own port would answer), with the real servers that Places puts in.
//
// condition tells what is known of a real server; nil: nothing is known of anyone. found is the table that stood in
// the kernel when the director started: the state of servers of which nothing is known yet; nil: none.
func Desired(servers []config.VirtualServer, condition func(config.ServerID) Condition, found []Service) []Service {
	before := byKey(found)
	desired := make([]Service, 0, len(servers))
	for _, v := range servers {
		service := Service{Key: KeyOf(v), Scheduler: v.Scheduler}
		if v.Persistence != nil {
			service.Persistence, service.Netmask = v.Persistence.Timeout, v.Persistence.Netmask
		}
		places := Places(members(v, condition, before[service.Key]))
		for i, r := range v.RealServers {
			if places[i].Present {
				service.Servers = append(service.Servers, Server{
					Address: r.Address, Port: r.Port, Forward: v.Forward, Weight: places[i].Weight,
				})
			}
		}
		desired = append(desired, service)
	}
	return desired
}

// KeyOf is the name that a virtual server of the cluster file has in the table.
func KeyOf(v config.VirtualServer) Key {
	return Key{Protocol: v.Protocol, Address: v.Address, Port: v.Port}
}

func members(v config.VirtualServer, condition func(config.ServerID) Condition, found Service) []Member {
	before := byAddress(found.Servers)
	pool := make([]Member, len(v.RealServers))
	for i, r := range v.RealServers {
		entry, ok := before[Server{Address: r.Address, Port: r.Port}.AddrPort()]
		pool[i] = Member{Weight: r.Weight, InitialUp: v.InitialUp, Found: ok, FoundWeight: entry.Weight}
		if condition != nil {
			pool[i].Condition = condition(config.ServerID{Service: v.Name, Server: r.Name})
		}
	}
	return pool
}
