package kernel

import "net/netip"

// SyncRole is what a connection synchronization daemon of IPVS does. The kernel has at most one of each in a network
// namespace.
type SyncRole string

// The roles. The values are the words of ipvsadm(8).
const (
	SyncMaster SyncRole = "master" // tells others about the connections of this host
	SyncBackup SyncRole = "backup" // learns the connections of others
)

// SyncRoles are all roles.
var SyncRoles = []SyncRole{SyncMaster, SyncBackup}

// SyncDaemon is a connection synchronization daemon of IPVS: a thread of the kernel (net/netfilter/ipvs/ip_vs_sync.c).
type SyncDaemon struct {
	Role      SyncRole   `json:"role"`
	Interface string     `json:"interface"`
	ID        uint8      `json:"id"`    // 0: a backup daemon accepts every id
	Group     netip.Addr `json:"group"` // multicast, IPv4
	Port      uint16     `json:"port"`
	TTL       uint8      `json:"ttl"`
	// MaxLen is the size of the largest message in bytes, without the headers of IP and UDP; 0: the kernel's choice.
	MaxLen uint16 `json:"max_len,omitempty"`
}

// Is reports whether a running daemon is this one. Its MaxLen counts only if this one has one.
func (d SyncDaemon) Is(running SyncDaemon) bool {
	if d.MaxLen == 0 {
		running.MaxLen = 0
	}
	return d == running
}
