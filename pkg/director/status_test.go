package director

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

func TestPoolState(t *testing.T) {
	up := status.RealServer{State: "up", Weight: 1}
	down := status.RealServer{State: "down"}
	kept := status.RealServer{State: "unknown", Weight: 1}
	unknown := status.RealServer{State: "unknown"}
	for _, tt := range []struct {
		pool          []status.RealServer
		state, reason string
	}{
		{[]status.RealServer{up, up}, "up", "all 2 real servers are up"},
		{[]status.RealServer{up, down}, "degraded", "1 of 2 real servers are up"},
		{[]status.RealServer{down, unknown}, "down", "no real server is up"},
		{[]status.RealServer{down, kept}, "degraded", "0 of 2 real servers are up; 1 more serve and cannot be checked"},
	} {
		if state, reason := poolState(tt.pool); state != tt.state || reason != tt.reason {
			t.Errorf("%v: %s, %q; want %s, %q", tt.pool, state, reason, tt.state, tt.reason)
		}
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
		Name: config.InstanceID(cfg.Name), Params: vrrp.Params{VRID: 51, Version: 3, Priority: 150}, Log: slog.New(slog.DiscardHandler),
	})
	got := instanceStatus(cfg, actor.Snapshot())
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
