package plan

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

func TestAllFail(t *testing.T) {
	begin := time.Date(2026, 11, 29, 12, 3, 0, 0, time.UTC)
	down := func(after time.Duration) health.Verdict {
		return health.Verdict{Known: true, Since: begin.Add(after)}
	}
	up, lost, unknown := health.Verdict{Known: true, Up: true}, health.Verdict{Known: true, Up: true, NoNetwork: true}, health.Verdict{}
	for _, tt := range []struct {
		name     string
		servers  []health.Verdict
		machines int // 0: each server is on its own
		want     int
		since    time.Time
	}{
		{"all at once", []health.Verdict{down(0), down(time.Second), down(2 * time.Second)}, 0, 6, begin},
		{"one is up", []health.Verdict{down(0), up, down(time.Second)}, 0, 0, time.Time{}},
		{"one is unknown", []health.Verdict{down(0), unknown, down(time.Second)}, 0, 0, time.Time{}},
		{"one failed long before", []health.Verdict{down(0), down(time.Minute), down(time.Minute)}, 0, 0, time.Time{}},
		{"two servers", []health.Verdict{down(0), down(0)}, 0, 0, time.Time{}},
		{"four servers on two machines", []health.Verdict{down(0), down(0), down(0), down(0)}, 2, 0, time.Time{}},
		{"no way to one, no answer of the others", []health.Verdict{down(0), lost, down(time.Second)}, 0, 6, begin},
		{"no way to any", []health.Verdict{lost, lost, lost}, 0, 6, time.Time{}},
		{"none", nil, 0, 0, time.Time{}},
	} {
		check := config.Check{Kind: config.TCPCheck{}, Interval: time.Second, Timeout: time.Second, Fall: 2}
		var p Plan
		verdicts := map[config.Subject]health.Verdict{{Track: "gateway"}: up}
		p.Checks = []Spec{{Subject: config.Subject{Track: "gateway"}, Checks: []config.Check{check}}, {Subject: config.Subject{Server: config.ServerID{Service: "unchecked"}}}}
		for n, v := range tt.servers {
			id, machine := config.Subject{Server: config.ServerID{Service: "mysql", Server: fmt.Sprint(n)}}, n
			if tt.machines > 0 {
				machine = n % tt.machines
			}
			p.Checks = append(p.Checks, Spec{Subject: id, Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(machine)}), Checks: []config.Check{check, check}})
			verdicts[id] = v
		}
		p.Table.Verdicts = VerdictsOf(verdicts)
		if got, since := p.AllFail(); got != tt.want || !since.Equal(tt.since) {
			t.Errorf("%s: %d since %s, want %d since %s", tt.name, got, since, tt.want, tt.since)
		}
	}
}
