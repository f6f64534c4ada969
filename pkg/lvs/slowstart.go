package lvs

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const (
	// startSteps is the largest number of steps of a slow start, startStep the shortest time between two: each is a change of the
	// kernel's table.
	startSteps = 20
	startStep  = time.Second
)

// Part is the part of its weight that a real server has in a slow start: Step of Steps, in the beginning 0. The zero value is the
// whole weight.
type Part struct{ Step, Steps uint8 }

// Of returns that part of a weight: at least 1, since with 0 a real server would get no connections, unless the weight is 0.
func (p Part) Of(weight int) int {
	if p.Steps == 0 || weight <= 0 {
		return weight
	}
	return max(weight*int(p.Step)/int(p.Steps), 1)
}

// partAfter returns the part of its weight that a real server has after a time of a slow start that lasts for total, and when, after
// its begin, that changes next; 0: never.
func partAfter(elapsed, total time.Duration) (part Part, next time.Duration) {
	if elapsed >= total {
		return Part{}, 0
	}
	steps := stepsOf(total)
	step := int(max(elapsed, 0) * time.Duration(steps) / total)
	return Part{uint8(step), uint8(steps)}, timeOf(step+1, total)
}

func stepsOf(total time.Duration) int { return int(min(max(total/startStep, 1), startSteps)) }

// timeOf returns the time after which a slow start reaches a step.
func timeOf(step int, total time.Duration) time.Duration {
	steps := time.Duration(stepsOf(total))
	return (time.Duration(step)*total + steps - 1) / steps // rounded up, so that the step is reached then
}

// elapsedAt returns the time after which a slow start has reached weight, of whole.
func elapsedAt(weight, whole int, total time.Duration) time.Duration {
	for step := range stepsOf(total) {
		if (Part{uint8(step), uint8(stepsOf(total))}).Of(whole) >= weight {
			return timeOf(step, total)
		}
	}
	return total
}

// Start is where a real server is in its slow start. The zero value: it has its whole weight, also as one of which nothing is known yet.
type Start struct {
	Away  bool      // it has no connections of its own accord: the next ones begin a slow start
	Since time.Time // when its slow start began; zero: it is in none
	Total time.Duration
	Part  Part

	nextIn time.Duration // when, after Since, Part changes next
}

// Starts are those of the real servers of a pool by their address and port, all of them; nil: nothing is remembered about the pool. They
// are immutable.
type Starts map[netip.AddrPort]Start

// BeginStarts returns those of a pool of which nothing is remembered. What a table has of its servers as of now counts as their whole
// weight, and those that get no connections there are away. If the table has none of its services, as before the first start, no server
// starts slowly. killed: it is the kernel's table as a director that was killed has left it: a slow start that was under way goes on.
// One is assumed of a server that has less than its weight while another one has all of it.
func BeginStarts(v config.VirtualServer, condition func(config.ServerID) Condition, found map[Key]Service, killed bool, now time.Time) Starts {
	s := make(Starts, len(v.RealServers))
	known := false // the table has the virtual server
	weights, whole, present := make([]int, len(v.RealServers)), make([]int, len(v.RealServers)), make([]bool, len(v.RealServers))
	for one := range v.Services() {
		service, is := found[KeyOf(one)]
		known = known || is
		entries := byAddress(service.Servers)
		for i, r := range one.RealServers {
			entry, is := entries[Server{Address: r.Address, Port: r.Port}.AddrPort()]
			weights[i], present[i] = max(weights[i], entry.Weight), present[i] || is
		}
	}
	reached := false
	for i, r := range v.RealServers {
		whole[i] = condition(config.ServerID{Service: v.Name, Server: r.Name}).Whole(r.Weight)
		reached = reached || r.Role != config.Sorry && whole[i] > 0 && weights[i] >= whole[i]
	}
	for i, r := range v.RealServers {
		start := Start{}
		switch {
		case !known || r.Role == config.Sorry:
		case weights[i] == 0:
			c := condition(config.ServerID{Service: v.Name, Server: r.Name})
			start.Away = r.Role != config.Standby // it may have been in reserve
			if present[i] && c.Known && !killed {
				start.Away = c.out(r) // else it is only full
			}
		case killed && reached && weights[i] < whole[i] && !r.WeightByCheck():
			start.Since, start.Total = now.Add(-elapsedAt(weights[i], whole[i], v.SlowStart)), v.SlowStart
			start.Part, _ = partAfter(now.Sub(start.Since), v.SlowStart)
		}
		s[startOf(v, r)] = start
	}
	return s
}

