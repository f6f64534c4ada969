package director

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// dependent is a cluster file with the instance a, whose priority is 100, and the track gateway.
func dependent(uses, when string) string {
	return electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], tracks: [" + uses + "]}\n" +
		"tracks:\n  - {name: gateway, address: 10.77.0.1, type: tcp, port: 80, interval: 1s" + when + "}\n"
}

func trackCases() []codesCase {
	refuses := func(yes bool) func(n *node) { return func(n *node) { n.refuses("10.77.0.1", yes) } }
	return []codesCase{
		{File: dependent("{name: gateway, weight: -20}", ""), Case: problemtest.Case[*node]{
			Code: problem.TrackDown, Subject: "gateway", Break: refuses(true), Mend: refuses(false),
		}},
		{File: dependent("gateway", ", when: becoming_master"), Case: problemtest.Case[*node]{
			Code: problem.TakeOverBarred, Subject: "a", Break: refuses(true), Mend: refuses(false),
		}},
		{On: "BACKUP", File: dependent("gateway", ", when: becoming_master"), Case: problemtest.Case[*node]{
			Code: problem.VIPsNotTaken, Subject: "a", Beside: []problem.Code{problem.TakeOverBarred},
			Break: func(n *node) { n.refuses("10.77.0.1", true); n.pass(2 * time.Second); n.silence("peer") },
			Mend:  func(n *node) { n.refuses("10.77.0.1", false) },
		}},
		{On: "BACKUP", File: dependent("{name: gateway, weight: -20}", ""), Case: problemtest.Case[*node]{
			Code: problem.PrioritiesEqual, Subject: "a",
			Break: func(n *node) { n.hear("peer", 10, "10.77.0.3", 51, 100) },
			Mend:  func(n *node) { n.hear("peer", 10, "10.77.0.3", 51, 200) },
		}},
	}
}

// TestWeights: the result of a track changes the priority of the running election, and nothing else; the change is an
// event, and the status says what each track adds.
func TestWeights(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer func() { n.end() }()
		m.start(dependent("{name: gateway, weight: -20}", ""))
		m.happened()
		since := m.Status().Instances[0].Since
		m.refuses("10.77.0.1", true)
		m.pass(3 * time.Second)
		i := m.Status().Instances[0]
		if i.State != "MASTER" || !i.Since.Equal(since) || i.Priority != 100 || i.EffectivePriority != 80 {
			t.Errorf("%+v", i)
		}
		if got := i.Tracks; len(got) != 1 || got[0].Points != -20 || got[0].Weight != -20 || got[0].State != "down" || got[0].Effect != "" {
			t.Errorf("tracks %+v", got)
		}
		m.expectEvents("down", "track_state gateway: up -> down refused", "instance_priority a: 100 -> 80",
			"problem_raised gateway: -> WARNING track_down")
		n.hear("peer", 10, "10.77.0.3", 51, 90)
		m.pass(time.Second)
		if m.state("a") != "BACKUP" {
			t.Errorf("a is %s (%s), and another director has the higher priority", m.state("a"), m.reason("a"))
		}
		m.refuses("10.77.0.1", false)
		m.pass(3 * time.Second)
		if i := m.Status().Instances[0]; i.State != "MASTER" || i.EffectivePriority != 100 {
			t.Errorf("after the track is up: %+v", i)
		}
	})
}

// TestFailingTrackAtTheStart (scenarios 004-1 and 004-2): a director whose track fails from the start is never MASTER,
// not for a moment, also if the result comes only after the master-down interval; it becomes MASTER two
// advert intervals after the good result at the latest.
func TestFailingTrackAtTheStart(t *testing.T) {
	for name, late := range map[string]time.Duration{"at once": 0, "after the master-down interval": 900 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				m.refuses("10.77.0.1", true)
				m.slow("10.77.0.1", late)
				m.begin(dependent("gateway", ""))
				m.pass(5 * time.Second)
				if m.state("a") != "FAULT" {
					t.Errorf("a is %s (%s)", m.state("a"), m.reason("a"))
				}
				for _, e := range m.happened() {
					if strings.Contains(e, "-> MASTER") {
						t.Errorf("%s", e)
					}
				}
				for _, h := range m.history() {
					if strings.HasPrefix(h, "ip addr add") {
						t.Errorf("%s", h)
					}
				}
			})
			world(t, func(t *testing.T, m *machine) {
				m.slow("10.77.0.1", late)
				m.begin(dependent("gateway", ""))
				m.pass(late - 10*time.Millisecond)
				if m.state("a") == "MASTER" {
					t.Errorf("a is MASTER before the result")
				}
				m.pass(max(420*time.Millisecond-late, 250*time.Millisecond))
				if m.state("a") != "MASTER" {
					t.Errorf("a is %s (%s)", m.state("a"), m.reason("a"))
				}
			})
		})
	}
}

