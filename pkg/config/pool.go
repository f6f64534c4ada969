package config

import (
	"math"
	"slices"
	"time"
)

// OnFailure is what becomes of the connections of a real server that fails; "": Drain with the scheduler mh without persistence,
// otherwise Expire.
type OnFailure string

// The values of OnFailure.
const (
	Expire OnFailure = "expire" // its entry is removed: the next packet of each is answered with a reset
	Drain  OnFailure = "drain"  // its entry stays with weight 0: they go on
)

// Role is what a real server is for in its pool.
type Role string

// The roles.
const (
	Regular Role = ""        // it is given connections
	Standby Role = "standby" // it is given connections while too few of the Regular ones are up
	Sorry   Role = "sorry"   // it is given connections while the quorum is lost
)

func onFailureField() key[virtualServer] {
	return &field[virtualServer, OnFailure]{
		name: "on_failure", in: func(s *virtualServer) *OnFailure { return &s.OnFailure }, unset: "`drain` with `mh` without `persistence`, otherwise `expire`",
		kind: oneOf[OnFailure](vocabulary{what: "what becomes of connections", words: []string{string(Expire), string(Drain)}}),
		doc: "the connections of a real server that is down: `expire` removes its entry, so that the next packet of each is answered with a reset; " +
			"`drain` leaves it with weight 0, so that they go on",
		reload: Live,
	}
}

// inhibitField declares inhibit_on_failure, with a default that depends on others.
func inhibitField[S any](in func(*S) *bool, def func(*S) bool, unset string) key[S] {
	return &field[S, bool]{
		name: "inhibit_on_failure", kind: flag(false), in: in, defOf: def, unset: unset,
		doc:    "whether a server that is down, or not needed, stays in the table with weight 0, as keepalived's `inhibit_on_failure` has it",
		reload: Live,
	}
}

func policyFields() []key[virtualServer] {
	return []key[virtualServer]{quorumField(), hysteresisField(), slowStartField(), suspendField(), serviceHooksField()}
}

func quorumField() key[virtualServer] {
	return &field[virtualServer, int]{
		name: "quorum", kind: wholeNumber[int](1, math.MaxInt32), in: func(s *virtualServer) *int { return &s.Quorum }, unset: "`1`",
		doc:    "the weights of the `real_servers` that are up must add up to it: see [virtual-servers.md](virtual-servers.md#quorum-and-sorry-server)",
		reload: Live,
	}
}

const maxSlowStart = time.Hour

func slowStartField() key[virtualServer] {
	return &field[virtualServer, time.Duration]{
		name: "slow_start", kind: durationIn(0, maxSlowStart), in: func(s *virtualServer) *time.Duration { return &s.SlowStart },
		doc: "the time in which a real server that returns gets its weight by steps, `0s` or at least `1s`: see " +
			"[virtual-servers.md](virtual-servers.md#slow-start)",
		reload: Live,
		words:  []word{synonyms("slowstart")},
	}
}

func hysteresisField() key[virtualServer] {
	return &field[virtualServer, int]{
		name: "hysteresis", kind: wholeNumber[int](0, math.MaxInt32), in: func(s *virtualServer) *int { return &s.Hysteresis },
		doc:    "the quorum is lost below `quorum` minus this, and met again from `quorum` plus this on",
		reload: Live,
	}
}

// Stays reports whether real servers that are down keep an entry. With mh the clients of the others then keep their servers:
// ip_vs_mh.c leaves the slots of an entry with weight 0, and fills them anew if one is deleted, in the order in which entries
// were added. With persistence the kernel would go on sending known clients to it.
func (v VirtualServer) Stays() bool {
	return v.Scheduler == "mh" && v.Persistence == nil && v.OnFailure != Expire
}

// RefusesAtZero reports whether the scheduler refuses the clients whose server has an entry with weight 0: those that choose by a
// hash then choose no other one (ip_vs_sh.c, ip_vs_mh.c, ip_vs_dh.c).
func (v VirtualServer) RefusesAtZero() bool {
	return v.Scheduler == "dh" || hashes(v.Scheduler) && !v.SchedulerFlags.Fallback
}

// checkOnFailure compares what happens to connections of a server that is down with the scheduler.
func (s *virtualServer) checkOnFailure(o object) {
	if v, given := o.fields["inhibit_on_failure"]; given && s.inhibit != (s.OnFailure == Drain) && s.OnFailure != "" {
		v.fail("remove one of them", "contradicts on_failure: %s", s.OnFailure)
		return
	}
	if s.Stays() {
		s.checkRemoved(o)
	}
	if !s.RefusesAtZero() {
		return
	}
	hint := "add scheduler_flags: [fallback]"
	if s.Scheduler == "dh" {
		hint = "use another scheduler"
	}
	if at, keeps := s.keptWithZero(o); keeps {
		at.fail(hint, "with %s alone, clients are refused while a server has an entry with weight 0", s.Scheduler)
		return
	}
	if s.Stays() {
		const hint = "add scheduler_flags: [fallback], or on_failure: expire"
		if len(s.sorry) > 0 {
			o.locate("sorry_server").fail(hint, "with mh alone, the clients of real servers that are down are refused instead of going to it")
		}
		if i := slices.IndexFunc(s.servers, func(rs placed[realServer]) bool { return rs.v.Role == Standby }); i >= 0 {
			s.servers[i].at.locate("standby").fail(hint, "with mh alone, the clients of real servers that are down are refused instead of going to it")
		}
	}
}

