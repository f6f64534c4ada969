package vrrp

import "time"

// Listening is what a BACKUP waits for that has heard no MASTER, or none any more.
type Listening struct {
	// Yes: no MASTER has been heard since this director is BACKUP. After a Startup that says little in the first advert
	// interval; Anew: it was in FAULT, or has lost its VIPs.
	Yes, Anew bool
	// Overdue: the master-down timer has expired, but a delay has not.
	Overdue bool
}

// Listening returns that at now. stays reports whether it does not change by the passing of time alone.
func (m *Machine) Listening(now time.Duration) (l Listening, stays bool) {
	s := &m.mem
	if s.State != Backup {
		return l, true
	}
	switch s.StateReason.Kind {
	case recovered, lost:
		l.Yes, l.Anew = true, true
	case listening:
		l.Yes = true
	}
	delay := max(s.NotBefore, m.deafUntil())
	l.Overdue = now >= m.downAt() && now < delay
	return l, now >= delay
}
