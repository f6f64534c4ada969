package director

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// override asks for an override as alice does, and returns the error as text.
func (m *machine) override(r status.OverrideRequest) string {
	m.t.Helper()
	_, err := m.Override(m.t.Context(), r, "alice")
	m.pass(time.Second)
	if err != nil {
		return err.Error()
	}
	return ""
}

// connected gives the entry of a real server a number of active connections.
func (m *machine) connected(address string, count int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.services {
		m.services[i].Servers = slices.Clone(s.Servers)
		for j, r := range s.Servers {
			if r.Address.String() == address {
				m.services[i].Servers[j].ActiveConnections = count
			}
		}
	}
}

// entry returns the weight of a real server in the table: "-" without an entry.
func (m *machine) entry(address string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.services[0].Servers {
		if r.Address.String() == address {
			return fmt.Sprint(r.Weight)
		}
	}
	return "-"
}

func (m *machine) serverState(n int) string { return m.Status().VirtualServers[0].RealServers[n].State }

// expectEntry checks the weight of the first real server, and its state in the status.
func (m *machine) expectEntry(when, weight, state string) {
	m.t.Helper()
	if got := m.entry(one); got != weight || m.serverState(0) != state {
		m.t.Errorf("%s: weight %s and %s, want %s and %s: %s", when, got, m.serverState(0), weight, state, m.Status().VirtualServers[0].RealServers[0].Reason)
	}
}

var mysql1 = status.OverrideRequest{Target: "mysql/mysql1", Kind: override.Drain, Reason: "upgrade"}

func as(kind override.Kind) status.OverrideRequest {
	return status.OverrideRequest{Target: "mysql/mysql1", Kind: kind}
}

// TestDrain: a server that is drained keeps its connections, and loses its entry some seconds after the last one. The next
// run goes on with that, and enable ends it.
func TestDrain(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.connected(one, 2)
		m.happened()
		if err := m.override(mysql1); err != "" {
			t.Fatal(err)
		}
		m.expectEvents("drain", "override_changed mysql/mysql1: -> drain")
		m.expectEntry("two connections", "0", "draining")
		m.pass(time.Minute)
		m.expectEntry("a minute later", "0", "draining")
		if got := m.judged(); got != "up: 1 of 2 real servers are up; 1 is draining (weight 0) |" {
			t.Error(got)
		}
		if r := m.Status().VirtualServers[0].RealServers[0]; !strings.HasPrefix(r.Reason, "draining: 2 connections are open; by alice since ") || !strings.Contains(r.Reason, "(upgrade)") || r.Override == nil {
			t.Errorf("%+v", r)
		}

		_ = m.stop()
		m.start(m.file)
		m.connected(one, 1)
		m.pass(time.Second)
		m.expectEntry("after a restart", "0", "draining")
		m.happened()
		m.connected(one, 0)
		m.pass(3 * time.Second)
		m.expectEntry("at the last packets", "0", "draining")
		m.pass(6 * time.Second)
		m.expectEntry("without connections", "-", "disabled")
		m.expectEvents("the end", "drain_ended mysql/mysql1: -> drained")
		m.refuses(one, true)
		m.pass(5 * time.Second)
		m.expectEntry("it is stopped", "-", "disabled")
		if got := m.judged(); got != "up: 1 of 2 real servers are up; 1 is disabled |" {
			t.Error(got)
		}
		m.refuses(one, false)
		m.pass(5 * time.Second)
		m.expectEntry("it answers again", "-", "disabled")
		if err := m.override(mysql1); err != "" {
			t.Fatal(err)
		}
		m.expectEntry("drained once more", "-", "disabled")
		if err := m.override(as(override.Enable)); err != "" {
			t.Fatal(err)
		}
		m.expectEntry("enabled", "3", "up")
		if all := m.Status().Overrides; len(all) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// TestDrainTimeout: connections are not waited for longer than the operator wants.
func TestDrainTimeout(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.connected(one, 2)
		r := mysql1
		r.Patience, r.Within = 10*time.Second, time.Minute
		if err := m.override(r); err != "" {
			t.Fatal(err)
		}
		m.pass(7 * time.Second)
		m.expectEntry("before the time is up", "0", "draining")
		m.happened()
		m.pass(4 * time.Second)
		m.expectEntry("the time is up", "-", "disabled")
		m.expectEvents("the time is up", "drain_ended mysql/mysql1: -> timeout")
		m.pass(50 * time.Second)
		m.expectEntry("it ends by itself", "3", "up")
		m.expectEvents("it ends by itself", "override_changed mysql/mysql1: drain ->")
	})
}

