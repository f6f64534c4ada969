package ipvs

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestZero: the counters of the services that are named become zero, those of others stay, and one that is not there does no harm.
func TestZero(t *testing.T) {
	table := openTable(t)
	var keys []lvs.Key
	var ops []lvs.Op
	for _, address := range []string{"127.0.0.1:3306", "127.0.0.1:3307"} {
		at := netip.MustParseAddrPort(address)
		service := lvs.Service{Key: lvs.Key{Protocol: "tcp", Address: at.Addr(), Port: at.Port()}, Scheduler: "rr"}
		ops = append(ops, lvs.Op{Kind: lvs.AddService, Service: service},
			lvs.Op{Kind: lvs.AddServer, Service: service, Server: lvs.Server{Address: netip.MustParseAddr("127.0.0.1"), Port: at.Port(), Weight: 1, Forward: "nat"}})
		keys = append(keys, service.Key)
	}
	if _, err := table.Apply(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys { // nobody listens; the packet counts
		if conn, err := net.Dial("tcp", netip.AddrPortFrom(key.Address, key.Port).String()); err == nil {
			conn.Close()
		}
	}
	counted := func() (all []uint64) {
		services, err := table.Read(t.Context())
		if err != nil || len(services) != 2 {
			t.Fatal(services, err)
		}
		for _, s := range services {
			all = append(all, s.Traffic.Connections, s.Servers[0].Traffic.Connections)
		}
		return all
	}
	for deadline := time.Now().Add(20 * time.Second); slices.Contains(counted(), 0); time.Sleep(50 * time.Millisecond) { // the kernel sums up every 2 s
		if time.Now().After(deadline) {
			t.Fatalf("not counted: %v", counted())
		}
	}
	absent := lvs.Key{Protocol: "udp", Address: netip.MustParseAddr("127.0.0.1"), Port: 53}
	if n, err := table.Zero(t.Context(), []lvs.Key{absent, keys[1]}); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if c := counted(); c[0] == 0 || c[1] == 0 || c[2] != 0 || c[3] != 0 {
		t.Errorf("connections of the services and their servers: %v", c)
	}
}
