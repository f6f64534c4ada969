package lvs

import "slices"

// Apply is a model of the kernel's table: it returns have after ops. An operation that the kernel would refuse (adding
// an existing entry, changing a missing one) changes nothing. Neither argument is modified.
func Apply(have []Service, ops []Op) []Service {
	table := clone(have)
	for _, op := range ops {
		i := slices.IndexFunc(table, func(s Service) bool { return s.Key == op.Service.Key })
		switch {
		case op.Kind == AddService && i < 0:
			table = append(table, bare(op.Service))
		case i < 0:
		case op.Kind == UpdateService:
			servers := table[i].Servers
			table[i] = bare(op.Service)
			table[i].Servers = servers
		case op.Kind == DeleteService:
			table = slices.Delete(table, i, i+1)
		default:
			table[i].Servers = applyServer(table[i].Servers, op)
		}
	}
	return table
}

func applyServer(servers []Server, op Op) []Server {
	i := slices.IndexFunc(servers, func(s Server) bool { return s.AddrPort() == op.Server.AddrPort() })
	switch {
	case op.Kind == AddServer && i < 0:
		server := op.Server
		server.ActiveConnections, server.InactiveConnections = 0, 0
		return append(servers, server)
	case op.Kind == UpdateServer && i >= 0:
		server := op.Server
		server.ActiveConnections, server.InactiveConnections = servers[i].ActiveConnections, servers[i].InactiveConnections
		servers[i] = server
	case op.Kind == DeleteServer && i >= 0:
		return slices.Delete(servers, i, i+1)
	}
	return servers
}
