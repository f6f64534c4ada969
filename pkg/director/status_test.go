package director

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestRealServerStatus: a server with a weight of 0 is draining, and one that the kernel does not take says so.
func TestRealServerStatus(t *testing.T) {
	verdicts := map[string]health.Verdict{
		"up":   {Known: true, Up: true, Code: health.OK, Reason: "up: tcp: connected"},
		"down": {Known: true, Code: health.Refused, Reason: "down: tcp: refused (2 of 2)"},
	}
	for _, tt := range []struct {
		name, verdict       string
		configured, weight  int
		differs             bool
		state, code, reason string
		pool                string
	}{
		{"serving", "up", 3, 3, false, "up", "ok", "up: tcp: connected", "up"},
		{"drained", "up", 0, 0, false, "draining", "ok", "draining: the weight is 0; tcp: connected", "down"},
		{"drained and down", "down", 0, 0, false, "down", "refused", "down: tcp: refused (2 of 2)", "down"},
		{"refused by the kernel", "up", 3, 0, true, "up", "ok", "up: tcp: connected; takes no connections: up but not in the kernel's table", "down"},
	} {
		one := config.RealServer{Name: "mysql1", Address: netip.MustParseAddr("10.77.0.11"), Port: 3306, Weight: tt.configured}
		id := config.Subject{Server: config.ServerID{Service: "mysql", Server: "mysql1"}}
		got := virtualServerStatus(
			config.VirtualServer{Name: "mysql", RealServers: []config.RealServer{one}},
			plan.Table{Verdicts: plan.VerdictsOf(map[config.Subject]health.Verdict{id: verdicts[tt.verdict]})},
			func(lvs.Key) lvs.Table {
				return lvs.Table{Have: lvs.Service{Servers: []lvs.Server{{Address: one.Address, Port: one.Port, Weight: tt.weight}}}, Known: true, Differs: tt.differs}
			},
		)
		r := got.RealServers[0]
		if r.State != tt.state || r.Code != tt.code || r.Reason != tt.reason || r.Weight != tt.weight || got.State != tt.pool {
			t.Errorf("%s: pool %s, server %+v", tt.name, got.State, r)
		}
	}
}

// TestTrafficStatus: entries that were not read since they were added have none.
func TestTrafficStatus(t *testing.T) {
	cfg := &config.Config{VirtualServers: []config.VirtualServer{
		{Name: "a", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 80, RealServers: []config.RealServer{
			{Name: "one", Address: netip.MustParseAddr("10.77.0.11"), Port: 80}, {Name: "two", Address: netip.MustParseAddr("10.77.0.12"), Port: 80},
		}},
		{Name: "b", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 81},
	}}
	s := snapshots{plan: plan.Plan{Config: cfg}, pools: true, balances: true, known: true, counted: true, readAt: time.Unix(1, 0), measured: []lvs.Service{{
		Key: lvs.KeyOf(cfg.VirtualServers[0]), Traffic: &lvs.Traffic{Connections: 7, ByteRateOut: 8},
		Servers: []lvs.Server{{Address: netip.MustParseAddr("10.77.0.12"), Port: 80, Traffic: &lvs.Traffic{PacketsIn: 9}}},
	}}}
	doc := report(s)
	v := doc.VirtualServers[0]
	if v.Traffic == nil || v.Traffic.Connections != 7 || v.Traffic.ByteRateOut != 8 || v.RealServers[0].Traffic != nil || v.RealServers[1].Traffic.PacketsIn != 9 || doc.VirtualServers[1].Traffic != nil || !doc.TrafficReadAt.Equal(time.Unix(1, 0)) {
		t.Errorf("%+v at %s", doc.VirtualServers, doc.TrafficReadAt)
	}
	s.counted = false // the problem monitor
	if doc := report(s); doc.VirtualServers[0].Traffic != nil {
		t.Error("the problem monitor makes what it does not need")
	}
}

