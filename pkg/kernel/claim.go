package kernel

import (
	"net/netip"
	"time"
)

// Claim is an ARP packet or a neighbour advertisement by which another machine says that it has an address.
type Claim struct {
	Address      netip.Addr
	HardwareAddr string // the other machine's: "02:00:00:00:00:01"
	// Age is how long ago it arrived, by the wall clock: 0 if that was set back since. Of several with the same addresses it is
	// that of the last.
	Age time.Duration
}