// checkRemoved rejects that the entries of real servers which stay should be removed.
func (s *virtualServer) checkRemoved(o object) {
	reject := func(at object, inhibit bool) {
		if v, given := at.fields["inhibit_on_failure"]; given && !inhibit && v.node.ShortTag() == "!!bool" {
			v.fail("write on_failure: expire in the virtual server, or remove it", "has no effect with mh, whose real servers keep their entries when they are down")
		}
	}
	reject(o, s.inhibit)
	for _, rs := range s.servers {
		reject(rs.at, rs.v.Inhibit)
	}
}

// keptWithZero returns what makes a server that is down, or not needed, keep an entry with weight 0. That all real servers stay
// does not count.
func (s *virtualServer) keptWithZero(o object) (value, bool) {
	for _, rs := range s.members() {
		if _, own := rs.at.fields["inhibit_on_failure"]; !rs.v.Inhibit || s.Stays() && rs.v.Role != Sorry {
			continue
		} else if own {
			return rs.at.locate("inhibit_on_failure"), true
		}
		if s.OnFailure == Drain {
			return o.locate("on_failure"), true
		}
		return o.locate("inhibit_on_failure"), true
	}
	return value{}, false
}

// checkSlowStart rejects a slow start that the scheduler or the weights do not allow.
func (s *virtualServer) checkSlowStart(o object) {
	if s.SlowStart == 0 {
		return
	}
	at := o.locate("slow_start")
	switch {
	case s.SlowStart < time.Second:
		at.fail("", "%s is out of range: 0s, or 1s to %s", span(s.SlowStart), span(maxSlowStart))
	case slices.Contains([]string{"rr", "lc", "dh"}, s.Scheduler):
		at.fail("use wlc", "%s ignores weights, and with them a slow start", s.Scheduler)
	case s.Scheduler == "nq":
		at.fail("use sed or wlc", "nq gives a connection to a real server that has none, whatever its weight")
	case slices.Contains([]string{"lblc", "lblcr"}, s.Scheduler):
		at.fail("use wlc", "%s chooses by the address that clients connect to, which is always the same here", s.Scheduler)
	case hashes(s.Scheduler):
		at.fail("remove it, or use another scheduler", "with %s each step of a slow start would give clients of other servers another one", s.Scheduler)
	case slices.Contains([]string{"fo", "ovf"}, s.Scheduler):
		at.fail("remove it, or use another scheduler", "the weights of %s are no shares of the connections", s.Scheduler)
	case s.Scheduler == "wrr": // net/netfilter/ipvs/ip_vs_wrr.c, ip_vs_wrr_dest_changed
		at.warn("use wlc, unless many more connections than there are real servers come in each step", "with each step wrr begins its round again, with the real server that came last")
	}
	for _, rs := range s.servers {
		if rs.v.Weight == 1 && !rs.v.WeightByCheck() {
			rs.at.locate("weight").fail("give all real servers of the virtual server larger weights, such as 100", "a slow start has no smaller weight than 1")
			return
		}
	}
}

// checkQuorum rejects a quorum that is never met, or never lost.
func (s *virtualServer) checkQuorum(o object) {
	if len(s.servers) == 0 {
		return
	}
	quorum, total := max(s.Quorum, 1), 0
	for _, rs := range s.servers {
		if rs.v.WeightByCheck() {
			total = math.MaxInt32
			break
		}
		total += rs.v.Weight
	}
	switch {
	case quorum > total && quorum > 1: // otherwise all weights are 0, which is warned about
		o.locate("quorum").fail("", "%d is never met: the weights of all real_servers are %d", s.Quorum, total)
	case s.Hysteresis >= quorum:
		o.locate("hysteresis").fail("", "%d is not less than the quorum, which is %d: it would never be lost while a server is up", s.Hysteresis, quorum)
	case s.Hysteresis > 0 && quorum+s.Hysteresis > total:
		o.locate("hysteresis").fail("", "the quorum would never be met again: it would need %d, and the weights of all real_servers are %d", quorum+s.Hysteresis, total)
	}
}

// WeightByCheck reports whether a check gives the real server its weight.
func (r RealServer) WeightByCheck() bool { return slices.ContainsFunc(r.Checks, Check.setsWeight) }

// setsWeight reports whether a check gives its real server a weight.
func (c Check) setsWeight() bool {
	k, can := c.Kind.(interface{ setsWeight() bool })
	return can && k.setsWeight()
}
