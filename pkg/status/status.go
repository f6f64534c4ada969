package status

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// Head opens every status document.
type Head struct {
	Node         string `json:"node"`
	Role         string `json:"role"` // "director" or "realserver"
	Version      string `json:"version"`
	ConfigDigest string `json:"config_digest"`
	// Problems are sentences about what is not right with this node as a whole; empty when all is well.
	Problems []string `json:"problems,omitempty"`
	// ProblemDetails are all problems, also those of instances, virtual servers and real servers, critical ones first; what
	// another one explains is left out. Empty when all is well; absent in a document of an older version.
	ProblemDetails []problem.Problem `json:"problem_details"`
	Process        *Process          `json:"process,omitempty"`
}

// Director is what a director says of itself.
type Director struct {
	Head
	Instances      []Instance      `json:"vrrp_instances"`
	VirtualServers []VirtualServer `json:"virtual_servers"`
	// Interfaces counts what each VRRP socket received and ignored, by reason.
	Interfaces []Interface `json:"interfaces,omitempty"`
	Tracks     []Track     `json:"tracks,omitempty"`
}

// Instance is one VRRP instance.
type Instance struct {
	Name              string    `json:"name"`
	State             string    `json:"state"` // INIT, BACKUP, MASTER, FAULT
	Reason            string    `json:"reason"`
	Since             time.Time `json:"since"`
	Priority          int       `json:"priority"`
	EffectivePriority int       `json:"effective_priority"`
	VirtualRouterID   int       `json:"virtual_router_id"`
	Interface         string    `json:"interface"`
	VirtualAddresses  []string  `json:"virtual_addresses"`
	// Master is the address of the director that holds the VIPs instead, and its priority; absent when we do, or nobody.
	Master          string            `json:"master,omitempty"`
	MasterPriority  int               `json:"master_priority,omitempty"`
	AdvertsSent     uint64            `json:"adverts_sent"`
	AdvertsReceived uint64            `json:"adverts_received"`
	Dropped         map[string]uint64 `json:"dropped,omitempty"` // packets of this VRID ignored, by reason
	// AdvertLateness says how late adverts left, since the start; absent when none was due yet.
	AdvertLateness *Lateness `json:"advert_lateness,omitempty"`
}

// Lateness is a histogram of how long after the planned moment adverts left. Times are in milliseconds.
type Lateness struct {
	Count uint64  `json:"count"`
	P99   float64 `json:"p99_ms"` // the bound of a bucket
	Max   float64 `json:"max_ms"`
	// Buckets are disjoint, the earliest first; the last one has the bound 0, which means none.
	Buckets []LatenessBucket `json:"buckets"`
}

// LatenessBucket counts the adverts that were not later than its bound, and later than that of the bucket before.
type LatenessBucket struct {
	Bound float64 `json:"le_ms"`
	Count uint64  `json:"count"`
}

// Interface is a network interface that carries VRRP, in one address family.
type Interface struct {
	Name     string            `json:"name"`
	Family   string            `json:"family"` // "IPv4" or "IPv6"
	Received uint64            `json:"received"`
	Dropped  map[string]uint64 `json:"dropped,omitempty"`
}

// VirtualServer is one virtual server with its pool.
type VirtualServer struct {
	Name        string       `json:"name"`
	Address     string       `json:"address"`
	Port        int          `json:"port"`
	Protocol    string       `json:"protocol"`
	Scheduler   string       `json:"scheduler"`
	Forward     string       `json:"forward"`
	State       string       `json:"state"` // up, degraded, down
	Reason      string       `json:"reason"`
	RealServers []RealServer `json:"real_servers"`
}

// RealServer is one member of a pool as a director sees it.
type RealServer struct {
	Name                string    `json:"name"`
	Address             string    `json:"address"`
	Port                int       `json:"port"`
	State               string    `json:"state"` // up, down, draining, disabled, unknown
	Code                string    `json:"code"`
	Weight              int       `json:"weight"` // in the kernel's table; 0 when absent
	ConfiguredWeight    int       `json:"configured_weight"`
	Reason              string    `json:"reason"`
	Since               time.Time `json:"since"`
	ActiveConnections   int       `json:"active_connections"`
	InactiveConnections int       `json:"inactive_connections"`
}

// Track is one named check that instances depend on.
type Track struct {
	Name   string    `json:"name"`
	State  string    `json:"state"` // up, down, unknown
	Code   string    `json:"code"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Agent is what the agent on a real server says of itself.
type Agent struct {
	Head
	VirtualServers []Membership `json:"virtual_servers"`
	Addresses      []Kept       `json:"addresses"`
	Sysctls        []Kept       `json:"sysctls"`
}

// Membership is one virtual server this node is a real server of.
type Membership struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	Forward string `json:"forward"`
	State   string `json:"state"` // up: everything is in place; down: not
	Reason  string `json:"reason"`
}

// Kept is one thing the agent keeps right.
type Kept struct {
	Name    string `json:"name"`    // "lo 10.77.0.100/32" or "net.ipv4.conf.all.arp_ignore"
	Want    string `json:"want"`    // "present", or the sysctl's value
	Have    string `json:"have"`    // what the last look found
	Repairs int    `json:"repairs"` // how often it had to be put right again since the start
	Problem string `json:"problem,omitempty"`
}
