package vrrp

import "time"

type (
	// Deaf says that the link of this director has just come up, and that no other machine has been heard on it yet: a switch
	// port that still learns, or a bond that has no active slave, has a carrier and delivers nothing. A director that becomes
	// MASTER because it hears nothing takes the VIPs from the MASTER as soon as the link works, also without preempt. So it
	// does not become MASTER before For has passed, or there is a Hearing, or an advert. One that is MASTER stays MASTER. A
	// For of 0 or less does nothing; one that ends a wait earlier shortens it.
	Deaf struct{ For time.Duration }

	// Hearing says that a packet of another machine has been received on the link: it works. It ends what Deaf has begun.
	Hearing struct{}
)

func (Deaf) event()    {}
func (Hearing) event() {}

func (e Deaf) String() string  { return "deaf for=" + e.For.String() }
func (Hearing) String() string { return "hearing" }

// deafness is what a machine remembers of Deaf.
type deafness struct {
	// Deaf: since Since no other machine has been heard. This director does not become MASTER before Until.
	Deaf  bool          `json:"deaf"`
	Since time.Duration `json:"since"`
	Until time.Duration `json:"until"`
}

func (m *Machine) deafen(most time.Duration) {
	s := &m.mem
	if most > 0 && s.State != Master {
		since := s.Now
		if s.Hears.Deaf && s.Now+most < s.Hears.Until {
			since = s.Hears.Since
		}
		s.Hears = deafness{Deaf: true, Since: since, Until: s.Now + most}
	}
}

// hear ends the wait for a link that works. While it did not, no MASTER could be heard: it is listened for anew.
func (m *Machine) hear() {
	s := &m.mem
	waited := s.Hears.Deaf
	s.Hears = deafness{}
	if waited && (s.State == Backup || s.State == Fault && !s.Faulted) && s.Cause == CauseAlone {
		s.DownFrom, s.Extended = s.Now, false
	}
}

// deafUntil is before when a director that has heard no other machine does not become MASTER; 0 if it has, or if that does not
// matter.
func (m *Machine) deafUntil() time.Duration {
	if !m.mem.Hears.Deaf {
		return 0
	}
	return m.mem.Hears.Until
}

// DeafFor returns for how long, at now, no other machine has been heard since the link came up, at least 1; 0 if one has, or if
// that is not known because there was no Deaf. waits reports whether this director would be MASTER otherwise, or soon.
func (m *Machine) DeafFor(now time.Duration) (since time.Duration, waits bool) {
	s := &m.mem
	if !s.Hears.Deaf || s.State == Init {
		return 0, false
	}
	return max(now-s.Hears.Since, 1), m.waitsToHear()
}

// waitsToHear reports whether this director does not become MASTER now because it has heard nobody.
func (m *Machine) waitsToHear() bool {
	s := &m.mem
	return (s.State == Backup || s.State == Fault && !s.Faulted) && s.Now < m.deafUntil()
}
