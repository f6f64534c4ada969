package director

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// sized returns the snapshots of a director with virtual servers of this many real servers, which are all up or down.
func sized(virtual, each int, up bool) snapshots {
	verdict := health.Verdict{Known: true, Up: up, Code: health.OK, Reason: "up: tcp: connected"}
	if !up {
		verdict.Code, verdict.Reason = health.Refused, "down: tcp: connection refused (2 of 2)"
	}
	cfg, verdicts := &config.Config{}, map[config.Subject]health.Verdict{}
	for n := range virtual {
		v := config.VirtualServer{
			Name: fmt.Sprintf("v%d", n), Protocol: "tcp", Scheduler: "rr", Forward: config.DR, Port: 80, InitialUp: true,
			Address: netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}),
		}
		for m := range each {
			r := config.RealServer{
				Name: fmt.Sprintf("r%d", m), Port: 80, Weight: 1, Address: netip.AddrFrom4([4]byte{10, 2, byte(m >> 8), byte(m)}),
			}
			v.RealServers = append(v.RealServers, r)
			verdicts[config.Subject{Server: config.ServerID{Service: v.Name, Server: r.Name}}] = verdict
		}
		cfg.VirtualServers = append(cfg.VirtualServers, v)
	}
	return snapshots{
		plan: plan.Plan{Config: cfg}, started: true, pools: true, balances: true, checked: true,
		verdicts: plan.VerdictsOf(verdicts), services: lvs.Desired(cfg.VirtualServers, nil, nil),
	}
}

// BenchmarkStatus is the work of one status request without the read of the kernel's table. late-ms is the longest delay
// of a 10 ms timer beside it, such as the one of an advert, on a single CPU.
func BenchmarkStatus(b *testing.B) {
	for _, size := range []struct {
		virtual, each int
		up            bool
	}{{1, 4000, true}, {1, 10000, true}, {1000, 4, true}, {2500, 4, true}, {2500, 4, false}} {
		b.Run(fmt.Sprintf("%dx%d/up=%v", size.virtual, size.each, size.up), func(b *testing.B) {
			s := sized(size.virtual, size.each, size.up)
			m := newProblemMonitor(func(depth) snapshots { return s }, nil, func(event.Event) {})
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			stop, used := lateness10ms(b), cpu(b)
			for b.Loop() {
				doc := m.examine(withCounters)
				if err := json.NewEncoder(io.Discard).Encode(doc); err != nil {
					b.Fatal(err)
				}
			}
			stop()
			b.ReportMetric(float64((cpu(b)-used).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpu returns the CPU time of this process.
func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// lateness10ms measures the longest delay of a timer until the returned function is called.
func lateness10ms(b *testing.B) (stop func()) {
	const every = 10 * time.Millisecond
	end, late := make(chan struct{}), make(chan []time.Duration, 1)
	go func() {
		var all []time.Duration
		for {
			due := time.Now().Add(every)
			select {
			case <-end:
				late <- all
				return
			case <-time.After(every):
				all = append(all, time.Since(due))
			}
		}
	}()
	return func() {
		close(end)
		if all := <-late; len(all) > 0 {
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "late-ms")
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "median-late-ms")
		}
	}
}
