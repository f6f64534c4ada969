package lvs

import (
	"hash/fnv"
	"net/netip"
)

// Connection is an entry of the kernel's connection table: an open connection, or the persistence of a client (template), whose
// Client is a network with port 0. It is comparable.
type Connection struct {
	Protocol                string // "tcp", "udp", "sctp"
	Client, Virtual, Server netip.AddrPort
}

// Template reports whether it is the persistence of a client.
func (c Connection) Template() bool { return c.Client.Port() == 0 }

// Hash is the same on every machine and in every run, and other than 0: by it directors compare their connections.
func (c Connection) Hash() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.Protocol)) // a hash never fails
	for _, a := range [...]netip.AddrPort{c.Client, c.Virtual, c.Server} {
		ip := a.Addr().As16()
		_, _ = h.Write(ip[:])
		_, _ = h.Write([]byte{byte(a.Port() >> 8), byte(a.Port())})
	}
	return max(mix(h.Sum64()), 1)
}

// mix spreads the differences of neighbouring ports over all bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
