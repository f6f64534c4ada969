package plan

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestQuiet: the virtual addresses of TCP are quiet with connection synchronization, and all if a mark may be for any of them.
func TestQuiet(t *testing.T) {
	two := func() *config.Config {
		cfg := file("a@eth0/51=10.77.0.100,10.77.0.101", "b@eth0/52=10.77.0.102", "mysql@10.77.0.101:db1", "dns@10.77.0.102:db1", "other@10.77.0.9:db1")
		for n := range cfg.VirtualServers {
			cfg.VirtualServers[n].Protocol = "tcp"
		}
		cfg.VirtualServers[1].Protocol = "udp"
		cfg.ConnectionSync = &config.ConnectionSync{}
		return cfg
	}
	without, marked := two(), two()
	without.ConnectionSync = nil
	marked.VirtualServers[2] = config.VirtualServer{Name: "marked", Mark: 5, RealServers: marked.VirtualServers[2].RealServers}
	for name, tt := range map[string]struct {
		cfg  *config.Config
		want string
	}{
		"without synchronization": {without, "map[]"},
		"tcp and udp":             {two(), "map[eth0/IPv4/1:[10.77.0.101] eth0/IPv4/2:[]]"},
		"mark":                    {marked, "map[eth0/IPv4/1:[10.77.0.100 10.77.0.101] eth0/IPv4/2:[10.77.0.102]]"},
	} {
		if got := fmt.Sprint(Of(inputs(tt.cfg)).Quiet.Addresses); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestQuietOwn: the addresses on which this machine is a real server are known by the file, whatever the forwarding method, and by the
// addresses that it has without a lease; not those of another director that is one.
func TestQuietOwn(t *testing.T) {
	cfg := file("a@eth0/51=10.77.0.100,10.77.0.101,10.77.0.102,10.77.0.103", "mysql@10.77.0.100:db1", "tunnel@10.77.0.101:db1", "other@10.77.0.102:db1")
	node := inputs(cfg).Node
	for _, name := range []string{node, "another"} {
		if _, err := cfg.DirectorNamed(name); err != nil {
			cfg.Directors = append(cfg.Directors, config.Director{Name: name, Address: netip.MustParseAddr("10.77.0.77")})
		}
	}
	for n, is := range []struct {
		server  string
		forward config.Forward
	}{{node, config.DR}, {node, config.TUN}, {"another", config.DR}} {
		cfg.VirtualServers[n].Protocol = "tcp"
		cfg.VirtualServers[n].RealServers[0].Name, cfg.VirtualServers[n].Forward = is.server, is.forward
	}
	cfg.ConnectionSync = &config.ConnectionSync{}
	at := func(address string, valid time.Duration) kernel.Address {
		return kernel.Address{Interface: "lo", Prefix: netip.MustParsePrefix(address), Valid: valid}
	}
	in := inputs(cfg)
	for want, addresses := range map[string][]kernel.Address{
		"[10.77.0.100 10.77.0.101]":             {at("10.77.0.102/32", time.Minute), at("10.77.0.9/32", 0)},
		"[10.77.0.100 10.77.0.101 10.77.0.103]": {at("10.77.0.103/32", 0)},
	} {
		in.Addresses = addresses
		if got := fmt.Sprint(Of(in).Quiet.Own); got != want {
			t.Errorf("with %v: %s, want %s", addresses, got, want)
		}
	}
}
