package election

import (
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// received returns an advert of a MASTER as a BACKUP receives it.
func received(t testing.TB, from netip.Addr, priority uint8) vrrp.Datagram {
	t.Helper()
	advert := vrrp.Packet{Version: 3, VRID: 51, Priority: priority, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100")}}
	payload, err := advert.Append(nil, from, group, vrrp.PseudoHeaderChecksum)
	if err != nil {
		t.Fatal(err)
	}
	return vrrp.Datagram{Payload: payload, Source: from, Destination: group, TTL: 255}
}

// withBackup runs a test with a BACKUP of priority 100, which is alone on its LAN and has started.
func withBackup(t *testing.T, run func(t *testing.T, l *lan, b *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		b := l.join(t, "b", "10.77.0.3", 100)
		defer func() { b.stop() }()
		synctest.Wait()
		run(t, l, b)
	})
}

// An advert that a BACKUP receives before its timer expires is processed when Deliver returns. One that comes while its
// actor is busy, or after others that wait, is not.
func TestDeliverProcessesAdvertsOfABackup(t *testing.T) {
	withBackup(t, func(t *testing.T, l *lan, b *machine) {
		d := received(t, netip.MustParseAddr("10.77.0.2"), 150)
		for n := range uint64(3) {
			b.Deliver(d)
			if got := b.Snapshot(); got.AdvertsReceived != n+1 || got.Master != d.Source {
				t.Fatalf("%+v", got)
			}
		}
		begun, end := make(chan struct{}), make(chan struct{})
		b.command(func(*Actor) { close(begun); <-end })
		<-begun
		b.Deliver(d)
		b.Deliver(d)
		if got := b.Snapshot().AdvertsReceived; got != 3 {
			t.Errorf("%d adverts while the actor is busy", got)
		}
		close(end)
		synctest.Wait()
		if got := b.Snapshot().AdvertsReceived; got != 5 {
			t.Errorf("%d adverts", got)
		}
	})
}

// The meaning of an advert is remembered, but not beyond a change of the instance.
func TestRememberedAdvertIsJudgedAgainAfterAReload(t *testing.T) {
	withBackup(t, func(t *testing.T, l *lan, b *machine) {
		d := received(t, netip.MustParseAddr("10.77.0.2"), 150)
		b.Deliver(d)
		b.Reconfigure(b.params, []netip.Addr{netip.MustParseAddr("10.77.0.200")}, vrrp.Peers{})
		synctest.Wait()
		b.Deliver(d) // of another virtual router now
		if got := b.Snapshot(); got.AdvertsReceived != 1 || len(got.Dropped) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// A burst that exceeds the allowance of its source is limited as if it had waited.
func TestDeliverLimitsASource(t *testing.T) {
	withBackup(t, func(t *testing.T, l *lan, b *machine) {
		d := received(t, netip.MustParseAddr("10.77.0.2"), 150)
		for range 1000 {
			b.Deliver(d)
		}
		if got := b.Snapshot().AdvertsReceived; got != allowAtOnce {
			t.Errorf("%d adverts at once, want %d", got, allowAtOnce)
		}
		other := netip.MustParseAddr("10.77.0.4")
		if b.inbox.pass(time.Since(b.epoch), other) {
			t.Error("an advert overtakes those that wait")
		}
		b.Deliver(received(t, other, 150))
		time.Sleep(2 * time.Second)
		if got := b.Snapshot(); got.AdvertsReceived != 2*allowAtOnce+1 || got.Dropped["overflow"] != 1000-2*allowAtOnce {
			t.Errorf("%+v", got)
		}
	})
}

// A resignation wakes the actor, whose timer is that of the adverts before.
func TestResignationIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		b := l.join(t, "b", "10.77.0.3", 254) // its skew is 2/256 s
		defer func() { b.stop() }()
		synctest.Wait()
		from := netip.MustParseAddr("10.77.0.2")
		b.Deliver(received(t, from, 255))
		b.Deliver(received(t, from, vrrp.PriorityResign))
		time.Sleep(10 * time.Millisecond)
		l.expect(t, "     7ms b acquire silent=false")
	})
}

// An advert that is processed at once after the host was suspended counts from now.
func TestAdvertAfterASuspend(t *testing.T) {
	withBackup(t, func(t *testing.T, l *lan, b *machine) {
		b.slept.Store(int64(3 * time.Second))
		b.Deliver(received(t, netip.MustParseAddr("10.77.0.2"), 150))
		time.Sleep(3500 * time.Millisecond)
		l.expect(t)
	})
}

// follower is a BACKUP whose record is full, and an advert for it.
func follower(t testing.TB) (*Actor, vrrp.Datagram) {
	a := New(Options{
		Name:      "b",
		Params:    vrrp.Params{VRID: 51, Version: 3, Priority: 100, AdvertInterval: time.Second, Preempt: true, Source: netip.MustParseAddr("10.77.0.3")},
		Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100")},
		Wire:      &sentWire{},
		Log:       slog.New(slog.DiscardHandler),
	})
	a.step(vrrp.Startup{})
	a.armed = time.Hour
	d := received(t, netip.MustParseAddr("10.77.0.2"), 150)
	for range 2 * MaxRecorded {
		a.receive(d)
	}
	return a, d
}

// BenchmarkAdvert is what an advert costs a BACKUP, apart from its reception.
func BenchmarkAdvert(b *testing.B) {
	a, d := follower(b)
	b.ReportAllocs()
	for b.Loop() {
		a.inbox.sources[d.Source] = &backlog{} // within its allowance
		a.Deliver(d)
	}
}

// Hundreds of adverts a second leave no garbage but a snapshot every 250 ms.
func TestAdvertLeavesNoGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, d := follower(t)
		if n := testing.AllocsPerRun(100, func() { a.receive(d) }); n > 0 {
			t.Errorf("%.1f allocations for each advert", n)
		}
	})
}
