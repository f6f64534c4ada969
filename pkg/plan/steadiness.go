package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// steadyAfter is for how long an interface must have worked since it lost its carrier until that is no problem any more: one
// that flaps several times a second is not taken for a good one in between.
const steadyAfter = 3 * time.Second

// flapsAfter is how often an interface may lose its carrier in a row, each time less than steadyAfter after it had it again, until
// interface_down_delay does not excuse it any more: any other director serves better.
const flapsAfter = 5

// yieldsAfter is for how long such an interface must have its carrier until the director gives way: the socket for its resignation
// is opened anew when the carrier returns, and the switch port has to forward it.
const yieldsAfter = 200 * time.Millisecond

// Steadiness is what interfaces with an interface_up_delay or interface_down_delay count as, by their instances. It is
// immutable, and its Next reads no clock. nil has no instances, for which each change counts at once.
type Steadiness map[config.InstanceID]steady

// steady is the state of one interface. The zero value is that of one without delays.
type steady struct {
	debounce  health.Debounce
	works     bool      // it is up and has a carrier
	unsettled bool      // it has no carrier, or had none less than steadyAfter ago, and that did not count
	back      time.Time // since when it has one again; zero: it has none, or has had it for so long that losses is 0
	losses    int       // how often in a row it has lost its carrier and had it again, and that did not count
	yields    bool      // any other director serves better, because of the losses
}

// Next returns the steadiness of the interfaces of instances at a time, when the links are these, and when it changes next
// even if they do not; 0: never. Without links, which have not been read, it is the same.
func (s Steadiness) Next(instances []Instance, links []kernel.Link, now time.Time) (next Steadiness, wait time.Duration) {
	if len(links) == 0 {
		return s, 0
	}
	for _, i := range instances {
		delays := i.Config.InterfaceDelays
		if delays == (config.Delays{}) {
			continue
		}
		one, due := s[i.ID].next(delays, links, i.Config.Interface, now)
		if next == nil {
			next = Steadiness{}
		}
		next[i.ID] = one
		if due > 0 && (wait == 0 || due < wait) {
			wait = due
		}
	}
	return next, wait
}

// Equal reports whether two plans that differ only in this are equal.
func (s Steadiness) Equal(other Steadiness) bool { return maps.Equal(s, other) }

func (s Steadiness) of(id config.InstanceID) steady { return s[id] }

// next returns the state after a look at the links. What the kernel takes away with an interface that is removed or set down,
// routes and IPv6 addresses, does not return by itself: that counts at once.
func (s steady) next(delays config.Delays, links []kernel.Link, name string, now time.Time) (steady, time.Duration) {
	at := slices.IndexFunc(links, func(l kernel.Link) bool { return l.Name == name })
	works := at >= 0 && links[at].Up && links[at].Carrier
	down := delays.Down
	if at < 0 || !links[at].Up {
		down = 0
	}
	s.debounce = s.debounce.With(delays.Up, down).Step(now, works)
	up, _ := s.debounce.Up()
	switch {
	case !up:
		s.back, s.unsettled, s.losses, s.yields = time.Time{}, false, 0, false
	case !works:
		s.back, s.unsettled = time.Time{}, true
	case s.unsettled && s.back.IsZero():
		s.back = now
		s.losses++
	}
	if !s.back.IsZero() {
		s.unsettled = now.Sub(s.back) < steadyAfter
		if now.Sub(s.back) >= s.quiet(delays) {
			s.back, s.losses = time.Time{}, 0
		}
	}
	s.yields = s.unsettled && s.flaps() && (s.yields || !works || now.Sub(s.back) >= yieldsAfter)
	s.works = works
	return s, s.wait(delays, now)
}

// wait returns the time until something changes by itself; 0: never.
func (s steady) wait(delays config.Delays, now time.Time) time.Duration {
	wait := time.Duration(0)
	if due, pending := s.debounce.Due(); pending {
		wait = max(due.Sub(now), 1)
	}
	if !s.back.IsZero() {
		least := s.quiet(delays)
		switch {
		case s.flaps() && !s.yields && s.unsettled:
			least = yieldsAfter
		case s.unsettled:
			least = steadyAfter
		}
		if due := s.back.Add(least).Sub(now); wait == 0 || due < wait {
			wait = due
		}
	}
	return wait
}

// flaps reports whether the interface loses its carrier again and again.
func (s steady) flaps() bool { return s.losses >= flapsAfter }

// quiet is for how long the interface must have its carrier until earlier losses do not matter.
func (s steady) quiet(delays config.Delays) time.Duration {
	if s.flaps() {
		return max(steadyAfter, delays.Up)
	}
	return steadyAfter
}

// bridges reports whether a link has no carrier, and that does not count yet.
func (s steady) bridges(l Link) bool {
	up, known := s.debounce.Up()
	return known && up && l.NoCarrier
}

// unready says why a director whose interface works must not preempt, "" if it may.
func (s steady) unready(i config.Instance) string {
	up, known := s.debounce.Up()
	switch {
	case !known || !s.works:
		return ""
	case !up:
		return fmt.Sprintf("the interface %s has lost its carrier, and must keep it for %s (interface_up_delay)", i.Interface, i.InterfaceDelays.Up)
	case s.flaps():
		return fmt.Sprintf("the interface %s has lost its carrier again and again, and must keep it for %s", i.Interface, s.quiet(i.InterfaceDelays))
	case s.unsettled:
		return fmt.Sprintf("the interface %s lost its carrier a moment ago, and must keep it for %s", i.Interface, steadyAfter)
	}
	return ""
}

// unfit says why any other director serves better, "" if none does.
func (s steady) unfit(i config.Instance) string {
	if !s.yields {
		return ""
	}
	return fmt.Sprintf("the interface %s loses its carrier again and again: check its cable and switch port", i.Interface)
}

// sentence says what does not count yet of a loss of the carrier, or did not count and was less than steadyAfter ago.
func (s steady) sentence(i config.Instance, l Link) string {
	up, known := s.debounce.Up()
	switch {
	case !known || !up || !s.unsettled:
		return ""
	case l.NoCarrier:
		return fmt.Sprintf("%s; that counts after %s (interface_down_delay)", l.Fault, i.InterfaceDelays.Down)
	default:
		return fmt.Sprintf("the interface %s lost its carrier a moment ago, for less than %s (interface_down_delay): check its cable and switch port", i.Interface, i.InterfaceDelays.Down)
	}
}