func TestStatusBeforeTheStart(t *testing.T) {
	d := New(Options{Config: &config.Config{Digest: "sha256:0"}, Node: config.Director{Name: "lvs-master"}, Version: "1"})
	want := status.Director{
		Head: status.Head{
			Node: "lvs-master", Role: "director", Version: "1", ConfigDigest: "sha256:0", Problems: []string{"the director has not started yet"},
			ProblemDetails: problem.Declared().Report([]problem.Finding{{Code: problem.DaemonStarting, Text: "the director has not started yet"}}),
		},
		Instances:      []status.Instance{},
		VirtualServers: []status.VirtualServer{},
	}
	got := d.Status()
	if got.Process == nil || got.Process.Goroutines == 0 || got.Process.HeapBytes == 0 || got.Process.TotalBytes == 0 {
		t.Errorf("process: %+v", got.Process)
	}
	got.Process = nil
	if len(got.ProblemDetails) == 1 && got.ProblemDetails[0].Since.IsZero() {
		t.Error("since when?")
	}
	got.ProblemDetails[0].Since = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInstanceStatus(t *testing.T) {
	cfg := config.Instance{
		Name: "mysql", Interface: "eth0", VRID: 51, ProtocolVersion: 3, Priority: 150,
		VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/32")},
	}
	actor := election.New(election.Options{
		ID: cfg.ID(), Name: cfg.Name, Params: vrrp.Params{VRID: 51, Version: 3, Priority: 150}, Log: slog.New(slog.DiscardHandler),
	})
	got := instanceStatus(cfg, actor.View())
	if got.Reason == "" || got.Since.IsZero() {
		t.Errorf("no reason or time: %+v", got)
	}
	got.Reason, got.Since, got.Dropped = "", status.Instance{}.Since, nil
	want := status.Instance{
		Name: "mysql", State: vrrp.Init.String(), Priority: 150, EffectivePriority: 150, VirtualRouterID: 51,
		Interface: "eth0", VirtualAddresses: []string{"10.77.0.100/32"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The state of a group is that of its worst service, its entries are the smallest weight and the sum of the connections.
func TestGroupStatus(t *testing.T) {
	one := config.RealServer{Name: "mysql1", Address: netip.MustParseAddr("10.77.0.11"), Weight: 3}
	v := config.VirtualServer{Name: "mysql", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306, Ports: []uint16{3306, 3307}, Protocol: "tcp", RealServers: []config.RealServer{one}}
	id := config.Subject{Server: config.ServerID{Service: "mysql", Server: "mysql1"}}
	verdicts := plan.VerdictsOf(map[config.Subject]health.Verdict{id: {Known: true, Up: true}})
	second := lvs.Service{Servers: []lvs.Server{{Address: one.Address, Port: 3307, Weight: 2, ActiveConnections: 4}}}
	table := func(key lvs.Key) lvs.Table {
		if key.Port == 3307 {
			return lvs.Table{Known: true, Differs: true, Have: second}
		}
		return lvs.Table{Known: true, Have: lvs.Service{Servers: []lvs.Server{{Address: one.Address, Port: 3306, Weight: 3, ActiveConnections: 5}}}}
	}
	s := virtualServerStatus(v, plan.Table{Verdicts: verdicts}, table)
	if r := s.RealServers[0]; s.State != "up" || r.Weight != 2 || r.ActiveConnections != 9 || r.State != "up" {
		t.Errorf("%+v", s)
	}
	if !slices.Equal(s.Ports, []int{3306, 3307}) || !slices.Equal(s.Addresses, []string{"10.77.0.100"}) {
		t.Errorf("addresses %v, ports %v", s.Addresses, s.Ports)
	}
	second.Servers = nil
	s = virtualServerStatus(v, plan.Table{Verdicts: verdicts}, table)
	if s.State != "down" || !strings.HasSuffix(s.Reason, " (10.77.0.100:3307)") || s.RealServers[0].Weight != 0 {
		t.Errorf("with a service without servers: %+v", s)
	}
}
