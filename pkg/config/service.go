package config

import (
	"cmp"
	"iter"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
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
// With a Mark it yields what is Marked, each with that mark: none if the rules that set it are not known here.
func (v VirtualServer) Endpoints() iter.Seq[VirtualServer] {
	if v.Mark == 0 {
		return v.Services()
	}
	return func(yield func(VirtualServer) bool) {
		for protocol, at := range v.Marked.endpoints {
			one := v
			one.Protocol, one.Address, one.Port, one.RealServers = protocol, at.Addr(), at.Port(), v.serversWith(at.Port())
			if !yield(one) {
				return
			}
		}
	}
}

// Family is the family of the clients.
func (v VirtualServer) Family() kernel.Family {
	if v.Marked != nil {
		return v.Marked.family()
	}
	if !v.Address.IsValid() && len(v.RealServers) > 0 {
		return kernel.FamilyOf(v.RealServers[0].Address)
	}
	return kernel.FamilyOf(v.Address)
}

// Several reports whether Services yields more than one.
func (v VirtualServer) Several() bool { return len(v.Addresses) > 1 || len(v.Ports) > 1 }

// endpoints yields every address with every port.
func (v VirtualServer) endpoints(yield func(netip.Addr, uint16) bool) {
	if v.Mark != 0 {
		yield(netip.Addr{}, 0)
		return
	}
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
	v.Address, v.Port, v.Addresses, v.Ports, v.RealServers = address, port, nil, nil, v.serversWith(port)
	return v
}

// serversWith returns the real servers as they are for the clients of a port.
func (v VirtualServer) serversWith(port uint16) []RealServer {
	servers := make([]RealServer, len(v.RealServers))
	for i, r := range v.RealServers {
		r.Port = cmp.Or(r.Port, port)
		servers[i] = r
	}
	return servers
}

// CheckPort is the port that a real server's checks connect to unless they have one of their own; 0: they all have.
func (v VirtualServer) CheckPort(r RealServer) uint16 { return cmp.Or(r.Port, v.Port) }
