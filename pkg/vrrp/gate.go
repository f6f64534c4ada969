package vrrp

import "strconv"

// Gate says why this director must not become MASTER, even if there is none: something that it needs for that is missing, or
// not known yet. One that is MASTER stays MASTER. While the gate is shut the election goes on: if the master-down timer has
// expired when the gate opens, or expires within an advert interval, the director waits for one more advert, and then takes
// over: it may have been cut off, and the MASTER's next advert is on its way. An empty Reason opens the gate, which is the
// initial condition of a machine. The sender must limit how long something may be unknown.
type Gate struct{ Reason string }

func (Gate) event() {}

func (e Gate) String() string { return "gate " + strconv.Quote(e.Reason) }

// shut handles Gate.
func (m *Machine) shut(reason string) {
	s := &m.mem
	before := s.Gate
	s.Gate = reason
	if reason != "" && s.StateReason.Kind == gated {
		s.StateReason.Text = reason
	}
	if reason != "" && before == "" {
		m.reconsider()
	}
	if least := s.Now + s.MasterInterval + m.skewTime(); reason == "" && (s.Due || before != "" && s.State == Backup) && m.downAt() < least {
		s.DownFrom += least - m.downAt()
	}
}

// Gate returns why this director must not become MASTER, "" if it may. now reports whether it would be MASTER otherwise.
func (m *Machine) Gate() (reason string, now bool) { return m.mem.Gate, m.mem.Due }
