package lvs

import (
	"net/netip"
	"slices"
)

// Diff returns the operations that change have to want.
//
// A service in want is ours, with all its servers: a server that is not in want is deleted. A service that is only in
// have is deleted if ours returns true for it (nil: never), otherwise it is not changed (see Foreign).
//
// Within a service, servers are added and weights are raised before weights are lowered and servers are deleted, so
// that a pool that can accept connections before and after can also do so after every intermediate step. A new
// forwarding method is an update: the kernel's ip_vs_edit_dest changes it in place, and existing connections keep the
// old one. Services are deleted last.
func Diff(want, have []Service, ours func(Key) bool) []Op {
	var ops []Op
	before, wanted := byKey(have), make(map[Key]bool, len(want))
	for _, service := range want {
		if wanted[service.Key] {
			continue // a duplicate: the first counts
		}
		wanted[service.Key] = true
		old, found := before[service.Key]
		switch {
		case !found:
			ops = append(ops, Op{Kind: AddService, Service: bare(service)})
		case !service.same(old):
			ops = append(ops, Op{Kind: UpdateService, Service: bare(service)})
		}
		ops = append(ops, diffServers(service, old.Servers)...)
	}
	for _, service := range have {
		if !wanted[service.Key] && ours != nil && ours(service.Key) {
			ops = append(ops, Op{Kind: DeleteService, Service: bare(service)})
		}
	}
	return ops
}

func diffServers(service Service, have []Server) []Op {
	if slices.EqualFunc(service.Servers, have, func(a, b Server) bool { return a.AddrPort() == b.AddrPort() && a.same(b) }) {
		return nil // the usual case; avoids three maps for a large pool
	}
	var give, take []Op
	before, wanted := byAddress(have), byAddress(service.Servers)
	op := func(kind OpKind, server Server) Op { return Op{Kind: kind, Service: bare(service), Server: server} }
	seen := make(map[netip.AddrPort]bool, len(service.Servers))
	for _, server := range service.Servers {
		name := server.AddrPort()
		if seen[name] {
			continue
		}
		seen[name] = true
		old, found := before[name]
		switch {
		case !found && server.Slots > 0 && server.Weight == 0:
			// mh gives slots by the last weight that was not 0 (__ip_vs_update_dest). Without it, clients of the other servers would be
			// assigned differently than by a director that has run since before this one went down.
			slotted := server
			slotted.Weight = server.Slots
			give = append(give, op(AddServer, slotted), op(UpdateServer, server))
		case !found:
			give = append(give, op(AddServer, server))
		case server.same(old):
		case server.Weight >= old.Weight:
			give = append(give, op(UpdateServer, server))
		default:
			take = append(take, op(UpdateServer, server))
		}
	}
	for _, old := range have {
		if _, keep := wanted[old.AddrPort()]; !keep {
			take = append(take, op(DeleteServer, old))
		}
	}
	return append(give, take...)
}

// Foreign returns the services of have that do not belong to us: they are not in want, and ours returns false for them.
func Foreign(want, have []Service, ours func(Key) bool) []Key {
	var foreign []Key
	wanted := byKey(want)
	for _, service := range have {
		if _, named := wanted[service.Key]; !named && (ours == nil || !ours(service.Key)) {
			foreign = append(foreign, service.Key)
		}
	}
	return foreign
}

// bare removes the pool and the counters, which are not part of an Op.
func bare(service Service) Service {
	service.Servers, service.Traffic = nil, nil
	return service
}
