package lvs

import "slices"

// Apply is a model of the kernel's table: it returns have after ops. An operation that the kernel would refuse (adding
// an existing entry, changing a missing one) changes nothing. Neither argument is modified. The result shares the pools that
// no operation is about with have.
func Apply(have []Service, ops []Op) []Service {
	table, own := slices.Clone(have), map[int]bool{} // own: whose pool is not that of have any more
	at := make(map[Key]int, len(table))              // the index of each service; a new table may have thousands of ops
	for i, service := range slices.Backward(table) {
		at[service.Key] = i // the first one, if there are duplicates
	}
	deleted := map[int]bool{}
	for _, op := range ops {
		i, found := at[op.Service.Key]
		switch {
		case op.Kind == AddService && !found:
			at[op.Service.Key] = len(table)
			table = append(table, bare(op.Service))
		case !found:
		case op.Kind == UpdateService:
			servers, traffic := table[i].Servers, table[i].Traffic
			table[i] = bare(op.Service)
			table[i].Servers, table[i].Traffic = servers, traffic
		case op.Kind == DeleteService:
			deleted[i] = true
			delete(at, op.Service.Key)
		default:
			if !own[i] {
				table[i].Servers, own[i] = slices.Clone(table[i].Servers), true
			}
			table[i].Servers = applyServer(table[i].Servers, op)
		}
	}
	if len(deleted) == 0 {
		return table
	}
	kept := table[:0]
	for i, service := range table {
		if !deleted[i] {
			kept = append(kept, service)
		}
	}
	return kept
}

func applyServer(servers []Server, op Op) []Server {
	i := slices.IndexFunc(servers, func(s Server) bool { return s.AddrPort() == op.Server.AddrPort() })
	switch {
	case op.Kind == AddServer && i < 0:
		server := op.Server
		server.ActiveConnections, server.InactiveConnections, server.Traffic = 0, 0, nil
		return append(servers, server)
	case op.Kind == UpdateServer && i >= 0:
		server := op.Server
		server.ActiveConnections, server.InactiveConnections, server.Traffic = servers[i].ActiveConnections, servers[i].InactiveConnections, servers[i].Traffic
		servers[i] = server
	case op.Kind == DeleteServer && i >= 0:
		return slices.Delete(servers, i, i+1)
	}
	return servers
}
