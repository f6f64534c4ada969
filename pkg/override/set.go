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
	o, ok = s.Last(server)
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

// Last returns the last decision about a target that covers a real server, whether that has an effect or not, without the
// drains beside the set. ok is false if there is none.
func (s Set) Last(server Server) (o Override, ok bool) {
	for _, one := range s.all {
		if one.Target.Covers(server) && (!ok || o.Compare(one) < 0) {
			o, ok = one, true
		}
	}
	return o, ok
}

// Director returns the override of the director that is in effect at a time.
func (s Set) Director(now time.Time) (Override, bool) {
	at := slices.IndexFunc(s.all, func(o Override) bool { return o.Target.Director() && o.Active(now) })
	if at < 0 {
		return Override{}, false
	}
	return s.all[at], true
}

// Prune returns the set without what has had no effect since a time: ended and expired overrides. One that ends an older
// override of another target is kept as long as that, which would have an effect again without it. Directors that may
// still have an older decision must have merged by then.
func (s Set) Prune(since time.Time) Set {
	ends := func(o Override) bool {
		return slices.ContainsFunc(s.all, func(older Override) bool {
			return older.Target.mayOverlap(o.Target) && older.Active(since) && older.Compare(o) < 0
		})
	}
	kept := slices.DeleteFunc(slices.Clone(s.all), func(o Override) bool {
		return !o.Active(since) && o.Since.Before(since) && !ends(o)
	})
	return Set{kept, s.beside}
}

// Renamed returns the set with the new names of real servers, "service/server", by the old ones as package config gives
// them. Names that are not in it are kept: a server that a file lacks may come back with the next one. A target in all
// virtual servers, of which servers are the real servers, gets the new name if all that it names get that; otherwise it
// is kept, and those with a new name have the same override beside it.
func (s Set) Renamed(names map[string]string, servers []Server) Set {
	if len(names) == 0 {
		return s
	}
	var all []Override
	for _, o := range s.all {
		for _, target := range renamed(o.Target, names, servers) {
			o.Target = target
			all = append(all, o)
		}
	}
	return SetOf(all).Beside(s.beside)
}

// renamed returns what a target becomes.
func renamed(t Target, names map[string]string, servers []Server) []Target {
	if t.Director() {
		return []Target{t}
	}
	if t.Service != "" {
		if to, ok := names[t.String()]; ok {
			service, server, _ := strings.Cut(to, "/")
			t = Target{Service: service, Server: server}
		}
		return []Target{t}
	}
	var others []Target // under another name
	same := false       // one is named as before
	for _, one := range servers {
		if one.Name != t.Server {
			continue
		}
		service, server, _ := strings.Cut(names[one.Service+"/"+one.Name], "/")
		if server == "" || server == t.Server {
			same = true
		} else {
			others = append(others, Target{Service: service, Server: server})
		}
	}
	if len(others) == 0 {
		return []Target{t}
	}
	for _, one := range others {
		same = same || one.Server != others[0].Server
	}
	if same {
		return append(others, t)
	}
	return []Target{{Server: others[0].Server}}
}
