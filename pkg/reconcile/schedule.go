package reconcile

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const (
	// Linux neighbours before 4.14 ignore a change within locktime of the last one (net.ipv4.neigh.default.locktime,
	// net/ipv4/arp.c).
	locktime = time.Second
	// A peer that stopped sending adverts without resigning may still answer for the VIP until its lease has lapsed; 2 s
	// more cover the kernel's coarse address timer.
	announceAfterLease = 2 * time.Second
	// settled is how long after its last advert a MASTER that gives way may still have answered for the VIPs: it removes
	// them when it has received our advert.
	settled = 300 * time.Millisecond
	// An announcement that is at least stallThreshold late follows a stall, in which the election may have lost the VIPs. It
	// is postponed once by stallDelay, so that the election can release them first.
	stallThreshold = 20 * time.Millisecond
	stallDelay     = 100 * time.Millisecond
	// announceAgainAfter is how long after a failure the next announcement is tried.
	announceAgainAfter = time.Second
)

// schedule says when the VIPs of an instance are announced: pure arithmetic over a monotonic clock. A round announces
// each VIP once. Rounds follow an event (a take-over, a reload, another MASTER), and without one the refresh.
type schedule struct {
	policy  config.Announcements
	at      time.Duration // the next round, or the rest of the current one, is due,
	until   time.Duration // if a round would not begin later than this; otherwise the next one is the refresh
	delay   time.Duration // from one round to the next
	began   time.Duration // when the last round began, and
	dueAt   time.Duration // when it was due; meaningless before the first
	next    int           // the VIP that is next in the round
	left    int           // how many VIPs are left in the round; 0: none has begun
	urgent  bool          // the round answers an event: it is not spread
	follow  bool          // the next round is followed by another after settled
	repeats bool          // at least one round is complete
	waited  bool          // what is due was already postponed
}

// newSchedule schedules the rounds after a take-over at now. The zero policy is the default one.
func newSchedule(policy config.Announcements, now time.Duration) schedule {
	var s schedule
	s.set(policy)
	s.announce(now)
	return s
}

// set changes the policy, from the next round on.
func (s *schedule) set(policy config.Announcements) {
	if s.policy = policy; policy == (config.Announcements{}) {
		s.policy = config.DefaultAnnouncements()
	}
}

// announce schedules a round now, and its repetitions.
func (s *schedule) announce(now time.Duration) { s.rounds(now, s.policy.Repeat, s.policy.Delay) }

// announceAgain is announce for VIPs that were announced before; it respects the time since the last round.
func (s *schedule) announceAgain(now time.Duration) {
	last := s.at
	s.announce(now)
	if s.repeats {
		s.at = max(now, min(last, s.began+s.delay))
	}
}

// outranked schedules the rounds after an advert of a MASTER that gives way to us: now, once more when it no longer
// answers for the VIPs, and repetitions.
func (s *schedule) outranked(now time.Duration) {
	s.rounds(now, s.policy.LowerPriorityRepeat, s.policy.LowerPriorityDelay)
	s.follow = true
}

// hold schedules the same for the end of hold, and nothing before it: a MASTER beside us does not give way.
func (s *schedule) hold(now, hold time.Duration) {
	s.outranked(now + hold)
	s.follow = false
}

// lengthen makes the rounds go on until the time.
func (s *schedule) lengthen(until time.Duration) { s.until = max(s.until, until) }

// rounds schedules n rounds from first on. Half a delay allows for rounds that are late. A round that has begun goes on
// where it is, or many events would keep the last VIPs from being announced.
func (s *schedule) rounds(first time.Duration, n int, delay time.Duration) {
	s.at, s.delay, s.left, s.urgent, s.waited = first, delay, 0, true, false
	s.lengthen(first + time.Duration(n-1)*delay + delay/2)
}

// due returns when a round, or the rest of one, is due; ok is false if none is.
func (s *schedule) due() (at time.Duration, ok bool) {
	switch {
	case s.left > 0 || s.at <= s.until:
		return s.at, true
	case s.policy.Refresh > 0:
		return s.began + s.policy.Refresh, true
	}
	return 0, false
}

// begin prepares a round of n VIPs, or its rest, that is due. It returns false if it was postponed because it is late.
// Each is postponed at most once, and the first round never.
func (s *schedule) begin(now time.Duration, n int) bool {
	due, _ := s.due()
	if s.left == 0 && s.at > s.until {
		s.rounds(due, s.policy.RefreshRepeat, s.policy.Delay)
		s.urgent = false
	}
	if s.repeats && !s.waited && now-due >= stallThreshold {
		s.waited, s.at = true, now+stallDelay
		s.lengthen(s.at)
		return false
	}
	if s.left == 0 {
		s.left, s.began, s.dueAt = n, now, due
	}
	s.next, s.left = s.next%n, min(s.left, n) // a reload may have removed VIPs
	return true
}

// sent records that the next VIP of n was announced. It reports whether the round is complete.
func (s *schedule) sent(n int) bool {
	s.next, s.left = (s.next+1)%n, s.left-1
	return s.left <= 0
}

// failed records that the next VIP of n could not be announced: the round begins anew, with the VIP after it.
func (s *schedule) failed(now time.Duration, n int) {
	s.next, s.left, s.at, s.waited = (s.next+1)%n, n, now+announceAgainAfter, false
}

// rest makes the rest of the round due at a time.
func (s *schedule) rest(at time.Duration) {
	s.at, s.waited = at, false
}

// done records that the round is complete at now. The next is due delay after this one was due, so that delays do not
// accumulate and cost a round, but never within a neighbour's locktime unless the policy asks for that.
func (s *schedule) done(now time.Duration) {
	s.left, s.urgent, s.repeats, s.waited = 0, false, true, false
	s.at = max(s.dueAt+s.delay, s.began+min(s.delay, locktime))
	if s.follow {
		s.at = min(s.at, now+settled)
	}
	s.follow = false
}

// paced reports whether announcements are spread by the policy's interval. Those of an event are not.
func (s *schedule) paced() bool { return s.policy.Interval > 0 && !s.urgent }
