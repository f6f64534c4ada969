package plan

import (
	"fmt"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
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
		if got := fmt.Sprint(markingBy(c.files).Endpoints); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}
