package ipvs

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Every tunnel is stored as ipvsadm prints it, reads back alike, and can be changed to every other one in place.
func TestTunnels(t *testing.T) {
	table := openTable(t)
	tunnels := []struct {
		tunnel config.Tunnel
		rule   string
	}{
		{config.Tunnel{}, "--tun-type ipip"},
		{config.Tunnel{Type: config.GRE}, "--tun-type gre --tun-nocsum"},
		{config.Tunnel{Type: config.GRE, Checksum: config.FullChecksum}, "--tun-type gre --tun-csum"},
		{config.Tunnel{Type: config.GUE, Port: 5555}, "--tun-type gue --tun-port 5555 --tun-nocsum"},
		{config.Tunnel{Type: config.GUE, Port: 65535, Checksum: config.FullChecksum}, "--tun-type gue --tun-port 65535 --tun-csum"},
		{config.Tunnel{Type: config.GUE, Port: 1, Checksum: config.RemoteChecksum}, "--tun-type gue --tun-port 1 --tun-remcsum"},
	}
	for _, from := range tunnels {
		for _, to := range slices.Concat(tunnels[:1], tunnels) {
			var services [2]lvs.Service
			for n, tunnel := range []config.Tunnel{from.tunnel, to.tunnel} {
				r := server("10.77.0.11", config.TUN, 1)
				r.Tunnel = tunnel
				services[n] = service(3306, "rr", r)
			}
			become(t, table, services[:1])
			if ops := lvs.Diff(services[1:], read(t, table), nil); from != to && (len(ops) != 1 || ops[0].Kind != lvs.UpdateServer) {
				t.Errorf("from %s to %s: %v", from.tunnel, to.tunnel, ops)
			}
			become(t, table, services[1:])
			want := sortedLines("-A -t 10.77.0.100:3306 -s rr\n-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -i -w 1 " + to.rule)
			if diff := cmp.Diff(want, stock(t)); diff != "" {
				t.Errorf("from %s to %s: %s", from.tunnel, to.tunnel, diff)
			}
			if diff := cmp.Diff(want, sortedLines(lvs.Rules(services[1:]))); diff != "" {
				t.Errorf("%s: Rules: %s", to.tunnel, diff)
			}
		}
	}
	if _, err := table.Apply(within(t, 5*time.Second), lvs.Diff(nil, read(t, table), all)); err != nil {
		t.Error(err)
	}
}
