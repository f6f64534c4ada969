package plan

import (
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestSuspended: checks with ha_suspend are made while an instance with one of the addresses is active, or none has one; an instance
// is not ready before a result. Without a server that takes connections it is not ready afterwards.
func TestSuspended(t *testing.T) {
	outer, inner := vipFile().Instances[0].ID(), vipFile().Instances[1].ID()
	result := func(one, two health.Verdict) Verdicts {
		of := func(name string) config.Subject {
			return config.Subject{Server: config.ServerID{Service: "mysql", Server: name}}
		}
		return VerdictsOf(map[config.Subject]health.Verdict{of("mysql1"): one, of("mysql2"): two})
	}
	auth, none := health.Verdict{Code: health.Auth}, health.Verdict{}
	down, doubted := health.Verdict{Known: true, Code: health.Refused}, health.Verdict{Code: health.Refused, Undecided: true}
	addresses := func(all ...string) (out []netip.Addr) {
		for _, a := range all {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	for _, tt := range []struct {
		name      string
		addresses []netip.Addr
		active    []config.InstanceID
		verdicts  Verdicts
		suspended bool
		ready     bool // outer
	}{
		{"no instance is active", addresses("10.77.0.100"), nil, Verdicts{}, true, false},
		{"its instance is, without a result", addresses("10.77.0.100"), []config.InstanceID{outer}, Verdicts{}, false, false},
		{"its instance is, with results that say nothing", addresses("10.77.0.100"), []config.InstanceID{outer}, result(auth, auth), false, true},
		{"with a result that says nothing, and none of the other one", addresses("10.77.0.100"), []config.InstanceID{outer}, result(auth, none), false, false},
		{"and too few bad results of the other one", addresses("10.77.0.100"), []config.InstanceID{outer}, result(auth, doubted), false, false},
		{"the other one is down", addresses("10.77.0.100"), []config.InstanceID{outer}, result(auth, down), false, true},
		{"and this machine could not make the check", addresses("10.77.0.100"), []config.InstanceID{outer}, result(health.Verdict{Code: health.Local}, down), false, false},
		{"one is up", addresses("10.77.0.100"), []config.InstanceID{outer}, result(none, health.Verdict{Known: true, Up: true, Code: health.OK}), false, true},
		{"another one is", addresses("10.77.0.100"), []config.InstanceID{inner}, Verdicts{}, true, false},
		{"one of two is", addresses("10.77.0.100", "10.88.0.100"), []config.InstanceID{inner}, result(auth, auth), false, true},
		{"no instance has the address", addresses("192.0.2.1"), nil, Verdicts{}, false, true},
	} {
		cfg := vipFile()
		v := &cfg.VirtualServers[0]
		v.Suspends, v.Address = true, tt.addresses[0]
		if len(tt.addresses) > 1 {
			v.Addresses = tt.addresses
		}
		for i := range v.RealServers {
			v.RealServers[i].Checks = []config.Check{{Kind: config.TCPCheck{}}}
		}
		in := inputs(cfg)
		in.Verdicts, in.Active = tt.verdicts, map[config.InstanceID]bool{}
		for _, id := range tt.active {
			in.Active[id] = true
		}
		p := Of(in)
		if p.Table.Suspended["mysql"] != tt.suspended || p.Checks[0].Suspended != tt.suspended || len(p.Table.SuspendedKeys()) > 0 != tt.suspended {
			t.Errorf("%s: %v, %+v", tt.name, p.Table.Suspended, p.Checks[0])
		}
		if p.Table.Serves(map[lvs.Key]bool{}) != tt.suspended {
			t.Errorf("%s: serves %t", tt.name, !tt.suspended)
		}
		for when, i := range map[string]Instance{"of": p.Instances[0], "judged": p.Judged(in).Instances[0]} {
			if (i.NotReady == "") != tt.ready {
				t.Errorf("%s: %s: not ready: %q", tt.name, when, i.NotReady)
			}
		}
	}
}
