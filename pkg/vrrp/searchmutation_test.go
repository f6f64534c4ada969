package vrrp

import (
	"slices"
	"strings"
	"testing"
)

// brokenStep is Machine.Step with one rule broken.
type brokenStep func(m *Machine, ev Event) []Action

func (b brokenStep) step(m *Machine, ev Event) []Action {
	if b == nil {
		return m.Step(epoch, ev)
	}
	return b(m, ev)
}

// deafTo is a machine that ignores some events.
func deafTo(ignored func(m *Machine, ev Event) bool) brokenStep {
	return func(m *Machine, ev Event) []Action {
		if ignored(m, ev) {
			ev = Tick{}
		}
		return m.Step(epoch, ev)
	}
}

// TestSearchFindsBrokenRules: a search of the size of those of each day finds each rule of the machine that is broken, and
// shows what leads to it.
func TestSearchFindsBrokenRules(t *testing.T) {
	for _, tt := range []struct {
		rule string
		step brokenStep
		want string // a part of what is found
	}{
		{"a MASTER gives way to a higher priority", deafTo(func(m *Machine, ev Event) bool {
			a, is := ev.(Advert)
			return is && m.State() == Master && a.Priority > m.p.Priority
		}), "directors hold the VIPs"},
		{"a BACKUP takes nothing from a MASTER that it hears", deafTo(func(m *Machine, ev Event) bool {
			a, is := ev.(Advert)
			return is && m.State() == Backup && a.Priority > m.p.Priority
		}), "goes from"},
		{"with preempt: false a director that returns takes nothing", func(m *Machine, ev Event) []Action {
			m.p.Preempt = true
			return m.Step(epoch, ev)
		}, "because of a director that has started and does not preempt"},
		{"VIPs that move are kept until the successor has announced them", func(m *Machine, ev Event) []Action {
			acts := m.Step(epoch, ev)
			if at := slices.IndexFunc(acts, func(a Action) bool { _, retains := a.(Retain); return retains }); at >= 0 {
				m.mem.Handover.Retains, acts[at] = false, Release{}
			}
			return acts
		}, "releases VIPs that nobody else has announced"},
		{"a fault releases the VIPs", func(m *Machine, ev Event) []Action {
			acts := m.Step(epoch, ev)
			if _, faulted := ev.(Faulted); faulted {
				acts = slices.DeleteFunc(acts, func(a Action) bool { _, releases := a.(Release); return releases })
			}
			return acts
		}, "is FAULT, VIPs held: true"},
		{"a BACKUP sends no advert", func(m *Machine, ev Event) []Action {
			acts := m.Step(epoch, ev)
			if _, heard := ev.(Advert); heard && m.State() == Backup && len(acts) == 0 {
				acts = append(acts, SendAdvert{Priority: m.p.Priority})
			}
			return acts
		}, "sends an advert of priority"},
		{"a MASTER whose addresses are lost is MASTER no longer", deafTo(func(_ *Machine, ev Event) bool {
			_, is := ev.(Lost)
			return is
		}), "does not know that its lease has ended"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, s := range daily()[:2] { // two that preempt, two that do not
				s.broken = tt.step
				visited, _, bad := newSearch(s).run(15_000)
				if bad == nil {
					continue
				}
				if !strings.Contains(bad.wrong, tt.want) || bad.history == "" {
					t.Errorf("%s: %s, want %q\n%s", s.name, bad.wrong, tt.want, bad.history)
				}
				t.Logf("%s, after %d states: %s", s.name, visited, bad.wrong)
				return
			}
			t.Error("not found")
		})
	}
}
