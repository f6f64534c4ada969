package config

import (
	"cmp"
	"iter"
	"net/netip"
)

// Services yields what a virtual server is in the kernel's table: one virtual server with a single address and port for each
// address and port, with the port that its real servers have there.
func (v VirtualServer) Services() iter.Seq[VirtualServer] {
	return func(yield func(VirtualServer) bool) {
		for address, port := range v.endpoints {
			if !yield(v.at(address, port)) {
				return
			}
		}
	}
}

// Endpoints yields what a virtual server is for its clients: one virtual server with a single address and port, 0 for every port,
// for each address and port.
func (v VirtualServer) Endpoints() iter.Seq[VirtualServer] { return v.Services() }

// Several reports whether Services yields more than one.
func (v VirtualServer) Several() bool { return len(v.Addresses) > 1 || len(v.Ports) > 1 }

// endpoints yields every address with every port.
func (v VirtualServer) endpoints(yield func(netip.Addr, uint16) bool) {
	addresses, ports := v.addresses(), v.Ports
	if len(ports) == 0 {
		ports = []uint16{v.Port}
	}
	for _, a := range addresses {
		for _, p := range ports {
			if !yield(a, p) {
				return
			}
		}
	}
}

// at returns the part of a virtual server with one address and port.
func (v VirtualServer) at(address netip.Addr, port uint16) VirtualServer {
	if !v.Several() {
		return v
	}
	v.Address, v.Port, v.Addresses, v.Ports = address, port, nil, nil
	servers := make([]RealServer, len(v.RealServers))
	for i, r := range v.RealServers {
		r.Port = cmp.Or(r.Port, port)
		servers[i] = r
	}
	v.RealServers = servers
	return v
}

// CheckPort is the port that a real server's checks connect to unless they have one of their own; 0: they all have.
func (v VirtualServer) CheckPort(r RealServer) uint16 { return cmp.Or(r.Port, v.Port) }
