package vrrp

import (
	"strings"
	"testing"
	"time"
)

// pair returns two directors with a group of two members each, of these priorities on both segments.
func pair(a, b uint8) (s *site, first, second *host) {
	s = newSite()
	first = s.add(true, siteMember(0, 0, a), siteMember(1, 0, a))
	second = s.add(true, siteMember(0, 1, b), siteMember(1, 1, b))
	return s, first, second
}

func (h *host) states() string {
	var all []string
	for _, n := range h.nodes {
		all = append(all, n.m.State().String())
	}
	return strings.Join(all, " ")
}

func (s *site) expect(t *testing.T, want ...string) {
	t.Helper()
	for i, h := range s.hosts {
		if got := h.states(); got != want[i] {
			t.Errorf("at %s: %s is %s, want %s\n%s", s.now, h.name, got, want[i], s.log.String())
		}
	}
	if wrong := s.wrong(); wrong != "" {
		t.Error(wrong)
	}
}

// TestSyncGroupMovesTogether: what happens to one member happens to all, at the same time, with a reason that names it.
func TestSyncGroupMovesTogether(t *testing.T) {
	s, a, b := pair(150, 100)
	s.all(a, Startup{})
	s.all(b, Startup{})
	s.run(10 * sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
	if x, y := a.nodes[0].m.Since(), a.nodes[1].m.Since(); x != y {
		t.Errorf("the members became MASTER at %s and %s", x, y)
	}

	s.send(a, 1, Faulted{Reason: "eth1 has no carrier"})
	s.expect(t, "FAULT FAULT", "BACKUP BACKUP")
	if got, want := a.nodes[0].m.Reason(), "FAULT: m1 of the same sync group: eth1 has no carrier"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	s.send(a, 0, Faulted{Reason: "eth0 is down"})
	s.run(s.now + sec)
	s.expect(t, "FAULT FAULT", "MASTER MASTER") // after the skew
	s.send(a, 1, Recover{})
	s.expect(t, "FAULT FAULT", "MASTER MASTER")
	s.send(a, 0, Recover{})
	s.run(s.now + 10*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
	for _, n := range b.nodes {
		if want := "BACKUP: higher priority 150 from "; !strings.HasPrefix(n.m.Reason(), want) {
			t.Errorf("reason %q, want %q", n.m.Reason(), want)
		}
	}

	s.send(a, 1, Lost{Reason: "the lease lapsed"})
	s.expect(t, "BACKUP BACKUP", "BACKUP BACKUP")
	if got, want := a.nodes[0].m.Reason(), "BACKUP: m1 of the same sync group: lost the virtual addresses: the lease lapsed"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	s.run(s.now + 20*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP") // after the hold-off

	s.send(a, 0, Degraded{Reason: "the table loop made no progress"})
	s.run(s.now + 10*sec)
	s.expect(t, "FAULT FAULT", "MASTER MASTER")
	s.send(a, 0, Degraded{})
	s.send(a, 1, NotReady{Reason: "the first health checks are not done"})
	s.run(s.now + 10*sec)
	s.expect(t, "BACKUP BACKUP", "MASTER MASTER")
	s.send(a, 1, Ready{})
	s.run(s.now + 10*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
	s.all(a, Shutdown{})
	s.run(s.now + sec)
	s.expect(t, "INIT INIT", "MASTER MASTER")
}

// TestSyncGroupOfACutSegment: the group does not change sides because a segment is cut, in both directions, and the other
// director takes over all of it when the MASTER is gone.
func TestSyncGroupOfACutSegment(t *testing.T) {
	s, a, b := pair(150, 100)
	s.all(a, Startup{})
	s.all(b, Startup{})
	s.run(10 * sec)
	s.drops = func(segment int, _, _ *host) bool { return segment == 1 }
	s.run(s.now + time.Minute)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
	if !b.nodes[1].m.Due() || b.nodes[0].m.Due() {
		t.Errorf("the members of the BACKUP are due: %t %t", b.nodes[0].m.Due(), b.nodes[1].m.Due())
	}
	a.dead = true
	s.run(s.now + MasterDownInterval(3, 100, sec, 3) + 5*ms)
	if got := b.states(); got != "MASTER MASTER" {
		t.Errorf("the other director is %s\n%s", got, s.log.String())
	}
}

// TestSyncGroupsThatBounce: directors with equal priorities, whose addresses have another order on each segment, become
// MASTER at the same moment, and each gives way to the other. They do not repeat that for ever.
func TestSyncGroupsThatBounce(t *testing.T) {
	for priority := uint8(1); priority < 250; priority += 10 {
		s := newSite()
		s.add(true, siteMember(0, 0, priority), siteMember(1, 1, priority))
		s.add(true, siteMember(0, 1, priority), siteMember(1, 0, priority))
		s.all(s.hosts[0], Startup{})
		s.all(s.hosts[1], Startup{})
		s.run(60 * sec)
		if masters := s.masters(); len(masters) != 1 || s.wrong() != "" {
			t.Fatalf("priority %d: %d directors are MASTER; %s\n%s", priority, len(masters), s.wrong(), s.log.String())
		}
	}
}

// TestSyncGroupBesideOthers: a router whose virtual routers do not move together keeps the group from becoming MASTER as
// long as it is MASTER of one of them.
func TestSyncGroupBesideOthers(t *testing.T) {
	s := newSite()
	a := s.add(true, siteMember(0, 0, 100), siteMember(1, 0, 100))
	b := s.add(false, siteMember(0, 1, 150), siteMember(1, 1, 150))
	s.all(a, Startup{})
	s.all(b, Startup{})
	s.run(10 * sec)
	s.expect(t, "BACKUP BACKUP", "MASTER MASTER")
	s.send(b, 1, Faulted{Reason: "eth1 has no carrier"})
	s.run(s.now + time.Minute)
	s.expect(t, "BACKUP BACKUP", "MASTER FAULT")
	s.send(b, 0, Faulted{Reason: "eth0 has no carrier"})
	s.run(s.now + sec)
	s.expect(t, "MASTER MASTER", "FAULT FAULT")
	s.send(b, 0, Recover{})
	s.run(s.now + 10*sec)
	s.expect(t, "BACKUP BACKUP", "MASTER FAULT")
}

// TestSyncGroupJoin: members that come to a running group follow it without an election.
func TestSyncGroupJoin(t *testing.T) {
	s, a, b := pair(150, 100)
	s.all(a, Startup{})
	s.all(b, Startup{})
	s.run(10 * sec)
	add := func(h *host, n int, priority uint8) {
		p := siteMember(2, n, priority)
		p.Grouped = true
		x := &node{name: h.name + "/2", m: NewMachine(p)}
		x.trace = NewTrace(x.m, 1<<20)
		h.groups[0].SetSize(3)
		h.groups[0].Add("m2", x.m, Condition{})
		h.nodes, h.groups = append(h.nodes, x), append(h.groups, h.groups[0])
		s.send(h, 2, Startup{})
	}
	s.drops = func(segment int, _, to *host) bool { return segment >= len(to.nodes) }
	add(b, 1, 100) // reloaded first
	s.run(s.now + 20*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP BACKUP")
	since := a.nodes[0].m.Since()
	add(a, 0, 150)
	if got := a.states(); got != "MASTER MASTER BACKUP" {
		t.Errorf("%s while it listens", got)
	}
	s.run(s.now + 10*sec)
	s.expect(t, "MASTER MASTER MASTER", "BACKUP BACKUP BACKUP")
	if a.nodes[0].m.Since() != since {
		t.Error("there was an election")
	}

	// An instance that ran alone gives its VIPs up when it comes to a group that is not MASTER.
	own := b.groups[2].Remove(b.nodes[2].m)
	b.groups[2] = new(SyncGroup)
	b.groups[2].Add("m2", b.nodes[2].m, own)
	s.send(b, 2, TakeOver{})
	b.groups[0].Add("m2", b.nodes[2].m, b.groups[2].Remove(b.nodes[2].m))
	b.groups[2] = b.groups[0]
	s.follow(b, b.groups[0])
	s.expect(t, "MASTER MASTER MASTER", "BACKUP BACKUP BACKUP")
	if !strings.Contains(s.log.String(), "step_down with_resignation") {
		t.Errorf("it did not resign\n%s", s.log.String())
	}
}

// TestStartupDelay: a director takes over nothing before its delay has passed, and then at once.
func TestStartupDelay(t *testing.T) {
	for name, tt := range map[string]struct {
		priority uint8
		heard    Event
		at       time.Duration
	}{
		"nobody":          {priority: 100, at: 10 * sec},
		"the owner":       {priority: PriorityOwner, at: 10 * sec},
		"a resignation":   {priority: 100, heard: hears(0, master), at: 10 * sec},
		"a lower MASTER":  {priority: 100, heard: hears(50, master), at: 10 * sec},
		"a higher MASTER": {priority: 100, heard: hears(150, master), at: 5*sec + MasterDownInterval(3, 100, sec, 3)},
		"BFD":             {priority: 100, heard: PeerLost{Source: master}, at: 10 * sec},
	} {
		p := us()
		p.Priority, p.Preempt = tt.priority, true
		m := NewMachine(p)
		m.Step(0, Startup{Delay: 10 * sec})
		if tt.heard != nil {
			m.Step(5*sec, hears(50, master))
			m.Step(5*sec, tt.heard)
		}
		for m.State() == Backup {
			at, ok := m.Deadline()
			if !ok {
				t.Fatalf("%s: no deadline", name)
			}
			m.Step(at, Tick{})
		}
		if want := max(tt.at, 10*sec); m.Since() != want {
			t.Errorf("%s: %s at %s, want at %s", name, m.State(), m.Since(), want)
		}
	}
}

// TestEmptySyncGroup: a group without real servers gives all its addresses to one that has taken over.
func TestEmptySyncGroup(t *testing.T) {
	s, a, b := pair(150, 100)
	s.all(a, Startup{})
	s.all(b, Startup{})
	s.drops = func(int, *host, *host) bool { return true }
	s.run(20 * sec)
	s.expect(t, "MASTER MASTER", "MASTER MASTER")
	s.all(a, NotReady{Reason: "no real server takes connections", Empty: true})
	s.drops = func(int, *host, *host) bool { return false }
	s.run(s.now + 5*sec)
	s.expect(t, "BACKUP BACKUP", "MASTER MASTER")
	s.run(s.now + 20*sec)
	s.expect(t, "BACKUP BACKUP", "MASTER MASTER")
	s.all(a, Ready{})
	s.run(s.now + 5*sec)
	s.expect(t, "MASTER MASTER", "BACKUP BACKUP")
}