// TestDisableAndWeight: disable takes a server out at once; a weight counts until it is enabled, also after a reload.
func TestDisableAndWeight(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.connected(one, 2)
		if err := m.override(as(override.Disable)); err != "" {
			t.Fatal(err)
		}
		m.expectEntry("disabled", "-", "disabled")
		m.reload(weighing(5, 1))
		m.expectEntry("after a reload", "-", "disabled")
		m.reload(strings.ReplaceAll(weighing(5, 1), "name: mysql1", "name: renamed"))
		m.expectEntry("under another name", "-", "disabled")
		if all := m.Status().Overrides; len(all) != 1 || all[0].Target != "mysql/renamed" {
			t.Errorf("%+v", all)
		}
		m.reload(weighing(5, 1))
		weight := as(override.Weight)
		weight.Weight = 7
		if err := m.override(weight); err != "" {
			t.Fatal(err)
		}
		m.expectEntry("with a weight", "7", "up")
		m.reload(weighing(2, 1))
		m.expectEntry("after another reload", "7", "up")
		everywhere := status.OverrideRequest{Target: "mysql1", Kind: override.Enable}
		if err := m.override(everywhere); err != "" {
			t.Fatal(err)
		}
		m.expectEntry("enabled everywhere", "2", "up")
	})
}

// TestLastServer: the last real server is drained only by force, and then a problem says who has emptied the pool.
func TestLastServer(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.refuses(two, true)
		m.pass(5 * time.Second)
		if err := m.override(mysql1); !strings.HasPrefix(err, "mysql/mysql1 is the last real server of mysql that takes connections") {
			t.Errorf("%q", err)
		}
		m.expectEntry("refused", "3", "up")
		r := mysql1
		r.Force = true
		if err := m.override(r); err != "" {
			t.Error(err)
		}
		m.expectEntry("by force", "0", "draining")
		if got := m.judged(); !strings.HasSuffix(got, "| CRITICAL pool_emptied") {
			t.Error(got)
		}
		if m.state("a") != "MASTER" {
			t.Error("it gave the VIP up")
		}
		m.refuses(one, true)
		m.pass(8 * time.Second)
		if got := m.judged(); !strings.HasSuffix(got, "| CRITICAL virtual_server_down") {
			t.Error(got)
		}
	})
}

// TestForgottenOverride: an override without an end is reported after a day, also if the file has no such server any more;
// one that has an end is not.
func TestForgottenOverride(t *testing.T) {
	begun := time.Now()
	put := func(kind override.Kind, server string, until time.Time) (set override.Set) {
		set, _ = set.Put(override.Override{Target: override.Target{Service: "mysql", Server: server}, Kind: kind, Author: "alice", Until: until}, "n", begun)
		return set
	}
	s := snapshots{plan: plan.Plan{Config: parse(t, weighing(1, 1))}}
	for _, tt := range []struct {
		name string
		set  override.Set
		age  time.Duration
		want string
	}{
		{"young", put(override.Drain, "mysql1", time.Time{}), 23 * time.Hour, ""},
		{"old", put(override.Drain, "mysql1", time.Time{}), 25 * time.Hour, "without an end: lvsctl enable mysql/mysql1 ends it"},
		{"with an end", put(override.Drain, "mysql1", begun.Add(48*time.Hour)), 25 * time.Hour, ""},
		{"of a server that is gone", put(override.Disable, "mysql3", time.Time{}), 25 * time.Hour, "the cluster file has no such real server"},
		{"ended", put(override.Enable, "mysql1", time.Time{}), 25 * time.Hour, ""},
	} {
		s.overrides = tt.set
		found := overrideProblems(s, begun.Add(tt.age))
		if (len(found) == 0) != (tt.want == "") || len(found) > 0 && !strings.HasSuffix(found[0].Text, tt.want) {
			t.Errorf("%s: %+v", tt.name, found)
		}
	}
}

// TestBadOverrides: a request that makes no sense changes nothing.
func TestBadOverrides(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(3, 1))
		m.happened()
		for _, tt := range []struct {
			r    status.OverrideRequest
			want string
		}{
			{status.OverrideRequest{Kind: override.Drain}, "want a real server"},
			{status.OverrideRequest{Target: "mysql/nobody", Kind: override.Drain}, `no real server is named "mysql/nobody": want mysql/mysql1, mysql/mysql2`},
			{status.OverrideRequest{Target: "nobody", Kind: override.Enable}, `no real server is named "nobody"`},
			{status.OverrideRequest{Target: "mysql1", Kind: "stop"}, `"stop": want drain`},
			{status.OverrideRequest{Target: "mysql1", Kind: override.Weight}, "weight 0: want 1 to 65535"},
			{status.OverrideRequest{Target: "mysql1", Kind: override.Weight, Weight: 65536}, "weight 65536: want 1 to 65535"},
			{status.OverrideRequest{Target: "mysql1", Kind: override.Drain, Weight: 1}, "drain has no weight"},
			{status.OverrideRequest{Target: "mysql1", Kind: override.Drain, Patience: -1}, "a time must be more than 0"},
			{status.OverrideRequest{Target: "mysql1", Kind: override.Disable, Patience: 1}, "disable has no such time"},
			{status.OverrideRequest{Target: "mysql1", Kind: override.Drain, Reason: "a\nb"}, "the reason must have"},
		} {
			if err := m.override(tt.r); !strings.HasPrefix(err, tt.want) {
				t.Errorf("%+v: %q, want %q", tt.r, err, tt.want)
			}
		}
		m.expectEntry("at the end", "3", "up")
		if err := m.override(as(override.Enable)); err != "" {
			t.Errorf("enable of an enabled server: %s", err)
		}
		m.expectEvents("at the end")
	})
}

