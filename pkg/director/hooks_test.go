package director

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

// hooked is an instance with hooks, and those of the file.
func hooked(own, all string) string {
	return strings.Replace(electing, "vrrp_instances:", "notify: ["+all+"]\nvrrp_instances:", 1) +
		strings.Replace(router("a", "eth0", 51, vip), "}\n", ", notify: ["+own+"]}\n", 1)
}

// TestHooks: a director that becomes MASTER at once does not run the hooks of BACKUP in between; a stop waits for pre_stop
// before it gives up the VIP, and runs those of stop after that.
func TestHooks(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.hookTime = 2 * time.Second
		m.begin(hooked("{on: [pre_stop], command: [/pre]}, {on: [master], command: [/own, x], arguments: true}", "{on: [any], command: [/any]}"))
		m.pass(9 * time.Second)
		m.expect("the start", "open eth0", "ip addr add 10.77.0.100 dev eth0", "hook /own x INSTANCE a MASTER 100 in MASTER", "hook /any in MASTER")
		m.carrier(false)
		m.pass(4 * time.Second)
		m.carrier(true)
		m.pass(9 * time.Second)
		m.expect("a lost carrier", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "hook /any in FAULT", "open eth0", "ip addr add 10.77.0.100 dev eth0",
			"hook /own x INSTANCE a MASTER 100 in MASTER", "hook /any in MASTER")
		begun := time.Now()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "hook /pre in MASTER", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "hook /any in INIT")
		if took := time.Since(begun); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("the stop took %s", took)
		}
	})
}

// TestHangingHooks: hooks that hang do not delay the elections, nor a stop by more than their time.
func TestHangingHooks(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.hookTime = time.Hour
		m.start(hooked("{on: [pre_stop], command: [/pre]}", "{on: [any], command: [/any], timeout: 10m}"))
		for range 100 {
			m.carrier(false)
			m.pass(100 * time.Millisecond)
			if got := m.state("a"); got != "FAULT" {
				t.Fatalf("without carrier: %s", got)
			}
			m.carrier(true)
			m.pass(time.Second)
			if got := m.state("a"); got != "MASTER" || !m.has("eth0", vip) {
				t.Fatalf("with carrier: %s", got)
			}
		}
		m.history()
		begun := time.Now()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0")
		if took, most := time.Since(begun), preStopWithin+finishWithin+time.Second; took < 5*time.Second || took > most {
			t.Errorf("the stop took %s, want 5s to %s", took, most)
		}
	})
}

// TestHooksOfAReload: hooks are live; those of an instance that a reload removes run for its end.
func TestHooksOfAReload(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(hooked("", "") + router("b", "eth1", 52, "10.78.0.100"))
		m.history()
		m.reload(hooked("{on: [priority], command: [/p]}", "") + strings.Replace(router("b", "eth1", 52, "10.78.0.100"), "}\n", ", notify: [{on: [stop], command: [/b]}]}\n", 1))
		m.pass(time.Second)
		m.expect("new hooks")
		m.reload(strings.Replace(hooked("{on: [priority], command: [/p]}", ""), "name: a,", "name: a, priority: 90,", 1))
		m.pass(time.Second)
		got := m.history()
		slices.Sort(got) // hooks of different instances run at the same time
		if want := []string{"hook /b in INIT", "hook /p in MASTER", "ip addr del 10.78.0.100 dev eth1", "resign on eth1"}; !slices.Equal(got, want) {
			t.Errorf("an instance removed, another priority: %q, want %q", got, want)
		}
	})
}

// TestHooksOfASyncGroup: they run when the last member is in a state, once.
func TestHooksOfASyncGroup(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.begin(electing + router("a", "eth0", 51, vip) + router("b", "eth1", 52, "10.78.0.100") +
			"sync_groups: [{name: both, instances: [a, b], notify: [{on: [any, pre_stop], command: [/group], arguments: true}]}]\n")
		m.pass(9 * time.Second)
		m.expectOf("the start", "hook ", "hook /group GROUP both MASTER 100 in MASTER")
		m.carrier(false)
		m.pass(9 * time.Second)
		m.expectOf("one has no carrier", "hook ", "hook /group GROUP both FAULT 100 in FAULT")
		m.carrier(true)
		m.pass(9 * time.Second)
		m.expectOf("again with carrier", "hook ", "hook /group GROUP both MASTER 100 in MASTER")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expectOf("the end", "hook ", "hook /group GROUP both MASTER 100 in MASTER", "hook /group GROUP both STOP 100 in INIT")
	})
}

// expectOf compares the changes with a prefix: hooks run beside the loops, in no order with what those do.
func (m *machine) expectOf(when, prefix string, want ...string) {
	m.t.Helper()
	if got := slices.DeleteFunc(m.history(), func(s string) bool { return !strings.HasPrefix(s, prefix) }); !slices.Equal(got, want) {
		m.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func TestMessages(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		file := hooked("{on: [master], webhook: 'https://example.com/x'}, {on: [fault], mail_to: [ops@example.com, dba@example.com]}", "")
		m.begin(strings.Replace(file, "notify:", "mail: {server: smtp.example.com, from: lvs@example.com}\nnotify:", 1))
		m.pass(5 * time.Second)
		m.expectOf("the start", "post ", `post to https://example.com/x with ""`)
		if !strings.Contains(m.posted, `"name":"a","event":"master","state":"MASTER","previous_state":"BACKUP","priority":100`) {
			t.Error(m.posted)
		}
		m.carrier(false)
		m.pass(time.Second)
		m.expectOf("a lost carrier", "mail ", "mail to ops@example.com, dba@example.com by smtp.example.com: lvs-master: instance a is FAULT")
	})
}

// remove removes the program of a hook, or restores it.
func (k *fakeKernel) remove(program string, yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.missing[program] = yes
}

func hookCases() []codesCase {
	file := hooked("{on: [any], command: [/hook]}", "")
	ended := func(status int) func(n *node) {
		return func(n *node) {
			n.mu.Lock()
			n.hookStatus["/hook"] = status
			n.mu.Unlock()
			n.carrier(false)
			n.pass(100 * time.Millisecond)
			n.carrier(true)
		}
	}
	return []codesCase{
		{File: file, Case: problemtest.Case[*node]{
			Code: problem.HookFailed, Subject: "a /hook", Fault: "an exit status", Break: ended(1), Mend: ended(0), Beside: []problem.Code{problem.VIPsNotTaken}, // it has just had a fault
		}},
		{File: file, Case: problemtest.Case[*node]{
			Code: problem.HookFailed, Subject: "a /hook", Fault: "it does not exist",
			Break: func(n *node) { n.remove("/hook", true); n.reload(file) },
			Mend:  func(n *node) { n.remove("/hook", false); n.reload(file) },
		}},
	}
}
