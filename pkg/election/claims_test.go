package election

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// announcements returns how often the actors have requested announcements, and forgets them.
func (l *lan) announcements() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := strings.Count(strings.Join(l.log, "\n"), "announce")
	l.log = nil
	return n
}

// heardBy sends an advert of another router to a machine, as often as said, one a second.
func heardBy(t *testing.T, m *machine, times int, p vrrp.Packet, source string) {
	t.Helper()
	for range times {
		deliver(t, m, p, source)
		time.Sleep(time.Second)
	}
}

// deliver sends an advert of another router to a machine.
func deliver(t *testing.T, m *machine, p vrrp.Packet, source string) {
	t.Helper()
	from := netip.MustParseAddr(source)
	payload, err := p.Append(nil, from, group, vrrp.PseudoHeaderChecksum)
	if err != nil {
		t.Fatal(err)
	}
	m.Deliver(vrrp.Datagram{Payload: payload, Source: from, Destination: group, TTL: 255})
}

// TestClaimsOfAVIP: a MASTER answers claims of its own VIPs with announcements, at most one a second and not for ever. A
// BACKUP does not.
func TestClaimsOfAVIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a, b := l.join(t, "a", "10.77.0.2", 150), l.join(t, "b", "10.77.0.3", 100)
		time.Sleep(5 * time.Second)
		l.announcements()
		ours, other := netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.101")
		claim := func(seconds int, addresses ...netip.Addr) int {
			for range 4 * seconds {
				for _, m := range []*machine{a, b} {
					for _, address := range addresses {
						m.Claimed([]kernel.Claim{{Address: address, HardwareAddr: "02:00:00:00:00:66"}}, time.Now())
					}
				}
				time.Sleep(250 * time.Millisecond)
			}
			return l.announcements()
		}
		if n := claim(3, other); n != 0 {
			t.Errorf("%d announcements for the address of another machine", n)
		}
		if n := claim(3, ours, other); n != 3 {
			t.Errorf("%d announcements in 3 s, want one a second", n)
		}
		if s := a.Snapshot().Neighbours; len(s) != 1 || s[0].Kind != vrrp.VIPClaimed || len(b.Snapshot().Neighbours) > 0 {
			t.Errorf("problems: %v, of the BACKUP: %v", s, b.Snapshot().Neighbours)
		}
		if n := claim(60, ours); n != 7 {
			t.Errorf("%d more announcements in a minute, want 10 in total", n)
		}
		a.stop()
		b.stop()
	})
}

// TestContested: a MASTER beside another one, of whatever kind, does not answer its claims, and announces the VIPs when
// the other one stops.
func TestContested(t *testing.T) {
	vip := netip.MustParseAddr("10.77.0.100")
	for name, p := range map[string]vrrp.Packet{
		"does not hear us": {Version: 3, VRID: 51, Priority: 90, Interval: time.Second, Addresses: []netip.Addr{vip}},
		"is refused":       {Version: 2, VRID: 51, Priority: 200, Interval: time.Second, Addresses: []netip.Addr{vip}},
		"another VRID":     {Version: 3, VRID: 52, Priority: 90, Interval: time.Second, Addresses: []netip.Addr{vip}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN()
				a := l.join(t, "a", "10.77.0.2", 150)
				time.Sleep(5 * time.Second)
				heardBy(t, a, 5, p, "10.77.0.9")
				l.announcements()
				for range 5 {
					a.Claimed([]kernel.Claim{{Address: vip, HardwareAddr: "02:00:00:00:00:66"}}, time.Now())
					heardBy(t, a, 1, p, "10.77.0.9")
				}
				if n := l.announcements(); n != 0 {
					t.Errorf("%d announcements beside another MASTER", n)
				}
				p.Priority = vrrp.PriorityResign
				heardBy(t, a, 1, p, "10.77.0.9")
				time.Sleep(time.Second)
				if n := l.announcements(); n != 1 {
					t.Errorf("%d announcements after it has stopped, want one", n)
				}
				a.stop()
			})
		})
	}
}
