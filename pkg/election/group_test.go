package election

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// member adds a member of a sync group to a segment; all segments have begun at the same moment.
func (l *lan) member(t *testing.T, who, address string, priority uint8, g *Group) *machine {
	m := &machine{port: &port{lan: l, who: who}, address: netip.MustParseAddr(address)}
	m.Actor = New(Options{
		Name:      who,
		Params:    vrrp.Params{VRID: 51, Version: 3, Priority: priority, AdvertInterval: time.Second, Preempt: true, Source: m.address, Grouped: true},
		Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100")},
		Wire:      tap{l, m.address}, Holder: m.port, Suspended: m.suspended, Log: l.logTo, Epoch: Epoch{At: l.epoch},
	})
	m.Join(g)
	l.mu.Lock()
	l.actors[m.address] = m.Actor
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = m.Run(ctx) }()
	m.stop = func() { cancel(); <-done }
	return m
}

func groupOf(n int) *Group {
	g := NewGroup()
	g.SetSize(n)
	return g
}

func states(all ...*machine) (text string) {
	for _, m := range all {
		text += m.Snapshot().State.String() + " "
	}
	return text
}

// TestActorsOfAGroup: the actors of two directors with two segments each move together, whichever of them learns something;
// the records of all members replay alone.
func TestActorsOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lans := []*lan{newLAN(), newLAN()}
		ga, gb := groupOf(2), groupOf(2)
		a0, a1 := lans[0].member(t, "a0", "10.77.0.2", 150, ga), lans[1].member(t, "a1", "10.78.0.2", 150, ga)
		b0, b1 := lans[0].member(t, "b0", "10.77.0.3", 100, gb), lans[1].member(t, "b1", "10.78.0.3", 100, gb)
		expect := func(want string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if got := states(a0, a1, b0, b1); got != want {
				t.Errorf("%s, want %s\n%s\n%s", got, want, a1.Record(), b1.Record())
			}
		}
		expect("MASTER MASTER BACKUP BACKUP ")
		a1.Tell(vrrp.Faulted{Reason: "eth1 has no carrier"})
		expect("FAULT FAULT MASTER MASTER ")
		a1.Tell(vrrp.Recover{})
		expect("MASTER MASTER BACKUP BACKUP ")

		lans[1].mu.Lock()
		lans[1].cut[a1.address] = true
		lans[1].mu.Unlock()
		expect("MASTER MASTER BACKUP BACKUP ")
		if s := b1.Snapshot(); s.DueFor == 0 || s.Reason != "BACKUP: no advert from 10.78.0.2 any more; waits for the others of its sync group to be MASTER with them" {
			t.Errorf("%+v", s)
		}
		var records []string
		for _, m := range []*machine{a0, a1, b0, b1} {
			records = append(records, m.Record())
		}
		for _, record := range records {
			replay, err := vrrp.ParseTrace(record)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(record, replay.String()); diff != "" {
				t.Errorf("(-recorded +replayed):\n%s", diff)
			}
		}
		a0.stop()
		a1.stop()
		expect("INIT INIT MASTER MASTER ")
		b0.stop()
		b1.stop()
	})
}

// TestActorsJoinAndLeave: a MASTER that comes to a group, or leaves it, stays MASTER.
func TestActorsJoinAndLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lans := []*lan{newLAN(), newLAN()}
		first, second := lans[0].member(t, "first", "10.77.0.2", 150, nil), lans[1].member(t, "second", "10.78.0.2", 150, nil)
		all := []*machine{first, second}
		grouped := func(yes bool) {
			for _, m := range all {
				p := m.desired.last.Params
				p.Grouped = yes
				d := m.desired.last
				d.Params = p
				m.Set(d)
			}
		}
		grouped(false)
		time.Sleep(10 * time.Second)
		g := NewGroup()
		for _, m := range all {
			m.Join(g)
		}
		g.SetSize(2)
		grouped(true)
		time.Sleep(10 * time.Second)
		second.Tell(vrrp.Faulted{Reason: "eth1 is down"})
		synctest.Wait()
		if got := states(all...); got != "FAULT FAULT " {
			t.Errorf("together: %s", got)
		}
		second.Join(nil) // and takes its fault along
		g.SetSize(1)
		grouped(false)
		time.Sleep(10 * time.Second)
		if got := states(all...); got != "MASTER FAULT " {
			t.Errorf("apart: %s", got)
		}
		for i, m := range all {
			want := []string{"  3414ms " + m.who + " acquire silent=true", " 20000ms " + m.who + " release"}
			lans[i].mu.Lock()
			if got := lans[i].log[:2]; !slices.Equal(got, want) {
				t.Error(fmt.Sprint(got), "want", want)
			}
			lans[i].mu.Unlock()
			m.stop()
		}
	})
}
