package status

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// Head is the beginning of every status document.
type Head struct {
	Node         string `json:"node"`
	Role         string `json:"role"` // "director" or "realserver"
	Version      string `json:"version"`
	ConfigDigest string `json:"config_digest"`
	// Problems are the texts of the problems of this node as a whole; empty if there are none.
	Problems []string `json:"problems,omitempty"`
	// ProblemDetails are all problems, including those of instances, virtual servers and real servers, critical ones
	// first, without those that another one explains. Empty if there are none; absent in documents of older versions.
	ProblemDetails []problem.Problem `json:"problem_details"`
	Process        *Process          `json:"process,omitempty"`
}

// Director is the status of a director.
type Director struct {
	Head
	Instances      []Instance      `json:"vrrp_instances"`
	VirtualServers []VirtualServer `json:"virtual_servers"`
	// Overrides are what operators have decided, and is in effect; absent if nothing is.
	Overrides []Override `json:"overrides,omitempty"`
	// TrafficReadAt is when the counters in Traffic were read: up to 1.5 s ago, and up to half a minute with thousands of
	// real servers. Absent without virtual servers.
	TrafficReadAt time.Time `json:"traffic_read_at,omitzero"`
	// Interfaces counts the packets that each VRRP socket received and ignored, by reason.
	Interfaces []Interface `json:"interfaces,omitempty"`
	Tracks     []Track     `json:"tracks,omitempty"`
	// BFDSessions are those with the other directors and with routers.
	BFDSessions []BFDSession `json:"bfd_sessions,omitempty"`
	SyncGroups  []SyncGroup  `json:"sync_groups,omitempty"`
	// ConnectionSync is absent without connection_sync in the cluster file.
	ConnectionSync *ConnectionSync `json:"connection_sync,omitempty"`
	// Kernel is absent without virtual servers, in documents of older versions, and while the first request is still asking
	// the kernel.
	Kernel *Kernel `json:"kernel,omitempty"`
}

// Instance is one VRRP instance.
type Instance struct {
	Name     string    `json:"name"`
	State    string    `json:"state"` // INIT, BACKUP, MASTER, FAULT
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	Priority int       `json:"priority"`
	// EffectivePriority is the priority in the elections: Priority and what Tracks add to it, or 1 while this director is
	// degraded.
	EffectivePriority int `json:"effective_priority"`
	// HandedOverSince is since when this director has handed over; until `lvsctl failover --release` it preempts nobody. Absent
	// if it has not.
	HandedOverSince *time.Time `json:"handed_over_since,omitempty"`
	// Tracks are the tracks and BFD sessions that the instance depends on, by name; absent if there are none.
	Tracks           []InstanceTrack `json:"tracks,omitempty"`
	VirtualRouterID  int             `json:"virtual_router_id"`
	Interface        string          `json:"interface"`
	VirtualAddresses []string        `json:"virtual_addresses"`
	// VirtualInterface is the macvlan or ipvlan on which the addresses are while it is MASTER, VirtualMAC its hardware
	// address; "" if they are on Interface, or the interface has that of Interface.
	VirtualInterface string `json:"virtual_interface,omitempty"`
	VirtualMAC       string `json:"virtual_mac,omitempty"`
	// UnannouncedOn are the interfaces on which this director, as MASTER, has virtual addresses and tells nobody, because they
	// have no ARP, such as tunnels; absent for none.
	UnannouncedOn []string `json:"unannounced_on,omitempty"`
	// OutsideNetworks are virtual addresses that are in no network of this machine, so that other machines need a route to them;
	// absent for none.
	OutsideNetworks []string `json:"outside_networks,omitempty"`
	// ExcludedAddresses are held like VirtualAddresses, but are not in the adverts.
	ExcludedAddresses []string `json:"excluded_addresses,omitempty"`
	// Routes and Rules are those that come and go with the VIPs, in the words of ip-route(8) and ip-rule(8).
	Routes []string `json:"routes,omitempty"`
	Rules  []string `json:"rules,omitempty"`
	// Master is the address of the director that holds the VIPs, and its priority; absent if this director or none
	// holds them.
	Master          string            `json:"master,omitempty"`
	MasterPriority  int               `json:"master_priority,omitempty"`
	AdvertsSent     uint64            `json:"adverts_sent"`
	AdvertsReceived uint64            `json:"adverts_received"`
	Dropped         map[string]uint64 `json:"dropped,omitempty"` // ignored packets of this VRID, by reason
	// UnicastPeers are the routers to which adverts are sent; absent with multicast.
	UnicastPeers []UnicastPeer `json:"unicast_peers,omitempty"`
	// FalseAlarms is how many times in a row this director took over because of BFD although its peer was alive; absent
	// if it never did.
	FalseAlarms int `json:"bfd_false_alarms,omitempty"`
	// AdvertLateness is how late adverts left since the start; absent if none was due yet.
	AdvertLateness *Lateness `json:"advert_lateness,omitempty"`
	// SilentPeer is the router whose silence has made this director MASTER; absent before it has been asked, once a router is heard
	// again, and in other states.
	SilentPeer *SilentPeer `json:"silent_peer,omitempty"`
	// TakeOver is the last take-over record; absent if take-overs are not recorded, or there was none.
	TakeOver *TakeOver `json:"take_over,omitempty"`
}

