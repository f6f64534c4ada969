package override

import (
	"slices"
	"strings"
	"time"
)

// Set has the last override of each target, sorted by target. It is immutable; the zero value is empty.
type Set struct {
	all []Override
	// beside are drains that are no decisions: they hold as long as their files exist, and are not merged or saved.
	beside []Override
}

// SetOf returns the set of overrides from any source: invalid ones are left out, and of several with one target the last
// decision remains.
func SetOf(all []Override) Set {
	return Set{}.with(all...)
}

// All returns the overrides, also those without effect. The result must not be modified.
func (s Set) All() []Override { return s.all }

// Put returns the set with one more decision, which is later than all others, and that decision with its clock.
func (s Set) Put(o Override, node string, now time.Time) (Set, Override) {
	o.Since, o.Until, o.Patience = plain(now), plain(o.Until), plain(o.Patience)
	o.Clock = Clock{Time: now.UnixMilli(), Node: node}
	for _, other := range s.all {
		o.Clock.Time = max(o.Clock.Time, other.Clock.Time+1)
	}
	return s.with(o), o
}

// plain returns a time as it comes back from a file, in milliseconds.
func plain(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// Merge returns the last decision about each target of either set. It is commutative, associative and idempotent.
func (s Set) Merge(b Set) Set { return s.with(b.all...) }

func (s Set) with(more ...Override) Set {
	last := make(map[Target]Override, len(s.all)+len(more))
	for _, list := range [][]Override{s.all, more} {
		for _, o := range list {
			o.Since, o.Until, o.Patience = plain(o.Since), plain(o.Until), plain(o.Patience)
			if before, known := last[o.Target]; o.Valid() && (!known || before.Compare(o) < 0) {
				last[o.Target] = o
			}
		}
	}
	all := make([]Override, 0, len(last))
	for _, o := range last {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Override) int { return a.Target.Compare(b.Target) })
	return Set{all, s.beside}
}

// Beside returns the set with these drains beside its own, which hold until they are replaced, whatever is decided.
func (s Set) Beside(drains []Override) Set { return Set{s.all, drains} }

// Others returns the drains beside its own.
func (s Set) Others() []Override { return s.beside }

// Of returns the override of a real server that is in effect at a time: the last decision about a target that covers it,
// so that "enable" for all its virtual servers also ends a drain in one of them. ok is false if there is none.
func (s Set) Of(server Server, now time.Time) (o Override, ok bool) {
	for _, one := range s.all {
		if one.Target.Covers(server) && (!ok || o.Compare(one) < 0) {
			o, ok = one, true
		}
	}
	ok = ok && o.Active(now)
	if !ok || o.Kind == Weight {
		for _, one := range s.beside {
			if one.Target.Covers(server) {
				return one, true
			}
		}
	}
	if !ok {
		return Override{}, false
	}
	return o, true
}

// Director returns the override of the director that is in effect at a time.
func (s Set) Director(now time.Time) (Override, bool) {
	at := slices.IndexFunc(s.all, func(o Override) bool { return o.Target.Director() && o.Active(now) })
	if at < 0 {
		return Override{}, false
	}
	return s.all[at], true
}

// Prune returns the set without what has had no effect since a time: ended and expired overrides. Directors that may
// still have an older decision must have merged by then.
func (s Set) Prune(since time.Time) Set {
	kept := slices.DeleteFunc(slices.Clone(s.all), func(o Override) bool { return !o.Active(since) && o.Since.Before(since) })
	return Set{kept, s.beside}
}

// Renamed returns the set with the new names of real servers, "service/server", by the old ones as package config gives
// them. Names that are not in it are kept: a server that a file lacks may come back with the next one.
func (s Set) Renamed(names map[string]string) Set {
	if len(names) == 0 {
		return s
	}
	all := slices.Clone(s.all)
	for n, o := range all {
		for from, to := range names {
			oldService, oldServer, isServer := strings.Cut(from, "/")
			service, server, _ := strings.Cut(to, "/")
			switch {
			case !isServer || o.Target.Director():
			case o.Target == Target{Service: oldService, Server: oldServer}:
				all[n].Target = Target{Service: service, Server: server}
			case o.Target == Target{Server: oldServer}:
				all[n].Target.Server = server
			}
		}
	}
	return SetOf(all).Beside(s.beside)
}
