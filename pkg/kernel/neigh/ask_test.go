package neigh

import (
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestAsk: a machine that has the address answers, and its own entry, and that of nobody, changes. One that has it without
// answering ARP, as a real server, does not.
func TestAsk(t *testing.T) {
	const peerMAC = "02:00:00:00:00:03"
	for _, one := range []struct {
		name   string
		family kernel.Family
		vip    netip.Addr
	}{
		{"IPv4", kernel.IPv4, vip},
		{"IPv6", kernel.IPv6, vip6},
	} {
		t.Run(one.name, func(t *testing.T) {
			own, peer := neighbours6(t)
			peer.IP(t, "link set eth0 address %s", peerMAC)
			own.IP(t, "addr add fe80::2/64 dev eth0 nodad")
			own.IP(t, "addr add fe80::100/128 dev eth0 nodad") // a VIP, which is no source
			own.IP(t, "addr add %s dev eth0 nodad", one.vip)
			a := openIn(t, own, "eth0")
			var l *Listener
			own.Do(t, func() (err error) { l, err = Listen("eth0", one.family); return err })
			t.Cleanup(l.Close)
			_, _ = l.Claims([]netip.Addr{one.vip})
			ask := func() { own.Do(t, func() error { return a.Ask(one.vip) }) } // the address is read there
			// Known to the peer, so that what it learns would be seen.
			peer.IP(t, "neigh replace %s lladdr 02:00:00:00:00:99 dev eth0 nud stale", one.vip)
			ask()
			if one.family == kernel.IPv4 {
				peer.IP(t, "link set lo up")
				peer.IP(t, "addr add %s dev lo", one.vip)
				peer.Do(t, func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/all/arp_ignore", []byte("1"), 0o644) })
				ask()
			}
			known := peer.IP(t, "neigh show %s", one.vip)
			if all, err := l.Claims([]netip.Addr{one.vip}); err != nil || len(all) > 0 {
				t.Errorf("claims of a machine that does not answer for it: %v, %v", all, err)
			}
			peer.IP(t, "addr add %s dev eth0 nodad", one.vip)
			ask()
			if got, want := claims(t, l, one.vip), []kernel.Claim{{Address: one.vip, HardwareAddr: peerMAC}}; !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			if now := peer.IP(t, "neigh show %s", one.vip); now != known || now == "" {
				t.Errorf("the entry of the peer was %q, and is %q", known, now)
			}
		})
	}
}

// TestSourceOfQuestions: it is not looked up each time, and a change of it is followed.
func TestSourceOfQuestions(t *testing.T) {
	own, _ := neighbours6(t)
	a := openIn(t, own, "eth0")
	source := func() (found netip.Addr) {
		t.Helper()
		own.Do(t, func() (err error) { found, err = a.linkLocal(); return err })
		return found
	}
	own.IP(t, "addr flush dev eth0 scope link")
	own.IP(t, "addr add fe80::2/64 dev eth0 nodad")
	first := netip.MustParseAddr("fe80::2")
	if got := source(); got != first {
		t.Errorf("%s", got)
	}
	own.IP(t, "addr del fe80::2/64 dev eth0")
	if got := source(); got != first {
		t.Errorf("looked up again: %s", got)
	}
	own.IP(t, "addr add fe80::3/64 dev eth0 nodad")
	a.asks.Store(&asker{first, time.Now().Add(-askerFor)})
	if got := source(); got != netip.MustParseAddr("fe80::3") {
		t.Errorf("after a while: %s", got)
	}
}