// SilentPeer is a router that was MASTER and has become silent.
type SilentPeer struct {
	Address    string `json:"address"`
	AnswersARP bool   `json:"answers_arp"` // or a neighbour solicitation: its machine is alive, and reached by its network
}

// InstanceTrack is what an instance has of a track.
type InstanceTrack struct {
	Name    string `json:"name"`
	State   string `json:"state"`  // up, down, unknown
	Weight  int    `json:"weight"` // in the cluster file; 0: FAULT while it is down
	Reverse bool   `json:"reverse,omitempty"`
	Points  int    `json:"points"` // added to the priority now
	// Effect is EffectFault or EffectNotMaster; absent if the track has none other than Points.
	Effect string `json:"effect,omitempty"`
}

// What a track can do to an instance other than change its priority.
const (
	EffectFault     = "fault"      // the instance is in FAULT
	EffectNotMaster = "not_master" // it does not become MASTER
)

// UnicastPeer is a router to which adverts are sent by unicast.
type UnicastPeer struct {
	Address string `json:"address"`
	// LastHeard is when its last advert was received; absent if there has been none. Only a MASTER sends adverts.
	LastHeard time.Time `json:"last_heard,omitzero"`
}

// Lateness is a histogram of the delay of adverts after their scheduled times, in milliseconds.
type Lateness struct {
	Count uint64  `json:"count"`
	P99   float64 `json:"p99_ms"` // the upper bound of a bucket
	Max   float64 `json:"max_ms"`
	Sum   float64 `json:"sum_ms"` // of all delays; absent in documents of older versions
	// Buckets are disjoint, in ascending order; the last one has the bound 0, which means unbounded.
	Buckets []LatenessBucket `json:"buckets"`
}

// LatenessBucket counts the adverts that were at most as late as its bound and later than the bound of the previous
// bucket.
type LatenessBucket struct {
	Bound float64 `json:"le_ms"`
	Count uint64  `json:"count"`
}

// Interface is a network interface with VRRP, in one address family.
type Interface struct {
	Name     string            `json:"name"`
	Family   string            `json:"family"` // "IPv4" or "IPv6"
	Received uint64            `json:"received"`
	Dropped  map[string]uint64 `json:"dropped,omitempty"`
}

// VirtualServer is one virtual server with its pool.
type VirtualServer struct {
	Name         string   `json:"name"`
	Address      string   `json:"address"`
	Port         int      `json:"port"`                // 0: every port
	FirewallMark uint32   `json:"fwmark,omitempty"`    // instead of address and port, which are empty
	Addresses    []string `json:"addresses,omitempty"` // of several addresses or ports: all of them; address and port are the first
	Ports        []int    `json:"ports,omitempty"`
	Protocol     string   `json:"protocol"`
	Scheduler    string   `json:"scheduler"`
	Forward      string   `json:"forward"`
	State        string   `json:"state"` // up, degraded, down
	Reason       string   `json:"reason"`
	// Assignment is a digest of the order and the weights by which mh assigns clients, of several services each different one:
	// directors with the same assign clients alike. Absent with other schedulers.
	Assignment string `json:"assignment,omitempty"`
	// Quorum is "met" or "lost"; absent if the quorum is 1 and there is no sorry server.
	Quorum string `json:"quorum,omitempty"`
	// SorryServerUsed: sorry servers have the clients instead of the real servers; then State is down.
	SorryServerUsed bool `json:"sorry_server_used,omitempty"`
	// StandbyUsed: the standby servers have taken the place of the primary ones.
	StandbyUsed bool `json:"standby_used,omitempty"`
	// BelowPanicThreshold: real servers whose checks fail keep their entries.
	BelowPanicThreshold bool `json:"below_panic_threshold,omitempty"`
	// ChecksSuspended: the real servers are not checked now (ha_suspend), and State is that of entries of before.
	ChecksSuspended bool         `json:"checks_suspended,omitempty"`
	RealServers     []RealServer `json:"real_servers"` // sorry servers last
	// Traffic is absent until the table was read.
	Traffic *Traffic `json:"traffic,omitempty"`
}

