package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// ConnectionSync is the desired synchronization of connections with other directors. The zero value is none.
type ConnectionSync struct {
	Daemon  kernel.SyncDaemon // without its Role
	Follows config.InstanceID // whose state decides the role; "": both roles at all times
	// Index is that of the interface, 0 if it does not exist; Source is its first own address, invalid if it has none. A
	// daemon of the kernel is bound to both as they were at its start.
	Index  int
	Source netip.Addr
	MTU    int // of the interface; 0: not known
	// WarmTimeout is how long after its start a director does not preempt because it does not have the MASTER's connections.
	WarmTimeout time.Duration
}

// Wanted reports whether connections are to be synchronized.
func (s ConnectionSync) Wanted() bool { return s.Daemon.Interface != "" }

// Bound is what daemons and sockets are bound to from their start on, beside their settings.
func (s ConnectionSync) Bound() string { return fmt.Sprintf("%d %s", s.Index, s.Source) }

// connectionSync returns the desired synchronization of a file that is resolved for this node.
func (in Inputs) connectionSync(cfg *config.Config, vip func(netip.Addr) bool) ConnectionSync {
	c := cfg.ConnectionSync
	if c == nil {
		return ConnectionSync{}
	}
	s := ConnectionSync{Daemon: kernel.SyncDaemon{Interface: c.Interface, ID: c.ID, Group: c.Group, Port: c.Port, TTL: c.TTL, MaxLen: c.MaxLen}}
	s.WarmTimeout = c.WarmTimeout
	for _, i := range cfg.Instances {
		if c.Instance != "" && i.Name == c.Instance {
			s.Follows = i.ID()
		}
	}
	if at := slices.IndexFunc(in.Links, func(l kernel.Link) bool { return l.Name == c.Interface }); at >= 0 {
		s.Index, s.MTU = in.Links[at].Index, in.Links[at].MTU
	}
	for _, a := range in.Addresses {
		if ip := a.Prefix.Addr(); a.Interface == c.Interface && kernel.FamilyOf(ip) == kernel.FamilyOf(c.Group) && a.Global && !vip(ip) && !s.Source.IsValid() {
			s.Source = ip
		}
	}
	return s
}

// syncSysctls adds when the kernel sends a connection to other directors.
func syncSysctls(want map[string]string, c *config.ConnectionSync) {
	if c == nil {
		return
	}
	want["net.ipv4.vs.sync_threshold"] = fmt.Sprintf("%d\t%d", c.Threshold, c.Period) // separated as the kernel shows them
	want["net.ipv4.vs.sync_refresh_period"] = strconv.Itoa(int(c.Refresh / time.Second))
}
