package election

import (
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// What one neighbour pours in leaves room for the MASTER's adverts.
func TestFloodLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in no time: nothing is earned meanwhile
		a := New(Options{Name: "mysql", Params: vrrp.Params{VRID: 51, Version: 3, Priority: 100}, Log: slog.New(slog.DiscardHandler)})
		peer := netip.MustParseAddr("10.77.0.2")
		a.Deliver(vrrp.Datagram{Source: peer}) // known before the flood comes, be it of two neighbours or of any number
		for i := range 2000 {
			a.Deliver(vrrp.Datagram{Source: netip.AddrFrom4([4]byte{10, 77, 1, byte(66 + i%150)})})
		}
		a.Deliver(vrrp.Datagram{Source: peer})
		var last vrrp.Datagram
		for range len(a.datagrams) {
			last = <-a.datagrams
		}
		if last.Source != peer || a.overflowed.Load() < 1800 {
			t.Errorf("the last in the queue is from %s, %d dropped", last.Source, a.overflowed.Load())
		}
	})
}

func TestFairness(t *testing.T) {
	f := &fairness{}
	peer, flooder := netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.66")
	heard, poured, madeUp := 0, 0, 0
	for i := range 100_000 { // 10 s, 10 000 a second of each kind
		now := time.Duration(i) * 100 * time.Microsecond
		if i%100 == 0 && f.admit(now, peer) { // adverts every 10 ms
			heard++
		}
		if f.admit(now, flooder) {
			poured++
		}
		if f.admit(now, netip.AddrFrom4([4]byte{10, 78, byte(i >> 8), byte(i)})) {
			madeUp++
		}
	}
	if heard != 1000 {
		t.Errorf("%d of 1000 adverts of the peer were heard", heard)
	}
	if most := 2000 + fairAtOnce; poured > most {
		t.Errorf("%d of the flood were heard, want at most %d", poured, most)
	}
	if most := 2*(2000+fairAtOnce) + fairSources; madeUp > most {
		t.Errorf("%d of made-up sources were heard, want at most %d", madeUp, most)
	}
	if len(f.sources) > fairSources {
		t.Errorf("%d sources are remembered, want at most %d", len(f.sources), fairSources)
	}
	// Their places are free again one day.
	if now := time.Hour; !f.place(now) {
		t.Error("the table stays full of sources that have long been silent")
	}
}