func overrideCases() []codesCase {
	all := func(n *node, kind override.Kind) {
		for _, v := range n.Status().VirtualServers {
			for _, r := range v.RealServers {
				if _, err := n.Override(n.t.Context(), status.OverrideRequest{Target: v.Name + "/" + r.Name, Kind: kind, Force: kind == override.Drain}, "alice"); err != nil {
					n.t.Error(err)
				}
			}
		}
	}
	return []codesCase{
		{Case: problemtest.Case[*node]{
			Code: problem.PoolEmptied, Subject: "mysql",
			Break: func(n *node) { all(n, override.Drain) },
			Mend:  func(n *node) { all(n, override.Enable) },
		}},
		{File: strings.Replace(codesFile, "scheduler: rr", "scheduler: sh", 1), Case: problemtest.Case[*node]{
			Code: problem.DrainRefusesClients, Subject: "mysql",
			Break: func(n *node) {
				if err := n.override(mysql1); !strings.HasPrefix(err, "mysql/mysql1: the scheduler sh refuses the clients") {
					n.t.Errorf("%q", err)
				}
				forced := mysql1
				forced.Force = true
				n.connected(one, 1)
				if err := n.override(forced); err != "" {
					n.t.Error(err)
				}
			},
			Mend: func(n *node) {
				if err := n.override(as(override.Enable)); err != "" {
					n.t.Error(err)
				}
			},
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.OverrideForgotten, Subject: "mysql3",
			Break: func(n *node) {
				old, _ := override.Set{}.Put(override.Override{Target: override.Target{Server: "mysql3"}, Kind: override.Disable, Author: "alice"}, "n", time.Now().Add(-25*time.Hour))
				_ = n.loops.Load().overrides.store(old)
			},
			Mend: func(n *node) {
				if _, err := n.Override(n.t.Context(), status.OverrideRequest{Target: "mysql3", Kind: override.Enable}, "alice"); err != nil {
					n.t.Error(err)
				}
			},
		}},
	}
}

// TestDrainedDirector: a director that is drained preempts nobody, also after a restart, but takes a VIP that nobody holds.
func TestDrainedDirector(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer n.end()
		director := status.OverrideRequest{Director: true, Kind: override.Drain, Reason: "upgrade"}
		m.start(codesFile)
		if err := m.override(director); !strings.Contains(err, "this director stays in the elections") {
			t.Errorf("nobody would take over: %q", err)
		}
		if all := m.Status().Overrides; len(all) != 0 {
			t.Errorf("refused, and in effect: %+v", all)
		}
		director.Force = true
		if err := m.override(director); err != "" || m.state("a") != "MASTER" {
			t.Errorf("by force: %q, %s", err, m.state("a"))
		}
		_ = m.stop()
		n.hear("peer", 10, "10.77.0.3", 51, 50)
		m.begin(codesFile)
		m.pass(10 * time.Second)
		if m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), "this director is drained by alice since ") {
			t.Errorf("after a restart: %s, %s", m.state("a"), m.reason("a"))
		}
		n.silence("peer")
		m.pass(10 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("the VIP is nobody's: %s", m.reason("a"))
		}
		n.hear("peer", 10, "10.77.0.3", 51, 200)
		m.pass(10 * time.Second)
		if m.state("a") != "BACKUP" {
			t.Errorf("a better one is there: %s", m.reason("a"))
		}
		n.silence("peer")
		n.hear("other", 10, "10.77.0.4", 51, 50)
		m.pass(10 * time.Second)
		n.silence("other")
		if err := m.override(status.OverrideRequest{Director: true, Kind: override.Enable}); err != "" {
			t.Error(err)
		}
		m.pass(10 * time.Second)
		if m.state("a") != "MASTER" || len(m.Status().Overrides) != 0 {
			t.Errorf("enabled: %s, %+v", m.reason("a"), m.Status().Overrides)
		}
	})
}
