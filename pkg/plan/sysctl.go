package plan

import (
	"strconv"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// OfInterface is the prefix of the sysctls that exist per interface.
const OfInterface = "net/ipv4/conf/"

// ConfKey returns the key that a plan uses for an interface's parameter under net.ipv4.conf.
func ConfKey(iface, name string) string { return OfInterface + iface + "/" + name }

// OfTimeouts is the prefix of the keys of IPVS timeouts, in seconds: tcp, tcp_fin, udp. They are no sysctls, but are set,
// kept and restored like them.
const OfTimeouts = "ipvs/timeout/"

// TrackedKey is the setting by which connections of IPVS are tracked. A kernel may not have it.
const TrackedKey = "net.ipv4.vs.conntrack"

// timeouts adds the timeouts of the file.
func timeouts(want map[string]string, t config.Timeouts) {
	for name, d := range map[string]time.Duration{"tcp": t.TCP, "tcp_fin": t.TCPFin, "udp": t.UDP} {
		if d != 0 {
			want[OfTimeouts+name] = strconv.Itoa(int(d / time.Second))
		}
	}
}

// sysctls returns the kernel settings that balancing and virtual MAC addresses need; none if the file has neither. Those under
// net.ipv4.vs apply to both families.
//
// expire_nodest_conn=1: a connection to a real server that left the table is reset by its next packet instead of being
// silently dropped for up to 15 minutes (Documentation/networking/ipvs-sysctl.rst).
func sysctls(cfg *config.Config) map[string]string {
	want := map[string]string{}
	for _, i := range cfg.Instances {
		for _, p := range i.Held() {
			if p.Addr().Is4() && i.Holder() != i.Interface && i.On(p.Addr()) == i.Holder() {
				// Only the interface that has the VIP answers for it, and the one below asks for its clients' MAC addresses
				// from an address of its own: they learn the MAC address of who asks (arp_solicit in net/ipv4/arp.c).
				want[ConfKey(i.Interface, "arp_ignore")], want[ConfKey(i.Interface, "arp_announce")] = "1", "2"
			}
		}
	}
	if len(cfg.VirtualServers) > 0 {
		timeouts(want, cfg.Timeouts)
		syncSysctls(want, cfg.ConnectionSync)
	}
	for _, v := range cfg.VirtualServers {
		want["net.ipv4.vs.expire_nodest_conn"] = "1"
		if v.Persistence != nil { // otherwise a client keeps being sent to a real server of weight 0
			want["net.ipv4.vs.expire_quiescent_template"] = "1"
		}
		if len(v.SNATClients) > 0 { // otherwise IPVS exempts its connections from tracking, and with it from source NAT (ip_vs_nat_send_or_cont)
			want[TrackedKey] = "1"
		}
		if !v.Forwards(config.NAT) {
			continue
		}
		if v.Family() == kernel.IPv6 { // the kernel has no setting for IPv6 redirects
			want["net.ipv6.conf.all.forwarding"] = "1"
			continue
		}
		if want["net.ipv4.ip_forward"] != "" {
			continue
		}
		want["net.ipv4.ip_forward"] = "1" // the replies of the real servers are routed
		// A one-armed director must not send real servers ICMP redirects to a route that bypasses it. The kernel sends
		// them if either of the two settings is on.
		want["net.ipv4.conf.all.send_redirects"] = "0"
		for _, i := range cfg.Instances {
			want[ConfKey(i.Interface, "send_redirects")] = "0"
			for _, device := range i.Devices() {
				want[ConfKey(device, "send_redirects")] = "0"
			}
		}
	}
	return want
}
