package election

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// A BACKUP that hears its MASTER is not woken: the Alarm beats for it. It is, at the right moment, when the MASTER is silent.
func TestAlarm(t *testing.T) {
	withBackup(t, func(t *testing.T, l *lan, b *machine) {
		d := received(t, netip.MustParseAddr("10.77.0.2"), 150)
		offTheGrid()
		b.Deliver(d)
		synctest.Wait()
		view := b.View()
		for range 100 {
			time.Sleep(time.Second)
			b.Deliver(d)
		}
		if now := b.View(); now != view {
			t.Errorf("the snapshot was replaced though nothing has changed: %+v, before %+v", now, view)
		}
		if got := b.Snapshot().AdvertsReceived; got != 101 {
			t.Errorf("%d adverts, want 101", got)
		}
		time.Sleep(5 * time.Second)
		l.expect(t, "103616ms b acquire silent=true") // 3 adverts + 156/256 s after the last one
	})
}

// offTheGrid waits until no timer is due: the Alarm and an advert at the same moment are taken in in any order.
func offTheGrid() { time.Sleep(7 * time.Millisecond) }

// The heartbeat of a BACKUP comes from the Alarm, and not while something holds the instance up.
func TestAlarmBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		set := new(heartbeat.Set)
		b := l.join(t, "b", "10.77.0.3", 100)
		b.stop()
		b = &machine{Actor: New(Options{
			Name: "b", Params: b.params, Addresses: b.addresses, Wire: tap{l, b.address}, Holder: b.port, Log: l.logTo, Alarm: NewAlarm(),
		})}
		ctx, cancel := context.WithCancel(t.Context())
		go b.Run(heartbeat.With(ctx, set.Start("b")))
		go b.alarm.Run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		monitor, d := heartbeat.NewMonitor(set), received(t, netip.MustParseAddr("10.77.0.2"), 150)
		offTheGrid()
		idle := func() (longest time.Duration) {
			for range 50 {
				b.Deliver(d)
				time.Sleep(time.Second)
				for _, one := range monitor.Look(time.Second) {
					longest = max(longest, one.For)
				}
			}
			return longest
		}
		if longest := idle(); longest > time.Second {
			t.Errorf("no heartbeat for %s", longest)
		}
		end := make(chan struct{})
		b.command(func(*Actor) { <-end })
		if longest := idle(); longest < 45*time.Second {
			t.Errorf("heartbeats of an instance that hangs: the longest pause was %s", longest)
		}
		close(end)
	})
}

// An instance that joins a sync group while the Alarm looks after it gets a timer of its own.
func TestAlarmAndASyncGroup(t *testing.T) {
	withBackup(t, func(t *testing.T, l *lan, b *machine) {
		b.Deliver(received(t, netip.MustParseAddr("10.77.0.2"), 150))
		g := NewGroup()
		g.SetSize(2)
		b.Join(g)
		other := New(Options{Name: "other", Params: vrrp.Params{VRID: 52, Version: 3, Priority: 100, AdvertInterval: time.Second}, Log: l.logTo, Epoch: Epoch{At: b.epoch}})
		other.Join(g)
		time.Sleep(1100 * time.Millisecond) // the Alarm looks once a second
		synctest.Wait()
		b.lock()
		defer b.unlock()
		if b.watched {
			t.Error("the instance has no timer of its own")
		}
	})
}

// The snapshot of a BACKUP follows each change of what the MASTER sends, within a second.
func TestSnapshotFollowsTheAdverts(t *testing.T) {
	withBackup(t, func(t *testing.T, l *lan, b *machine) {
		from := netip.MustParseAddr("10.77.0.2")
		hear := func(d vrrp.Datagram, want func(Snapshot) bool) {
			t.Helper()
			for range 8 { // a difference counts after three intervals
				b.Deliver(d)
				time.Sleep(time.Second)
			}
			if s := b.Snapshot(); !want(s) {
				t.Errorf("%+v", s)
			}
		}
		plain := received(t, from, 150)
		hear(plain, func(s Snapshot) bool { return s.MasterPriority == 150 && s.Neighbours == nil })
		hear(received(t, from, 160), func(s Snapshot) bool { return s.MasterPriority == 160 })
		other := vrrp.Packet{Version: 3, VRID: 51, Priority: 160, Interval: time.Second, Addresses: []netip.Addr{
			netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.101"),
		}}
		payload, err := other.Append(nil, from, group, vrrp.PseudoHeaderChecksum)
		if err != nil {
			t.Fatal(err)
		}
		plain.Payload = payload
		hear(plain, func(s Snapshot) bool { return len(s.Neighbours) == 1 && s.Neighbours[0].Kind == vrrp.VIPListsDiffer })
		hear(received(t, from, 160), func(s Snapshot) bool { return s.Neighbours == nil })
	})
}

// Adverts are read together only on a segment with many instances, the sooner the shorter their intervals are.
func TestGatherFor(t *testing.T) {
	for _, c := range []struct {
		instances int
		shortest  time.Duration
		want      time.Duration
	}{
		{1, time.Second, 0},
		{7, 10 * time.Millisecond, 0},
		{8, time.Second, gatherMost},
		{64, 100 * time.Millisecond, 5 * time.Millisecond},
		{64, 40 * time.Millisecond, 2 * time.Millisecond},
		{255, 10 * time.Millisecond, 500 * time.Microsecond},
	} {
		l := NewLink(eth0, nil, newLAN().logTo)
		for n := range c.instances {
			interval := time.Second
			if n == 0 {
				interval = c.shortest
			}
			l.actors[uint8(n+1)] = New(Options{Params: vrrp.Params{VRID: uint8(n + 1), Version: 3, AdvertInterval: interval}, Log: newLAN().logTo})
		}
		if got := l.gatherFor(); got != c.want {
			t.Errorf("%d instances, %s: %s, want %s", c.instances, c.shortest, got, c.want)
		}
	}
}
