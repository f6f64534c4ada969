package kernel

import "net/netip"

// Claim is an ARP packet or a neighbour advertisement by which another machine says that it has an address.
type Claim struct {
	Address      netip.Addr
	HardwareAddr string // the other machine's: "02:00:00:00:00:01"
}