// slow makes the answer of a server come late.
func (m *machine) slow(server string, late time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := netip.MustParseAddr(server)
	r, told := m.answers[at]
	if !told {
		r = health.Result{Code: health.OK, Class: health.Good, Cause: "tcp: connected"}
	}
	r.Took = late
	m.answers[at] = r
}

// TestGateOfADirector: a director whose gate is shut takes over neither from a failed MASTER nor from nobody, and says so;
// it takes the VIPs after the gate has opened.
func TestGateOfADirector(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer func() { n.end() }()
		n.hear("peer", 10, "10.77.0.3", 51, 200)
		m.begin(dependent("gateway", ", when: becoming_master"))
		m.refuses("10.77.0.1", true)
		m.pass(4 * time.Second)
		n.silence("peer")
		m.pass(10 * time.Second)
		if m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), "must not become it: gateway: down: tcp: refused") {
			t.Errorf("a is %s (%s)", m.state("a"), m.reason("a"))
		}
		if got := m.Status().Instances[0].Tracks; len(got) != 1 || got[0].Effect != "not_master" {
			t.Errorf("%+v", got)
		}
		m.refuses("10.77.0.1", false)
		m.pass(2300 * time.Millisecond)
		if m.state("a") != "MASTER" {
			t.Errorf("a is %s (%s)", m.state("a"), m.reason("a"))
		}
		m.refuses("10.77.0.1", true)
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("the MASTER is %s (%s)", m.state("a"), m.reason("a"))
		}
	})
}

// TestTrackOfAnInstance: an instance follows another one.
func TestTrackOfAnInstance(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		follower := strings.Replace(router("b", "eth0", 52, also), "advert_interval", "tracks: [a-is-master], advert_interval", 1)
		m.begin(electing + router("a", "eth0", 51, vip) + follower + "tracks:\n  - {name: a-is-master, type: instance, instance: a}\n")
		m.pass(200 * time.Millisecond)
		if m.state("b") != "FAULT" || !strings.Contains(m.reason("b"), "a-is-master: down: a is BACKUP") {
			t.Errorf("b is %s (%s)", m.state("b"), m.reason("b"))
		}
		m.pass(2 * time.Second)
		if m.state("a") != "MASTER" || m.state("b") != "MASTER" {
			t.Errorf("a is %s, b %s (%s)", m.state("a"), m.state("b"), m.reason("b"))
		}
		if got := m.Status().Tracks; len(got) != 1 || got[0].State != "up" || got[0].Since.IsZero() {
			t.Errorf("%+v", got)
		}
	})
}

// TestTrackOfAVirtualServer: the number of real servers changes the priority.
func TestTrackOfAVirtualServer(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		tracked := strings.Replace(router("a", "eth0", 51, vip), "advert_interval", "tracks: [{name: pool, weight: -30}], advert_interval", 1)
		m.start(electing + tracked + virtualServers + balancing("mysql", vip, "dr", one, two) +
			"tracks:\n  - {name: pool, type: virtual_server, virtual_server: mysql, at_least: 2}\n")
		m.refuses(two, true)
		m.pass(3 * time.Second)
		if i := m.Status().Instances[0]; i.EffectivePriority != 70 || i.State != "MASTER" {
			t.Errorf("%+v", i)
		}
		if got := m.Status().Tracks; len(got) != 1 || got[0].State != "down" || got[0].Reason != "down: 1 of 2 real servers of mysql take connections, and at least 2 must" {
			t.Errorf("%+v", got)
		}
		m.refuses(two, false)
		m.pass(3 * time.Second)
		if i := m.Status().Instances[0]; i.EffectivePriority != 100 {
			t.Errorf("%+v", i)
		}
	})
}
