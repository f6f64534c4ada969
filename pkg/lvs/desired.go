package lvs

import (
	"github.com/lvs-director/lvs-director/pkg/config"
)

// Desired returns the desired table: every virtual server with the real servers that Entries puts into its pool. A
// virtual server with an empty pool is in the table too: connections to its VIP are then refused at once, whereas
// without a service the director's own port would answer.
//
// condition returns what is known about a real server; nil: nothing is known about any. found is the table that was in
// the kernel when the director started, which is the state of servers about which nothing is known yet; nil: empty.
func Desired(servers []config.VirtualServer, condition func(config.ServerID) Condition, found []Service) []Service {
	before := byKey(found)
	desired := make([]Service, 0, len(servers))
	for _, v := range servers {
		for one := range v.Services() {
			desired = append(desired, desiredService(one, condition, before))
		}
	}
	return desired
}

// desiredService returns one of the services of a virtual server.
func desiredService(v config.VirtualServer, condition func(config.ServerID) Condition, before map[Key]Service) Service {
	service := Service{Key: KeyOf(v), Scheduler: v.Scheduler, Flags: flagsOf(v), OnePacket: v.OnePacket}
	if v.Persistence != nil {
		service.Persistence, service.Netmask, service.Engine = v.Persistence.Timeout, v.Persistence.Netmask, v.Persistence.Engine
	}
	pool := members(v, condition, before[service.Key])
	entries := Entries(pool)
	for i, r := range v.RealServers {
		if entries[i].Present {
			server := Server{
				Address: r.Address, Port: r.Port, Forward: v.ForwardTo(r), Tunnel: r.Tunnel, Weight: entries[i].Weight, Upper: r.UpperThreshold, Lower: r.LowerThreshold,
			}
			if pool[i].Stays && server.Weight == 0 {
				server.Slots = pool[i].Weight
			}
			service.Servers = append(service.Servers, server)
		}
	}
	return service
}

// RefusesAt reports whether a virtual server refuses the clients whose server has an entry with weight 0. One that is taken out
// has such an entry only if it stays, one that is cut off never.
func RefusesAt(v config.VirtualServer, a Admission) bool {
	return v.RefusesAtZero() && (a == Closing || a == TakenOut && v.Stays())
}

func flagsOf(v config.VirtualServer) Flags {
	var flags Flags
	if v.SchedulerFlags.Fallback {
		flags |= Flag1
	}
	if v.SchedulerFlags.Port {
		flags |= Flag2
	}
	return flags
}

// KeysOf returns the keys of a virtual server of the cluster file in the table, one for each of its services.
func KeysOf(v config.VirtualServer) []Key {
	var all []Key
	for one := range v.Services() {
		all = append(all, KeyOf(one))
	}
	return all
}

// KeyOf returns the key of one service; of a virtual server with several, that of the first.
func KeyOf(v config.VirtualServer) Key {
	if v.Mark != 0 {
		return Marked(v.Family(), v.Mark)
	}
	return Key{Protocol: v.Protocol, Address: v.Address, Port: v.Port}
}

func members(v config.VirtualServer, condition func(config.ServerID) Condition, found Service) []Member {
	before := byAddress(found.Servers)
	pool := make([]Member, len(v.RealServers))
	for i, r := range v.RealServers {
		entry, ok := before[Server{Address: r.Address, Port: r.Port}.AddrPort()]
		pool[i] = Member{Weight: r.Weight, InitialUp: v.InitialUp, Stays: v.Stays() && r.Role != config.Sorry, Inhibit: r.Inhibit, Found: ok, FoundWeight: entry.Weight}
		if condition != nil {
			pool[i].Condition = condition(config.ServerID{Service: v.Name, Server: r.Name})
			pool[i].Weight = pool[i].Condition.Whole(r.Weight)
		}
	}
	return pool
}
