package director

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// recorded are the events of a machine, in a journal with the log as a subscriber.
type recorded struct {
	journal *journal.Journal
	read    int // number of events read so far
}

func recording(dir string, log io.Writer) recorded {
	return recorded{journal: journal.New(dir, journal.Log(slog.New(slog.NewTextHandler(log, nil))))}
}

// happened returns the events since its last call, each as a line.
func (m *machine) happened() []string {
	var all []string
	for _, e := range m.journal.Since(time.Time{})[m.read:] {
		m.read++
		all = append(all, strings.Join(strings.Fields(fmt.Sprintf("%s %s: %s -> %s %s", e.Kind, e.Subject, e.From, e.To, e.Code)), " "))
	}
	return all
}

func (m *machine) expectEvents(when string, want ...string) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.happened()); diff != "" {
		m.t.Errorf("%s (-want +recorded):\n%s", when, diff)
	}
}

// TestEvents: every state change of an instance, a real server, a virtual server or a problem is recorded once, in
// order.
func TestEvents(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		refused := health.Result{Class: health.Bad, Code: health.Refused, Cause: "tcp: connection refused"}
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two))
		start := m.happened()
		slices.Sort(start) // the order of the loops is random
		if diff := cmp.Diff([]string{
			"instance_state a: BACKUP -> MASTER", "instance_state a: INIT -> BACKUP", "real_server_state mysql/mysql1: unknown -> up ok",
			"real_server_state mysql/mysql2: unknown -> up ok", "virtual_server_state mysql: unknown -> up",
		}, start); diff != "" {
			t.Errorf("the start (-want +recorded):\n%s", diff)
		}
		m.answer(two, refused)
		m.pass(5 * time.Second)
		m.expectEvents(
			"a real server is down", "real_server_state mysql/mysql2: up -> down refused",
			"virtual_server_state mysql: up -> degraded", "problem_raised mysql: -> WARNING virtual_server_degraded",
		)
		m.answer(one, health.Result{Class: health.Full, Code: health.ServerFull, Cause: "tcp: full"})
		m.pass(5 * time.Second)
		m.expectEvents(
			"the other server is full", "real_server_state mysql/mysql1: up -> full full", "virtual_server_state mysql: degraded -> down",
			"problem_cleared mysql: WARNING -> virtual_server_degraded", "problem_raised mysql: -> CRITICAL virtual_server_down",
			"problem_raised mysql/mysql1: -> WARNING server_full",
		)
		m.answer(one, refused)
		m.pass(5 * time.Second)
		m.expectEvents(
			"both are down", "problem_cleared mysql/mysql1: WARNING -> server_full", // at its first failure
			"real_server_state mysql/mysql1: full -> down refused",
		)
		m.answer(one, health.Result{Class: health.Good, Code: health.OK})
		m.answer(two, health.Result{Class: health.Good, Code: health.OK})
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = false })
		m.pass(5 * time.Second)
		if got := strings.Join(m.happened(), "\n"); !strings.Contains(got, "instance_state a: MASTER -> FAULT\nproblem_raised a: -> CRITICAL instance_fault") ||
			!strings.Contains(got, "virtual_server_state mysql: down -> ") || strings.Count(got, "instance_fault") != 1 {
			t.Errorf("the carrier is lost:\n%s", got)
		}
		faulty := m.Status()
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = true })
		m.pass(5 * time.Second)
		if got := m.happened(); len(got) < 3 || got[0] != "instance_state a: FAULT -> BACKUP" || got[1] != "problem_cleared a: CRITICAL -> instance_fault" {
			t.Errorf("the carrier is back: %q", got)
		}
		if p := faulty.ProblemDetails; len(p) != 1 || p[0].Code != problem.InstanceFault || p[0].Since.Before(time.Now().Add(-10*time.Second)) || len(faulty.Problems) != 0 {
			t.Errorf("problems: %+v, %q", p, faulty.Problems)
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expectEvents("the end", "instance_state a: MASTER -> INIT")
	})
}

// TestProblemsAreTheSameForStatusAndEvents: a new problem is recorded once, whether the monitor or a status request
// finds it first.
func TestProblemsAreTheSameForStatusAndEvents(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one))
		m.happened()
		m.refuse("services", errors.New("no /proc"))
		begun := time.Now()
		if p := m.Status().ProblemDetails; len(p) != 1 || p[0].Code != problem.TableUnreadable {
			t.Errorf("at once: %+v", p)
		}
		m.pass(5 * time.Second)
		if p := m.Status().ProblemDetails; len(p) != 1 || !p[0].Since.Equal(begun) {
			t.Errorf("later: %+v, want it since %s", p, begun)
		}
		m.refuse("services", nil)
		m.pass(5 * time.Second)
		m.expectEvents("no further status requests", "problem_raised : -> WARNING table_unreadable", "problem_cleared : WARNING -> table_unreadable")
	})
}

