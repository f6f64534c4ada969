package realserver

import (
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

const loopback = "lo"

// The devices on which the packets of tunnels arrive. Those named after a module are its fallback device, which receives every
// packet that matches no other tunnel; the others are of the administrator.
const (
	// tunnel is that of the module ipip, for IPv4 in IPv4.
	tunnel = "tunl0"
	// tunnel64 is that of the module sit, for IPv6 in IPv4.
	tunnel64 = "sit0"
	// tunnel6 is a device for IPv4 and IPv6 in IPv6: that of the module ip6_tunnel, ip6tnl0, drops all packets, since it has none of the
	// flags that ip6_tnl_rcv_ctl wants (net/ipv6/ip6_tunnel.c).
	tunnel6 = "ip6any0"
	// greTunnel is that of the module ip_gre, for GRE.
	greTunnel = "gre0"
	// greChecksumTunnel is a device for GRE with checksums, which gre0 drops (ip_tunnel_rcv).
	greChecksumTunnel = "grecsum0"
)

// missingDevices says how to get each device.
var missingDevices = map[string]string{
	tunnel:            "load the kernel module ipip (modprobe ipip; for every boot: echo ipip >/etc/modules-load.d/ipip.conf)",
	tunnel64:          "load the kernel module sit (modprobe sit; for every boot: echo sit >/etc/modules-load.d/sit.conf)",
	tunnel6:           "modprobe ip6_tunnel && ip link add ip6any0 type ip6tnl mode any local ADDRESS remote ::, with this node's own address (and at every boot)",
	greTunnel:         "load the kernel module ip_gre (modprobe ip_gre; for every boot: echo ip_gre >/etc/modules-load.d/ip_gre.conf)",
	greChecksumTunnel: "modprobe ip_gre && ip link add grecsum0 type gre local ADDRESS csum, with this node's own address (and at every boot)",
}

// purposes says what each device is for.
var purposes = map[string]string{
	tunnel:            "forward: tun",
	tunnel64:          "forward: tun of IPv6 in IPv4",
	tunnel6:           "forward: tun in IPv6",
	greTunnel:         "forward: tun with tunnel type gre",
	greChecksumTunnel: "forward: tun with tunnel type gre and checksum: full",
}

func missingDevice(name string) string {
	remedy, known := missingDevices[name]
	if !known {
		return name + " does not exist"
	}
	return fmt.Sprintf("%s does not exist, so %s cannot work: %s", name, purposes[name], remedy)
}

// device is the tunnel device on which packets arrive. The kernel unpacks those of GUE to IP in IP.
func (m Membership) device() string {
	switch inner, outer := kernel.FamilyOf(m.VIP.Addr()), kernel.FamilyOf(m.Address); {
	case m.Tunnel.Type == config.GRE && m.Tunnel.Checksum != config.NoChecksum:
		return greChecksumTunnel
	case m.Tunnel.Type == config.GRE:
		return greTunnel
	case outer == kernel.IPv6:
		return tunnel6
	case inner == kernel.IPv6:
		return tunnel64
	}
	return tunnel
}

// mixed reports whether the packets of a tunnel are of another family than those in it.
func (m Membership) mixed() bool {
	return m.Forward == config.TUN && kernel.FamilyOf(m.VIP.Addr()) != kernel.FamilyOf(m.Address)
}

// refusal returns why this node does not support a virtual server, or "".
func (m Membership) refusal() string {
	plain := m.Tunnel.Type != config.GRE && m.Tunnel.Type != config.GUE
	if m.Forward != config.TUN || plain || kernel.FamilyOf(m.VIP.Addr()) == kernel.IPv4 && kernel.FamilyOf(m.Address) == kernel.IPv4 {
		return ""
	}
	return fmt.Sprintf("%s: the agent does not support IPv6 with tunnel type %s: set up the tunnel and the VIP by hand, or use the type ipip", m.VIP.Addr(), m.Tunnel.Type)
}

// nics returns the interfaces on which ARP requests for a VIP can arrive: all, up or down, except lo and the tunnels.
func nics(links []addr.Link) []string {
	var names []string
	for _, l := range links {
		if !l.Loopback && l.Name != tunnel && !l.Tunnel() {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	return names
}
