package realserver

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// tunnelPorts are the UDP sockets of this node, among them those of the kernel that receive GUE.
type tunnelPorts struct {
	looked time.Time
	known  bool // the last look succeeded
	open   []netip.AddrPort
}

// lookForTunnelPorts reads the UDP sockets if a tunnel needs one and that is due. Unknown is not down.
func (a *Agent) lookForTunnelPorts(want State) {
	p := &a.tunnelPorts
	if a.e.Listeners == nil || time.Since(p.looked) < listenInterval {
		return
	}
	for _, m := range want.Memberships {
		if m.Forward == config.TUN && m.Tunnel.Type == config.GUE {
			var err error
			p.looked = time.Now()
			p.open, err = a.e.Listeners("udp")
			p.known = err == nil
			return
		}
	}
}

// closedTunnel returns why the packets of a tunnel are not received here, or "".
func (a *Agent) closedTunnel(m Membership) string {
	p := &a.tunnelPorts
	if m.Forward != config.TUN || m.Tunnel.Type != config.GUE || !p.known || listens(p.open, netip.AddrPortFrom(m.Address, m.Tunnel.Port)) {
		return ""
	}
	return fmt.Sprintf("nothing receives GUE on UDP port %d, so the tunnel from the directors cannot work: modprobe fou && ip fou add port %d gue (and at every boot)",
		m.Tunnel.Port, m.Tunnel.Port)
}

// closedTunnels returns the problems of closedTunnel, one for each port.
func (a *Agent) closedTunnels(want State) []problem.Finding {
	a.lookForTunnelPorts(want)
	byPort := map[uint16]int{}
	var all []problem.Finding
	for _, m := range want.Memberships {
		reason := a.closedTunnel(m)
		if reason == "" {
			continue
		}
		n, known := byPort[m.Tunnel.Port]
		if !known {
			n = len(all)
			byPort[m.Tunnel.Port] = n
			all = append(all, missing(fmt.Sprintf("UDP port %d", m.Tunnel.Port), reason))
		}
		all[n].Related = append(all[n].Related, m.Name)
	}
	return all
}