// RealServer is one member of a pool.
type RealServer struct {
	Name             string `json:"name"`
	Address          string `json:"address"`
	Port             int    `json:"port"`
	State            string `json:"state"` // up, down, draining, disabled, unknown
	Code             string `json:"code"`
	Weight           int    `json:"weight"` // in the kernel's table; 0 when absent
	ConfiguredWeight int    `json:"configured_weight"`
	// Checked: its checks have had their first results, or one of them has decided; also true without checks.
	Checked             bool      `json:"checked"`
	Reason              string    `json:"reason"`
	Since               time.Time `json:"since"`
	ActiveConnections   int       `json:"active_connections"`
	InactiveConnections int       `json:"inactive_connections"`
	Forward             string    `json:"forward"`
	// Tunnel is the encapsulation with forward: tun: "ipip", "gre, full checksum", "gue port 5555".
	Tunnel string `json:"tunnel,omitempty"`
	// Traffic is absent if it is not in the table, or the table was not read since it was added.
	Traffic *Traffic `json:"traffic,omitempty"`
	// Override is what an operator has decided about it; absent if nothing.
	Override *Override `json:"override,omitempty"`
	// Role is "sorry" for a sorry server, and "standby" for a standby server; absent for the others.
	Role string `json:"role,omitempty"`
	// SlowStartUntil is when it will have its whole weight; absent without a slow start.
	SlowStartUntil *time.Time `json:"slow_start_until,omitempty"`
	// Up: its checks pass, whatever an operator has decided.
	Up bool `json:"-"`
}

// Traffic is what the kernel has counted since an entry was added to the IPVS table, or since `lvsctl zero`, as of
// TrafficReadAt. With forward: dr and tun the answers do not pass through the director, and what is out is 0.
type Traffic struct {
	Connections uint64 `json:"connections"`
	PacketsIn   uint64 `json:"packets_in"`
	PacketsOut  uint64 `json:"packets_out"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
	// The rates are averages over about ten seconds.
	ConnectionRate uint64 `json:"connections_per_second"`
	PacketRateIn   uint64 `json:"packets_in_per_second"`
	PacketRateOut  uint64 `json:"packets_out_per_second"`
	ByteRateIn     uint64 `json:"bytes_in_per_second"`
	ByteRateOut    uint64 `json:"bytes_out_per_second"`
}

// Track is a named check that instances depend on.
type Track struct {
	Name   string    `json:"name"`
	State  string    `json:"state"` // up, down, unknown
	Code   string    `json:"code"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Agent is the status of the agent on a real server.
type Agent struct {
	Head
	VirtualServers []Membership `json:"virtual_servers"`
	Addresses      []Kept       `json:"addresses"`
	Sysctls        []Kept       `json:"sysctls"`
}

// Membership is a virtual server in which this node is a real server.
type Membership struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	Forward string `json:"forward"`
	State   string `json:"state"` // up: everything is in place; down: not
	Reason  string `json:"reason"`
}

// Kept is one setting that the agent maintains.
type Kept struct {
	Name    string `json:"name"`    // "lo 10.77.0.100/32" or "net.ipv4.conf.all.arp_ignore"
	Want    string `json:"want"`    // "present", or the sysctl's value
	Have    string `json:"have"`    // the value at the last check
	Repairs int    `json:"repairs"` // number of repairs since the start
	Problem string `json:"problem,omitempty"`
}
