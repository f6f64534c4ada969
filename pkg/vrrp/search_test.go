package vrrp

import (
	"flag"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"
	"time"
)

var searchStates = flag.Int("search.states", 0, "how many states each deep search visits at most; 0: the searches of each day")

// A search explores every world that can be reached from a start, breadth first, so that what it finds has a shortest
// history.
type search struct {
	*setting
	seeds   [2]maphash.Seed
	seen    map[[2]uint64]struct{}
	history []cameFrom
	now     []reached
	next    []reached
	levels  int // the length of the longest history
}

// cameFrom is how a state was reached first.
type cameFrom struct {
	state int32 // the state before; -1: none
	by    choice
}

type reached struct {
	world world
	state int32
}

// found is a violated property with its history.
type found struct{ wrong, history string }

func newSearch(s *setting) *search {
	return &search{setting: s, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, seen: map[[2]uint64]struct{}{}}
}

// run visits at most limit states, and returns how many it has visited, whether these are all, and what it has found.
func (s *search) run(limit int) (visited int, all bool, bad *found) {
	s.add(s.start(), -1, choice{})
	var choices []choice
	for len(s.next) > 0 {
		s.now, s.next = s.next, s.now[:0]
		s.levels++
		for _, r := range s.now {
			visited++
			if visited > limit {
				return limit, false, nil
			}
			v := visit{setting: s.setting, w: &r.world}
			choices = v.choices(choices[:0])
			for _, c := range choices {
				w := r.world
				v := visit{setting: s.setting, w: &w}
				v.make(c)
				if v.wrong != "" {
					return visited, false, &found{v.wrong, s.replay(r.state, c)}
				}
				s.add(w, r.state, c)
			}
		}
	}
	return visited, true, nil
}

func (s *search) add(w world, from int32, by choice) {
	w.normal(s.ends)
	key := [2]uint64{maphash.Comparable(s.seeds[0], w), maphash.Comparable(s.seeds[1], w)}
	if _, old := s.seen[key]; old {
		return
	}
	s.seen[key] = struct{}{}
	s.history = append(s.history, cameFrom{from, by})
	s.next = append(s.next, reached{w, int32(len(s.history) - 1)})
}

// replay returns what happens from the start until a choice that follows a state.
func (s *search) replay(state int32, last choice) string {
	choices := []choice{last}
	for ; s.history[state].state >= 0; state = s.history[state].state {
		choices = append(choices, s.history[state].by)
	}
	w := s.start()
	w.normal(s.ends)
	var log strings.Builder
	for n := len(choices) - 1; n >= 0; n-- {
		v := visit{setting: s.setting, w: &w, log: &log}
		fmt.Fprintf(&log, "%s\n", v.String(choices[n]))
		v.make(choices[n])
		w.normal(s.ends)
	}
	return log.String()
}

// electionEnds is a master-down interval with the longest skew, one more advert, and the delays of two frames.
const electionEnds = 5*time.Second + 2*frameDelay

// electors is a cluster of directors with these priorities.
func electors(name string, left budget, change func(*Params), priorities ...uint8) *setting {
	s := &setting{name: name, lease: 5 * time.Second, left: left, ends: electionEnds}
	for i, priority := range priorities {
		p := Params{VRID: 51, Version: 3, Priority: priority, AdvertInterval: time.Second, Preempt: true, Source: sourceOf(i)}
		if change != nil {
			change(&p)
		}
		s.params = append(s.params, p.withDefaults())
	}
	return s
}

// groupedElectors is a cluster of directors with a sync group of two routers each, which have the same priorities on both
// segments. Their members may have to wait for each other for one advert more.
func groupedElectors(name string, left budget, priorities ...uint8) *setting {
	s := &setting{name: name, lease: 5 * time.Second, left: left, ends: electionEnds + time.Second, segments: 2, prompt: true}
	for i, priority := range priorities {
		for segment := range s.segments {
			p := siteMember(segment, i, priority)
			p.Grouped = true
			s.params = append(s.params, p.withDefaults())
		}
	}
	return s
}

func noPreempt(p *Params) { p.Preempt = false }

// daily are searches that visit most of what is within their budgets, or the beginning of it, in a second.
func daily() []*setting {
	all := []*setting{
		electors("two", budget{faults: 1}, nil, 192, 128),
		electors("two that do not preempt", budget{faults: 1}, noPreempt, 192, 128),
		electors("two of equal priority", budget{faults: 1}, nil, 128, 128),
		electors("three", budget{faults: 1}, nil, 192, 128, 64),
		groupedElectors("two with sync groups", budget{faults: 1}, 192, 128),
	}
	for _, s := range deafElectors() {
		s.name += " that may start deaf"
		all = append(all, s)
	}
	for _, s := range all {
		s.prompt = true
	}
	return all
}

// deafElectors are clusters of directors whose links may deliver nothing when they start.
func deafElectors() []*setting {
	all := []*setting{
		electors("two", budget{faults: 2}, nil, 192, 128),
		electors("two that do not preempt", budget{faults: 2}, noPreempt, 192, 128),
		groupedElectors("two with sync groups", budget{faults: 2}, 192, 128),
	}
	for _, s := range all {
		s.deaf = 4 * time.Second
	}
	return all
}

// deep are searches of millions of states.
func deep() []*setting {
	quick := electors("three, without delays", budget{faults: 2}, nil, 192, 128, 64)
	quick.prompt = true
	return append(deafElectors(), []*setting{
		electors("two, one fault", budget{faults: 1}, nil, 192, 128),
		electors("two, two faults and a loss", budget{faults: 2, losses: 1}, nil, 192, 128),
		electors("two that do not preempt", budget{faults: 2, losses: 1}, noPreempt, 192, 128),
		electors("two of equal priority", budget{faults: 2, losses: 1}, nil, 128, 128),
		electors("two, and frames that arrive twice", budget{faults: 1, copies: 2}, nil, 192, 128),
		electors("three", budget{faults: 1, losses: 1}, nil, 192, 128, 64),
		quick,
		groupedElectors("two with sync groups", budget{faults: 2}, 192, 128),
	}...)
}

// TestSearch: no order of delays, losses, duplicates, crashes, hangs, restarts, partitions, faults and false alarms, as far
// as the budget of each search goes, breaks a rule.
func TestSearch(t *testing.T) {
	all, limit := daily(), 8_000
	if *searchStates > 0 {
		all, limit = deep(), *searchStates
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			begun := time.Now()
			found := newSearch(s)
			visited, complete, bad := found.run(limit)
			t.Logf("%d states, histories of up to %d choices, all within the budget: %t, %s", visited, found.levels, complete, time.Since(begun).Round(time.Millisecond))
			if bad != nil {
				t.Errorf("%s\n%s", bad.wrong, bad.history)
			}
		})
	}
}
