package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// TestUnfit: an instance is unfit if this director has no way to any real server of its virtual servers, and the ones
// that are down or drained do not matter.
func TestUnfit(t *testing.T) {
	ok := health.Verdict{Known: true, Up: true}
	lost := health.Verdict{Known: true, Up: true, NoNetwork: true}
	never := health.Verdict{NoNetwork: true}
	dead := health.Verdict{Known: true}
	denied := health.Verdict{Code: health.Auth}
	lostAndDead := health.Verdict{Known: true, NoNetwork: true}
	type pool []health.Verdict
	for _, tt := range []struct {
		name    string
		pools   []pool
		drained bool // the last server of the last pool
		unfit   string
		lost    []string
	}{
		{"all answer", []pool{{ok, ok}}, false, "", nil},
		{"no way to any", []pool{{lost, lost}}, false, "a", []string{"a"}},
		{"no way to one", []pool{{lost, ok}}, false, "", nil},
		{"no way to the only one that is not down", []pool{{lost, dead}}, false, "a", []string{"a"}},
		{"no way to one that was down", []pool{{lostAndDead, ok}}, false, "", nil},
		{"never a way", []pool{{never, never}}, false, "a", []string{"a"}},
		{"all are down", []pool{{dead, dead}}, false, "", nil},
		{"nothing is known, and the servers are reached", []pool{{denied, lost}}, false, "", nil},
		{"the other one is drained", []pool{{lost, ok}}, true, "a", []string{"a"}},
		{"one virtual server of two", []pool{{lost, lost}, {ok, dead}}, false, "", []string{"a"}},
		{"both", []pool{{lost, lost}, {lost, dead}}, false, "a, b", []string{"a", "b"}},
		{"one, and the other is down everywhere", []pool{{lost}, {dead, dead}}, false, "a", []string{"a"}},
		{"no virtual server", nil, false, "", nil},
	} {
		cfg, verdicts := vipFile(), map[config.Subject]health.Verdict{}
		cfg.VirtualServers = nil
		for n, p := range tt.pools {
			v := config.VirtualServer{Name: string(rune('a' + n)), Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: uint16(3306 + n)}
			for m, verdict := range p {
				r := config.RealServer{Name: string(rune('0' + m)), Weight: 1}
				if tt.drained && n == len(tt.pools)-1 && m == len(p)-1 {
					r.Weight = 0
				}
				v.RealServers = append(v.RealServers, r)
				verdicts[config.Subject{Server: config.ServerID{Service: v.Name, Server: r.Name}}] = verdict
			}
			cfg.VirtualServers = append(cfg.VirtualServers, v)
		}
		in := inputs(cfg)
		before := Of(in)
		in.Verdicts = VerdictsOf(verdicts)
		for how, p := range map[string]Plan{"Of": Of(in), "Judged": before.Judged(in)} {
			i := named(p, "outer")
			if got := i.Unfit; (got == "") != (tt.unfit == "") || !strings.Contains(got, "the real servers of "+tt.unfit+":") && got != "" {
				t.Errorf("%s: %s: %q, want %q", tt.name, how, got, tt.unfit)
			}
			if other := named(p, "inner"); other.Unfit != "" {
				t.Errorf("%s: %s: an instance without virtual servers: %q", tt.name, how, other.Unfit)
			}
			if got := p.Unreachable(); !slices.Equal(got, tt.lost) {
				t.Errorf("%s: %s: unreachable %v, want %v", tt.name, how, got, tt.lost)
			}
			told := slices.ContainsFunc(Transition(before, p), func(s Step) bool { return s.Do == SetInstance && s.Name == "outer" })
			if told != (tt.unfit != "") {
				t.Errorf("%s: %s: the election is told: %t", tt.name, how, told)
			}
		}
	}
}

// named returns the instance with a name.
func named(p Plan, name string) Instance {
	return p.Instances[slices.IndexFunc(p.Instances, func(i Instance) bool { return i.Config.Name == name })]
}
