package plan

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// thousand returns a file with 1 000 virtual servers of 4 real servers each, all up.
func thousand() Inputs {
	cfg := vipFile()
	cfg.VirtualServers = nil
	verdicts := map[config.Subject]health.Verdict{}
	for n := range 1000 {
		v := config.VirtualServer{Name: fmt.Sprintf("v%d", n), Protocol: "tcp", Address: netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), Port: 80}
		for m := range 4 {
			r := config.RealServer{Name: fmt.Sprintf("r%d", m), Address: netip.AddrFrom4([4]byte{10, 2, byte(n), byte(m)}), Port: 80, Checks: []config.Check{{Kind: config.TCPCheck{}}}}
			v.RealServers = append(v.RealServers, r)
			verdicts[config.Subject{Server: config.ServerID{Service: v.Name, Server: r.Name}}] = health.Verdict{Known: true, Up: true}
		}
		cfg.VirtualServers = append(cfg.VirtualServers, v)
	}
	in := inputs(cfg)
	in.Verdicts = VerdictsOf(verdicts)
	return in
}

// BenchmarkOf measures a start or a reload: the plan and the transition to it.
func BenchmarkOf(b *testing.B) {
	in := thousand()
	b.ReportAllocs()
	for b.Loop() {
		if steps := Transition(Plan{}, Of(in)); len(steps) == 0 {
			b.Fatal(steps)
		}
	}
}

// BenchmarkJudged measures a new verdict: the plan and the transition to it.
func BenchmarkJudged(b *testing.B) {
	in := thousand()
	from := Of(in)
	b.ReportAllocs()
	for b.Loop() {
		to := from.Judged(in)
		if steps := Transition(from, to); len(steps) != 0 {
			b.Fatal(steps)
		}
	}
}
