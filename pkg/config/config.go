package config

import (
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Config is a cluster file that validated: every default is filled in, every cross-reference holds. It is immutable;
// nothing downstream checks it again.
type Config struct {
	// File is the name the file was read under; Digest is "sha256:" and the hex digest of its bytes.
	File   string
	Digest string

	Directors      []Director
	Instances      []Instance
	VirtualServers []VirtualServer
	Tracks         []Track
}

// Director is a machine that may hold the VIPs.
type Director struct {
	Name    string
	Address netip.Addr
}

// Instance is a VRRP instance (a virtual router): a set of VIPs that move together.
type Instance struct {
	Name             string
	Interface        string
	InterfaceAt      Position `json:"-"`
	VRID             uint8    // 1-255
	ProtocolVersion  uint8    // 2 or 3
	AdvertInterval   time.Duration
	Priority         uint8 // 1-255; 255 is the address owner
	Preempt          bool
	PreemptDelay     time.Duration // 0: at once
	VirtualAddresses []netip.Prefix
	Lease            time.Duration // kernel lifetime of a VIP, whole seconds
	Tracks           []string      // names of Config.Tracks
	// PerNode has the whole instance as single directors run it, by their names: those that the file's per_node is about.
	// See Config.ForNode.
	PerNode map[string]Instance
}

// Family is that of its adverts, which can carry one only: that of its virtual addresses. It is IPv4 as long as none of them
// is known.
func (i Instance) Family() kernel.Family {
	for _, p := range i.VirtualAddresses {
		if p.IsValid() {
			return kernel.FamilyOf(p.Addr())
		}
	}
	return kernel.IPv4
}

// Position is where the value of a key stands in the file, for what only a running machine can judge (see Config.Problem).
type Position struct {
	Line, Column int // from 1
	Path         string
}

// Forward is the way a virtual server's packets reach its real servers.
type Forward string

// The forwarding methods of IPVS that a cluster file may name.
const (
	DR  Forward = "dr"
	NAT Forward = "nat"
	TUN Forward = "tun"
)

// VirtualServer is an address and port that clients dial.
type VirtualServer struct {
	Name        string
	Address     netip.Addr
	Port        uint16
	Protocol    string // "tcp"
	Scheduler   string // "rr", "wrr", "lc", "wlc"
	Forward     Forward
	InitialUp   bool         // initial_state: up
	Persistence *Persistence // nil: none
	Checks      []Check
	RealServers []RealServer
}

// Persistence keeps a client on the real server it got first.
type Persistence struct {
	Timeout time.Duration // whole seconds
	Netmask int           // prefix length, 1-32
}

// RealServer is one member of a virtual server's pool.
type RealServer struct {
	Name    string
	Address netip.Addr
	Port    uint16
	Weight  int     // 0-65535; 0: no new connections
	Checks  []Check // already resolved: its own, else the virtual server's
}

// CheckType names a kind of check: "tcp", "mysql".
type CheckType string

// Check is one health check. Intervals run from start to start. Values are comparable; equal ones are the same check.
type Check struct {
	Kind     CheckKind // what is asked of the server
	Interval time.Duration
	Timeout  time.Duration // at most Interval
	Fall     int           // consecutive failures until down
	Rise     int           // consecutive successes until up
	Port     uint16        // 0: the real server's port
}

// Track is a named check of something that is not a real server; while it is down every instance that names it is in FAULT.
type Track struct {
	Name    string
	Address netip.Addr
	Check   Check // Check.Port is set
}
