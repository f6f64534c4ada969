package plan

import (
	"fmt"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestMarkingBy: every protocol, port and address of packets with a mark, whose rules are ours. During a reload both files
// count, and the newer one decides about what both mark.
func TestMarkingBy(t *testing.T) {
	file := func(servers string) *config.Config {
		cfg, problems := config.Parse("cluster.yaml", []byte("version: 1\ndirectors: [{name: d, address: 10.77.0.2}]\nvirtual_servers:\n"+servers))
		if cfg == nil {
			t.Fatal(problems)
		}
		return cfg
	}
	const rest = ", scheduler: rr, forward: nat, checks: [], real_servers: [{name: a, address: 10.77.0.11}]}\n"
	one := file("  - {name: one, fwmark: 5, marking: nftables, addresses: [10.77.0.100, 10.77.0.101], packets: [{ports: 80-81}, {protocol: udp}]" + rest)
	two := file("  - {name: two, fwmark: 6, marking: nftables, address: 10.77.0.100, packets: [{ports: 80}]" + rest +
		"  - {name: theirs, fwmark: 7, marking: none" + rest + "  - {name: plain, address: 10.77.0.100, port: 22" + rest)
	for _, c := range []struct {
		files []*config.Config
		want  string
	}{
		{[]*config.Config{one}, "[{{17 10.77.0.100:0} 5} {{6 10.77.0.100:80} 5} {{6 10.77.0.100:81} 5} {{17 10.77.0.101:0} 5} {{6 10.77.0.101:80} 5} {{6 10.77.0.101:81} 5}]"},
		{[]*config.Config{two}, "[{{6 10.77.0.100:80} 6}]"},
		{[]*config.Config{one, two}, "[{{17 10.77.0.100:0} 5} {{6 10.77.0.100:80} 6} {{6 10.77.0.100:81} 5} {{17 10.77.0.101:0} 5} {{6 10.77.0.101:80} 5} {{6 10.77.0.101:81} 5}]"},
	} {
		if got := fmt.Sprint(markingBy(c.files, "d").Endpoints); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

// TestLocalDelivery: a director that is a real server too, by name or address, delivers to itself what others send it, and
// has a virtual server for that in each family. Not with another forwarding method, on a machine that is none, or alone.
func TestLocalDelivery(t *testing.T) {
	const two = "{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}"
	const rest = ", scheduler: wlc, forward: %s, checks: [], real_servers: [{name: a, address: %s}, {name: other, address: 10.77.0.3}, {name: c, address: 10.77.0.11}]}\n"
	for _, c := range []struct {
		directors, forward, address, node, local, directorsAddrs, services string
	}{
		{two, "dr", "10.77.0.2", "a", "[{6 10.77.0.100:3306} {6 10.77.0.100:3307}]", "[10.77.0.3]", "10.77.0.2"},
		{two, "dr", "10.77.1.2", "a", "[{6 10.77.0.100:3306} {6 10.77.0.100:3307}]", "[10.77.0.3]", "10.77.1.2"},
		{two, "dr", "10.77.1.2", "b", "[{6 10.77.0.100:3306} {6 10.77.0.100:3307}]", "[10.77.0.2 10.77.1.2]", "10.77.0.3"},
		{two, "dr", "10.77.0.2", "c", "[]", "[]", ""},
		{two, "tun", "10.77.0.2", "a", "[]", "[]", ""},
		{two, "nat", "10.77.0.2", "a", "[]", "[]", ""},
		{"{name: a, address: 10.77.0.2}", "dr", "10.77.0.2", "a", "[]", "[]", ""},
	} {
		cfg, problems := config.Parse("cluster.yaml", fmt.Appendf(nil,
			"version: 1\ndirectors: ["+c.directors+"]\nvirtual_servers:\n  - {name: mysql, address: 10.77.0.100, ports: 3306-3307"+rest, c.forward, c.address))
		if cfg == nil {
			t.Fatal(problems)
		}
		m := markingBy([]*config.Config{cfg}, c.node)
		if fmt.Sprint(m.Local) != c.local || fmt.Sprint(m.Directors) != c.directorsAddrs {
			t.Errorf("%+v: %v from %v", c, m.Local, m.Directors)
		}
		services := ""
		for _, s := range TableOf(cfg, c.node, Verdicts{}).Desired(nil) {
			if s.Mark == kernel.LocalMark && len(s.Servers) == 1 && s.Servers[0].Weight == 1 {
				services += s.Servers[0].Address.String()
			}
		}
		if services != c.services {
			t.Errorf("%+v: the real server of the mark is %q", c, services)
		}
	}
}
