package config

import (
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Config is a valid cluster file: all defaults are filled in and all references resolve. It is immutable and is not
// validated again by its users.
type Config struct {
	// File is the name passed to Parse; Digest is "sha256:" and the hex digest of the bytes.
	File   string
	Digest string

	Directors      []Director
	DirectorsAt    Position `json:"-"`
	Instances      []Instance
	VirtualServers []VirtualServer
	Tracks         []Track
	BFDSessions    []BFDSession `json:",omitempty"`
	SyncGroups     []SyncGroup  `json:",omitempty"`
	Timeouts       Timeouts     `json:",omitzero"`
	Hooks          []Hook       `json:",omitempty"` // for all instances, sync groups, real servers and virtual servers
	Mail           Mail         `json:",omitzero"`
	Metrics        Metrics      `json:",omitzero"`
	API            API          `json:",omitzero"`

	MaintenanceDir string          `json:",omitzero"`  // whose files drain real servers, an absolute path; "": none
	StopTimeout    time.Duration   `json:",omitzero"`  // of a handover before a graceful stop; 0: none
	ConnectionSync *ConnectionSync `json:",omitempty"` // nil: none
}

// Director is a host that may hold the VIPs.
type Director struct {
	Name    string
	Address netip.Addr
}

// Instance is a VRRP instance (a virtual router): a set of VIPs that move together.
type Instance struct {
	Name            string
	Interface       string
	InterfaceAt     Position `json:"-"`
	VRID            uint8    // 1-255
	ProtocolVersion uint8    // 2 or 3
	AdvertInterval  time.Duration
	// AuthPass: adverts have a password, which is in AuthPasswordFile, an absolute path.
	AuthPass           bool      `json:",omitzero"`
	AuthPasswordFile   string    `json:",omitzero"`
	AuthPasswordFileAt Position  `json:"-"`
	Transport          Transport `json:",omitzero"`
	Strict             bool      `json:",omitzero"` // only what is in the RFCs is allowed
	NoAccept           bool      `json:",omitzero"` // accept_mode: false; see Accepts
	Variants           Variants
	Priority           uint8    // 1-255; 255 is the address owner
	PriorityAt         Position `json:"-"`
	Preempt            bool
	// IgnoreRefusedAdverts: adverts that are refused do not keep this director from taking the VIPs.
	IgnoreRefusedAdverts bool
	PreemptDelay         time.Duration // 0: preempt at once
	DeafDelay            time.Duration `json:",omitzero"` // for how long at most it does not become MASTER while no other machine has been heard since the link came up
	StartupDelay         time.Duration `json:",omitzero"` // the time after the start of the director in which it does not become MASTER
	InterfaceDelays      Delays        `json:",omitzero"` // how long the carrier of Interface must have been back, or gone, until that counts
	DontTrackPrimary     bool          `json:",omitzero"` // a lost carrier of Interface is no fault
	VirtualAddresses     []netip.Prefix
	VirtualAddressesAt   Position                        `json:"-"`
	ExcludedAddresses    []netip.Prefix                  // held like them, but not in the adverts
	Placements           map[netip.Addr]kernel.Placement // of those that differ from the defaults
	PlacementsAt         Position                        `json:"-"`
	Virtual              VirtualLink                     `json:",omitzero"`
	Routes               []kernel.Route                  // that come and go with them
	Rules                []kernel.Rule                   // likewise
	Lease                time.Duration                   // kernel lifetime of a VIP, whole seconds
	Announcements        Announcements
	Tracks               []TrackUse // of Config.Tracks and Config.BFDSessions
	TracksAt             Position   `json:"-"`
	PeerBFD              *PeerBFD   `json:",omitempty"` // nil: none
	Hooks                []Hook     `json:",omitempty"` // its own; those of Config.Hooks run after them
	BeforeVIP            *BeforeVIP `json:",omitempty"` // what VIPs wait for; nil: nothing
	TakeOverRecord       string     `json:",omitzero"`  // a MySQL track of Config.Tracks, whose server's positions are recorded; "": none
	// PerNode has the complete instance as run by each director named in the file's per_node, by director name. See
	// Config.ForNode.
	PerNode map[string]Instance
}

// Position is the position of a key's value in the file, for problems that only the running host can detect (see
// Config.Problem).
type Position struct {
	Line, Column int // from 1
	Path         string
}

// Forward is the forwarding method of a virtual server.
type Forward string

// The forwarding methods of IPVS that a cluster file can use.
const (
	DR  Forward = "dr"
	NAT Forward = "nat"
	TUN Forward = "tun"
)

// VirtualServer is an address and port that clients connect to.
type VirtualServer struct {
	Name      string
	Address   netip.Addr   // the first one of several
	Addresses []netip.Addr `json:",omitempty"` // all of them if there are several
	Port      uint16       // the first one of several; 0: every port, with Persistence
	Ports     []uint16     `json:",omitempty"` // all of them if there are several
	Mark      uint32       `json:",omitzero"`  // the firewall mark of the packets, which replaces Address and Port; 0: none
	Marked    *Marked      `json:",omitempty"` // what the directors give the mark to; nil: rules of others set it
	Protocol  string       // "tcp", "udp", "sctp"
	Scheduler string       // the name of its kernel module without ip_vs_
	// SchedulerFlags are for sh and mh.
	SchedulerFlags SchedulerFlags `json:",omitzero"`
	OnePacket      bool           `json:",omitzero"` // each UDP packet is scheduled by itself
	Forward        Forward        // of real servers that have none of their own
	// SNATClients are the clients whose source address is replaced in what real servers with NAT get; at most 64, of its family.
	SNATClients []netip.Prefix `json:",omitempty"`
	InitialUp   bool           // initial_state: up
	Persistence *Persistence   // nil: none
	OnFailure   OnFailure      `json:",omitzero"`
	// The quorum is met while the weights of the real servers that are up add up to Quorum; 0: 1. See lvs.Memory for Hysteresis.
	Quorum, Hysteresis int `json:",omitzero"`
	// SlowStart is the time in which a real server that returns gets its weight by steps, a second to an hour; 0: at once.
	SlowStart time.Duration `json:",omitzero"`
	// PrimariesNeeded and StaysOnStandby, fail_back: false, are meaningless without a server with the role Standby;
	// PanicThreshold: in percent, 0: none.
	PrimariesNeeded Share `json:",omitzero"`
	StaysOnStandby  bool  `json:",omitzero"`
	PanicThreshold  int   `json:",omitzero"`
	Checks          []Check
	ChecksNeeded    int               // how many of Checks must pass; 0: all
	RealServers     []RealServer      // the sorry servers last
	Hooks           []Hook            `json:",omitempty"` // its own; see Config.PoolHooks
	ServerHooks     map[string][]Hook `json:",omitempty"` // those of real servers, by name
	Suspends        bool              `json:",omitzero"`  // ha_suspend: only a director that is MASTER of its address checks it
	TellsQuorum     bool              `json:",omitzero"`  // hooks run for its quorum
}

// Persistence keeps a client on the real server that it was first assigned.
type Persistence struct {
	Timeout time.Duration // whole seconds
	Netmask int           // prefix length, 1-32, with IPv6 1-128
	Engine  string        `json:",omitzero"` // "sip": each of a client's calls counts as a client; "": none
}

// RealServer is one member of a virtual server's pool.
type RealServer struct {
	Name    string
	Address netip.Addr
	Port    uint16  // 0: the port that the client connected to, for a virtual server with several or every port
	Weight  int     // 0-65535; 0: no new connections
	Forward Forward // its own, else the virtual server's; "" in a Config that was not parsed: see ForwardTo
	Tunnel  Tunnel  `json:",omitzero"` // with TUN
	// From UpperThreshold connections on it gets no new ones until it has fewer than LowerThreshold. 0: no limit, and three
	// quarters of UpperThreshold.
	UpperThreshold, LowerThreshold uint32  `json:",omitzero"`
	Checks                         []Check // resolved: its own, else the virtual server's
	ChecksNeeded                   int     // how many of Checks must pass; 0: all
	Inhibit                        bool    `json:",omitzero"` // while it is down it keeps its entry, with weight 0
	Role                           Role    `json:",omitzero"`
}

// CheckType names a kind of check: "tcp", "mysql".
type CheckType string

// Check is one health check. The interval is the time from start to start. Values are comparable; equal values are the
// same check.
type Check struct {
	Kind     CheckKind // what the check does
	Interval time.Duration
	Timeout  time.Duration // at most Interval
	Fall     int           // consecutive failures until down
	Rise     int           // consecutive successes until up
	Port     uint16        // 0: the real server's port
	Source   string        // the interface whose own address it comes from, or SourceDirector; "": that of the route
	Retry    time.Duration // from the start of a check that failed to the next one, while its state may change; 0: Interval
	Warmup   time.Duration // before the first check
	Mark     uint32        // the firewall mark of its packets; 0: none
}

// SourceDirector is the Source of a check that comes from the director's address under directors.
const SourceDirector = "director"
