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

// Steadiness is what interfaces with an interface_up_delay or interface_down_delay count as, by their instances. It is
// immutable, and its Next reads no clock. nil has no instances, for which each change counts at once.
type Steadiness map[config.InstanceID]steady

// steady is the state of one interface. The zero value is that of one without delays.
type steady struct {
	debounce  health.Debounce
	works     bool      // it is up and has a carrier
	unsettled bool      // it has no carrier, or had none less than steadyAfter ago, and that did not count
	back      time.Time // since when it has one again, while unsettled; zero: it has none
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
		s.back, s.unsettled = time.Time{}, false
	case !works:
		s.back, s.unsettled = time.Time{}, true
	case s.unsettled && s.back.IsZero():
		s.back = now
	}
	if !s.back.IsZero() && now.Sub(s.back) >= steadyAfter {
		s.back, s.unsettled = time.Time{}, false
	}
	s.works = works
	wait := time.Duration(0)
	if due, pending := s.debounce.Due(); pending {
		wait = max(due.Sub(now), 1)
	}
	if !s.back.IsZero() && (wait == 0 || s.back.Add(steadyAfter).Sub(now) < wait) {
		wait = s.back.Add(steadyAfter).Sub(now)
	}
	return s, wait
}

// bridges reports whether a link has no carrier, and that does not count yet.
func (s steady) bridges(l Link) bool {
	up, known := s.debounce.Up()
	return known && up && l.NoCarrier
}

// returning reports whether the interface has its carrier again, and that does not count yet.
func (s steady) returning() bool {
	up, known := s.debounce.Up()
	return known && !up && s.works
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