// startOf is the key of a real server in Starts, which does not change when its virtual server gets more ports.
func startOf(v config.VirtualServer, r config.RealServer) netip.AddrPort {
	return netip.AddrPortFrom(r.Address, cmp.Or(r.Port, v.Port))
}

// Next returns the slow starts after a change of the conditions of the servers, or of the time, and when the next step of one comes;
// zero: none. A real server that gets connections again after its checks failed, an operator took it out, or its weight was 0,
// starts slowly, and so does one that was added to a pool. One that was in reserve, full, or kept by the panic threshold does not, nor does
// a sorry server: it replaces others at once. If nothing changes the result is s, without an allocation.
func (s Starts) Next(v config.VirtualServer, condition func(config.ServerID) Condition, now time.Time) (Starts, time.Time) {
	var after Starts // nil: so far as s
	due := time.Time{}
	for i, r := range v.RealServers {
		was, member := s[startOf(v, r)]
		start := was
		start.Away = was.Away || !member
		if r.Role != config.Sorry {
			start = start.next(v, r, condition(config.ServerID{Service: v.Name, Server: r.Name}), now)
		} else {
			start = Start{}
		}
		if at := start.Since.Add(start.nextIn); !start.Since.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
		if after == nil && (!member || start != was) {
			after = s.of(v, i)
		}
		if after != nil {
			after[startOf(v, r)] = start
		}
	}
	if after == nil && len(s) != len(v.RealServers) { // some were removed
		after = s.of(v, len(v.RealServers))
	}
	if after == nil {
		return s, due
	}
	return after, due
}

// of returns a copy with the first n real servers.
func (s Starts) of(v config.VirtualServer, n int) Starts {
	after := make(Starts, len(v.RealServers))
	for _, r := range v.RealServers[:n] {
		after[startOf(v, r)] = s[startOf(v, r)]
	}
	return after
}

// out reports whether a real server gets no connections of its own accord.
func (c Condition) out(r config.RealServer) bool {
	return c.Decision.Admission != Admitted || c.Whole(r.Weight) == 0 || c.Known && !c.Up && !c.Kept
}

func (s Start) next(v config.VirtualServer, r config.RealServer, c Condition, now time.Time) Start {
	switch {
	case c.out(r):
		return Start{Away: true}
	case s.Away && (c.Known || v.InitialUp):
		s = Start{Since: now, Total: v.SlowStart}
	case s.Since.IsZero(): // nothing known, or it has its whole weight
		return s
	case s.Total != v.SlowStart: // the same part of the other time
		elapsed := time.Duration(math.Ceil(float64(now.Sub(s.Since)) * float64(v.SlowStart) / float64(s.Total)))
		s.Since, s.Total = now.Add(-elapsed), v.SlowStart
	}
	if s.Part, s.nextIn = partAfter(now.Sub(s.Since), s.Total); s.nextIn == 0 {
		return Start{}
	}
	return s
}

// Equal reports whether the servers have the same parts of their weights.
func (s Starts) Equal(other Starts) bool {
	return maps.EqualFunc(s, other, func(a, b Start) bool { return a.Part == b.Part })
}

// StartOf returns where a real server of the virtual server is in its slow start.
func (s Starts) StartOf(v config.VirtualServer, r config.RealServer) Start { return s[startOf(v, r)] }
