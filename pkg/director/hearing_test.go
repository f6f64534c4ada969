package director

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hearingFile has an instance that preempts nobody, and one that does not wait for its link.
const hearingFile = electing +
	"  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, preempt: false, priority: 150, virtual_addresses: [10.77.0.100], deaf_delay: 4s}\n" +
	"  - {name: b, interface: eth0, virtual_router_id: 52, advert_interval: 100ms, virtual_addresses: [10.77.0.101], deaf_delay: 0s}\n"

// TestDeafDelay: an instance does not become MASTER while no other machine is heard, for its deaf_delay at most, after the start
// and after a return of its link. When one is heard it listens for a MASTER first. Another director that is alone with machines
// that answer takes the VIPs at once.
func TestDeafDelay(t *testing.T) {
	states := func(m *machine) [2]string { return [2]string{m.state("a"), m.state("b")} }
	expect := func(m *machine, when, a, b string) {
		t.Helper()
		if got := states(m); got != [2]string{a, b} {
			t.Errorf("%s: %s; %s", when, m.reason("a"), m.reason("b"))
		}
	}
	world(t, func(t *testing.T, m *machine) {
		m.dumb(true)
		m.begin(hearingFile)
		m.pass(3 * time.Second)
		expect(m, "after 3 s", "BACKUP", "MASTER")
		if !strings.Contains(m.reason("a"), "no other machine has been heard on the link yet") {
			t.Error(m.reason("a"))
		}
		m.pass(1100 * time.Millisecond)
		expect(m, "after deaf_delay", "MASTER", "MASTER")
		if diff := cmp.Diff("10.77.0.2 [10.77.0.3]", m.lastInquiry()); diff != "" {
			t.Errorf("questions (-want +got): %s", diff)
		}
	})
	world(t, func(t *testing.T, m *machine) {
		m.dumb(true)
		m.begin(hearingFile)
		m.pass(3500 * time.Millisecond)
		m.dumb(false) // a Hearing notices within 250 ms
		m.pass(400 * time.Millisecond)
		expect(m, "as soon as another machine is heard", "BACKUP", "MASTER")
		m.advertise("eth0", "10.77.0.3", 51, 100)
		m.pass(200 * time.Millisecond)
		m.advertise("eth0", "10.77.0.3", 51, 100)
		m.pass(200 * time.Millisecond)
		expect(m, "there is a MASTER of lower priority", "BACKUP", "MASTER")
		m.pass(time.Second)
		expect(m, "it is silent", "MASTER", "MASTER")
	})
	world(t, func(t *testing.T, m *machine) {
		m.begin(hearingFile)
		m.pass(600 * time.Millisecond)
		expect(m, "nobody else is MASTER, and others answer", "MASTER", "MASTER")
		m.dumb(true)
		m.carrier(false)
		m.pass(200 * time.Millisecond)
		m.carrier(true)
		m.pass(3 * time.Second)
		expect(m, "after a return of the link", "BACKUP", "MASTER")
		m.dumb(false)
		m.pass(800 * time.Millisecond)
		expect(m, "the link works", "MASTER", "MASTER")
		m.reload(strings.Replace(hearingFile, "virtual_router_id: 51", "virtual_router_id: 53", 1))
		m.dumb(true) // only a start and a return of the link are waited for
		m.pass(600 * time.Millisecond)
		expect(m, "after a reload", "MASTER", "MASTER")
	})
	world(t, func(t *testing.T, m *machine) {
		m.dumb(true)
		long := strings.Replace(hearingFile, "deaf_delay: 4s", "deaf_delay: 60s", 1)
		m.begin(long)
		m.pass(5 * time.Second)
		expect(m, "a long deaf_delay", "BACKUP", "MASTER")
		m.reload(strings.Replace(hearingFile, "deaf_delay: 4s", "deaf_delay: 8s", 1))
		m.pass(time.Second)
		expect(m, "it is shorter, but not over", "BACKUP", "MASTER")
		m.pass(2 * time.Second)
		expect(m, "the shorter one is over", "MASTER", "MASTER")
		m.reload(strings.Replace(long, "virtual_router_id: 51", "virtual_router_id: 53", 1))
		m.pass(time.Second)
		expect(m, "an instance that a reload adds waits for what is left", "BACKUP", "MASTER")
	})
	world(t, func(t *testing.T, m *machine) {
		m.dumb(true)
		m.begin(hearingFile)
		m.pass(5 * time.Second)
		m.reload(strings.Replace(hearingFile, "virtual_router_id: 51", "virtual_router_id: 53", 1))
		m.pass(1500 * time.Millisecond)
		expect(m, "an instance that a reload adds when deaf_delay is over", "MASTER", "MASTER")
		m.pass(5 * time.Second)
		if all := strings.Join(m.Status().Problems, "\n"); !strings.Contains(all, "VRRP instance a: no packet of another machine") {
			t.Errorf("the link is silent: %s", all)
		}
	})
}
