package realserver

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// comparing lets go-cmp compare types with unexported fields.
var comparing = cmp.Options{
	cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}),
}

const (
	vip  = "10.77.0.100"
	rip  = "10.77.0.11"
	node = "mysql1"
)

// cluster is a cluster file with one virtual server for each forwarding method, all on the same VIP and real servers.
func cluster(forward ...config.Forward) *config.Config {
	cfg := &config.Config{
		File: "cluster.yaml", Digest: "sha256:00",
		Directors: []config.Director{
			{Name: "lvs-master", Address: netip.MustParseAddr("10.77.0.2")},
			{Name: "lvs-backup", Address: netip.MustParseAddr("10.77.0.3")},
		},
		Instances: []config.Instance{
			{Name: "outer", VirtualAddresses: []netip.Prefix{netip.MustParsePrefix(vip + "/32")}},
			{Name: "inner", VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.78.0.1/32")}},
		},
	}
	for i, f := range forward {
		cfg.VirtualServers = append(cfg.VirtualServers, config.VirtualServer{
			Name: string(f), Protocol: "tcp", Address: netip.MustParseAddr(vip), Port: uint16(3306 + i), Forward: f,
			RealServers: []config.RealServer{
				{Name: node, Address: netip.MustParseAddr(rip), Port: uint16(3306 + i)},
				{Name: "mysql2", Address: netip.MustParseAddr("10.77.0.12")},
			},
		})
	}
	return cfg
}

var (
	lo    = addr.Link{Index: 1, Name: "lo", Up: true, Loopback: true, Kind: "device"}
	eth0  = addr.Link{Index: 2, Name: "eth0", Up: true, Kind: "device"}
	eth05 = addr.Link{Index: 3, Name: "eth0.5", Kind: "vlan"}
	tunl0 = addr.Link{Index: 4, Name: "tunl0", Kind: "ipip"}
	onLo  = kernel.IfAddr{Interface: "lo", Prefix: netip.MustParsePrefix(vip + "/32")}
	onTun = kernel.IfAddr{Interface: "tunl0", Prefix: netip.MustParsePrefix(vip + "/32")}
)

func TestDesired(t *testing.T) {
	arp := func(more ...string) map[string]string {
		m := map[string]string{
			"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2",
			"net.ipv4.conf.eth0.arp_ignore": "1", "net.ipv4.conf.eth0.arp_announce": "2",
		}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	member := func(f config.Forward, port string) Membership {
		to := netip.MustParseAddrPort(vip + ":" + port)
		return Membership{Name: string(f), VIP: to, Protocol: "tcp", Forward: f, Server: node, Address: netip.MustParseAddr(rip), Port: to.Port()}
	}
	tests := []struct {
		name  string
		cfg   *config.Config
		links []addr.Link
		node  []string
		want  State
	}{
		{"no file", nil, []addr.Link{lo, eth0}, []string{node}, State{}},
		{"not in the file", cluster(config.DR), []addr.Link{lo, eth0}, []string{"mysql9"}, State{}},
		{"dr", cluster(config.DR), []addr.Link{lo, eth0}, []string{"mysql1.example.net", node}, State{
			Memberships: []Membership{member(config.DR, "3306")},
			Up:          []string{"lo"}, Addresses: []kernel.IfAddr{onLo}, Sysctls: arp(), NICs: []string{"eth0"},
		}},
		{
			"dr: interfaces up and down, with a dot; not tunnels", cluster(config.DR),
			[]addr.Link{lo, eth05, eth0, tunl0, {Name: "to-rome", Kind: "ipip", Up: true}},
			[]string{node},
			State{
				Memberships: []Membership{member(config.DR, "3306")},
				Up:          []string{"lo"}, Addresses: []kernel.IfAddr{onLo}, NICs: []string{"eth0", "eth0.5"},
				Sysctls: arp("net/ipv4/conf/eth0.5/arp_ignore", "1", "net/ipv4/conf/eth0.5/arp_announce", "2"),
			},
		},
		{"tun, also before its module is loaded", cluster(config.TUN), []addr.Link{lo, eth0}, []string{node}, State{
			Memberships: []Membership{member(config.TUN, "3306")},
			Up:          []string{"tunl0"}, Addresses: []kernel.IfAddr{onTun}, NICs: []string{"eth0"},
			Sysctls: arp("net.ipv4.conf.tunl0.rp_filter", "2"),
		}},
		{"nat changes nothing", cluster(config.NAT), []addr.Link{lo, eth0}, []string{node}, State{
			Memberships: []Membership{member(config.NAT, "3306")}, NICs: []string{"eth0"},
		}},
		{"one VIP, two ports", cluster(config.DR, config.DR), []addr.Link{lo, eth0}, []string{node}, State{
			Memberships: []Membership{member(config.DR, "3306"), member(config.DR, "3307")},
			Up:          []string{"lo"}, Addresses: []kernel.IfAddr{onLo}, Sysctls: arp(), NICs: []string{"eth0"},
		}},
		{"all methods", cluster(config.TUN, config.DR, config.NAT), []addr.Link{lo, eth0, tunl0}, []string{node}, State{
			Memberships: []Membership{member(config.TUN, "3306"), member(config.DR, "3307"), member(config.NAT, "3308")},
			Up:          []string{"lo", "tunl0"}, Addresses: []kernel.IfAddr{onLo, onTun}, NICs: []string{"eth0"},
			Sysctls: arp("net.ipv4.conf.tunl0.rp_filter", "2"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Desired(tt.cfg, tt.links, tt.node...), comparing); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestADirectorIsKnownAsOne(t *testing.T) {
	cfg := cluster(config.DR)
	cfg.Directors[0].Name = node
	if !Desired(cfg, nil, node).Director || Desired(cfg, nil, "mysql2").Director {
		t.Error("mysql1 must be a director and mysql2 must not")
	}
}
