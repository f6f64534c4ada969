package lvs

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// thousand are 1 000 virtual servers of 4.
func thousand() []config.VirtualServer {
	var all []config.VirtualServer
	for n := range 1000 {
		v := config.VirtualServer{
			Name: fmt.Sprintf("v%d", n), Protocol: "tcp", Scheduler: "rr", Forward: config.DR, InitialUp: true, Port: 80,
			Address: netip.MustParseAddr(fmt.Sprintf("10.1.%d.%d", n>>8, n&255)),
		}
		for m := range 4 {
			v.RealServers = append(v.RealServers, config.RealServer{
				Name: fmt.Sprintf("r%d", m), Port: 80, Weight: 1, Address: netip.MustParseAddr(fmt.Sprintf("10.2.%d.%d", n&255, m)),
			})
		}
		all = append(all, v)
	}
	return all
}

// BenchmarkStart is the comparison with an empty table at a start, BenchmarkLook the one with a table that is already
// right.
func BenchmarkStart(b *testing.B) {
	servers := thousand()
	b.ReportAllocs()
	for b.Loop() {
		if ops := Diff(Desired(servers, nil, nil), nil, nil); len(ops) != 5000 {
			b.Fatal(len(ops))
		}
	}
}

func BenchmarkLook(b *testing.B) {
	want := Desired(thousand(), nil, nil)
	have := Sorted(want)
	b.ReportAllocs()
	for b.Loop() {
		if ops := Diff(want, have, nil); len(ops) != 0 {
			b.Fatal(len(ops))
		}
	}
}