// TestBeginningAndEndAreNoNews: before its checks are done a director has no real server, and during a stop it has no
// instance; a status request at that time records no events. Problems that exist from the start are recorded once the
// checks are done.
func TestBeginningAndEndAreNoNews(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.answer(one, health.Result{Class: health.Bad, Code: health.Refused, Cause: "tcp: connection refused", Took: 500 * time.Millisecond})
		m.links[0].Carrier = false
		m.begin(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one))
		m.pass(100 * time.Millisecond)
		begun := m.Status()
		m.expectEvents("the beginning", "instance_state a: INIT -> FAULT")
		m.pass(5 * time.Second)
		m.expectEvents(
			"the checks are done", "real_server_state mysql/mysql1: unknown -> down refused", "virtual_server_state mysql: unknown -> down",
			"problem_raised a: -> CRITICAL instance_fault", "problem_raised mysql: -> CRITICAL virtual_server_down",
		)
		if now := m.Status().ProblemDetails; len(now) != 2 || len(begun.ProblemDetails) != 2 || !now[0].Since.Equal(begun.ProblemDetails[0].Since) {
			t.Errorf("%+v at the beginning, %+v now", begun.ProblemDetails, now)
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.Status()
		m.expectEvents("the end", "instance_state a: FAULT -> INIT")
	})
}

// Every problem text of the status has a code, which determines the severity in `status --check`.
func TestFindings(t *testing.T) {
	instances := snapshots{
		plan: plan.Plan{Instances: []plan.Instance{{ID: "a", Config: config.Instance{Name: "a"}}, {ID: "b", Config: config.Instance{Name: "b"}}}},
		instances: map[config.InstanceID]*election.Snapshot{
			"a": {State: vrrp.Fault, Reason: "FAULT: eth0 has no carrier"}, "b": {State: vrrp.Backup},
		},
	}
	doc := status.Director{
		VirtualServers: []status.VirtualServer{
			{Name: "mysql", State: "down", Reason: "no real server is up"},
			{Name: "web", State: "degraded", Reason: "1 of 5 real servers are up"},
			{Name: "ok", State: "up", RealServers: []status.RealServer{
				{Name: "r1", Code: "auth", Reason: "up: kept: access denied"},
				{Name: "r2", Code: "blocked"},
				{Name: "r3", Code: "secret"},
				{Name: "r4", Code: "local"},
				{Name: "r5", Code: "full"},
				{Name: "r6", Code: "refused"},
				{Name: "r7", Code: "ok"},
			}},
		},
		Tracks: []status.Track{{Name: "gateway", Code: "local", Reason: "no route"}, {Name: "fine", Code: "ok"}},
	}
	var got []string
	for _, p := range problem.Declared().Report(append(faults(instances), checked(doc.VirtualServers, doc.Tracks)...)) {
		got = append(got, fmt.Sprintf("%s %s %s: %s", p.Severity, p.Code, p.Subject, p.Text))
	}
	want := []string{
		"CRITICAL instance_fault a: a: FAULT: eth0 has no carrier",
		"CRITICAL virtual_server_down mysql: mysql: no real server is up",
		"WARNING virtual_server_degraded web: web: 1 of 5 real servers are up",
		"WARNING check_login ok/r1: ok/r1: up: kept: access denied",
		"WARNING check_blocked ok/r2: ok/r2: ",
		"WARNING check_secret ok/r3: ok/r3: ",
		"WARNING check_local ok/r4: ok/r4: ",
		"WARNING server_full ok/r5: ok/r5: ",
		"WARNING check_local gateway: track gateway: no route",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVerdictsWithoutAStateChangeAreNoEvents(t *testing.T) {
	var got []event.Event
	d := New(Options{Config: &config.Config{}, Record: func(e event.Event) { got = append(got, e) }})
	up, kept := health.Verdict{Known: true, Up: true, Code: health.OK}, health.Verdict{Known: true, Up: true, Code: health.Auth}
	d.recordVerdict(config.Subject{Track: "gateway"}, health.Verdict{}, health.Verdict{Code: health.Auth})
	d.recordVerdict(config.Subject{Track: "gateway"}, health.Verdict{}, up)
	d.recordVerdict(config.Subject{Track: "gateway"}, up, kept)
	want := []event.Event{{Kind: event.TrackState, Subject: "gateway", From: event.Unknown, To: event.Up, Code: "ok"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +recorded):\n%s", diff)
	}
}

// answer sets the result of the probes of a server from now on.
func (m *machine) answer(server string, r health.Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers[netip.MustParseAddr(server)] = r
}

func (m *machine) reason(instance string) string {
	for _, i := range m.Status().Instances {
		if i.Name == instance {
			return i.Reason
		}
	}
	return ""
}

// TestOnlyStatusRequestsReadTheTable: the monitor judges by what the table loop has read, because a read of a large
// table at each change would take CPU time from the elections; it repeats only a read that failed.
func TestOnlyStatusRequestsReadTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards the variables below
		var asked []depth
		unread, file := "", &config.Config{}
		m := newProblemMonitor(func(much depth) snapshots {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, much)
			return snapshots{plan: plan.Plan{Config: file}, started: true, pools: much > nodeOnly, unread: unread}
		}, nil, func(event.Event) {})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		expect := func(after string, want ...depth) {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(asked, want) {
				t.Errorf("%s: %v, want %v", after, asked, want)
			}
			asked = nil
		}
		time.Sleep(1500 * time.Millisecond)
		expect("a tick", nodeOnly)
		m.poke()
		time.Sleep(lookAfter + time.Millisecond)
		expect("a change", withPools)
		read := func(problem string) {
			mu.Lock()
			defer mu.Unlock()
			unread = problem
		}
		read("no /proc")
		m.examine(withCounters)
		expect("a status request", withCounters)
		time.Sleep(time.Second)
		read("")
		time.Sleep(time.Second)
		expect("after a failed read", withCounters, withCounters)
		time.Sleep(time.Second)
		expect("after a read", nodeOnly)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
