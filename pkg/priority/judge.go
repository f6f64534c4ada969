package priority

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// mostStates limits how many states of the tracks of an instance are looked at.
const mostStates = 1 << 12

// Warnings returns what is wrong with the priorities, weights and tracks of the instances of a valid file: equal
// priorities, weights that never move a virtual address, tracks that depend on it. A file with one director has no such problems.
func Warnings(cfg *config.Config) config.Problems {
	var all config.Problems
	for _, i := range cfg.Instances {
		w := worldOf(cfg, i)
		if len(w.routers) < 2 || w.combinations(mostStates) > mostStates {
			continue
		}
		for _, f := range w.idle() {
			p := cfg.Problem(f.at, f.text, f.hint)
			p.Warning = true
			all = append(all, p)
		}
	}
	var unique config.Problems // the tracks of a sync group are those of each of its instances
	for _, p := range slices.Concat(all, undecided(cfg), circular(cfg), slowGates(cfg)) {
		if !slices.Contains(unique, p) {
			unique = append(unique, p)
		}
	}
	return unique
}

// finding is something wrong with the tracks that the file names at a place.
type finding struct {
	text, hint string
	at         config.Position
}

// idle returns the weights that never decide who is MASTER.
func (w world) idle() []finding {
	decides, reached := w.decisive()
	var all []finding
	for n, r := range w.routers {
		for g, one := range r.groups {
			if one.use.Weight == 0 || one.gate || one.kind == config.File || decides[n][g] || !reached[n] || r.configured == Owner {
				continue
			}
			f := w.why(n, one)
			f.at = r.tracksAt
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// decisive returns, for each router and each of its groups, whether there is a state in which the router is MASTER, and
// is not if one more track of the group goes bad; and whether a router is MASTER in any state without faults.
func (w world) decisive() (decides [][]bool, reached []bool) {
	decides, reached = make([][]bool, len(w.routers)), make([]bool, len(w.routers))
	for n, r := range w.routers {
		decides[n] = make([]bool, len(r.groups))
	}
	w.each(func(s state) {
		all := w.standings(s)
		if slices.ContainsFunc(all, func(one standing) bool { return one.fault }) {
			return // a fault decides, not a weight
		}
		for n := range w.routers {
			if w.next(n, all) != n {
				continue
			}
			reached[n] = true
			for g := range s[n] {
				if s[n][g] < len(w.routers[n].groups[g].names) {
					s[n][g]++
					decides[n][g] = decides[n][g] || w.next(n, w.standings(s)) != n
					s[n][g]--
				}
			}
		}
	})
	return decides, reached
}

// why says why a weight does not decide.
func (w world) why(n int, g group) finding {
	r := w.routers[n]
	what := fmt.Sprintf("the weight %d of %s never takes the virtual addresses from %s: ", g.use.Weight, strings.Join(g.names, ", "), r.name)
	var keeps []string
	best := -1
	all := w.standings(w.inOrder())
	for o, other := range w.routers {
		switch {
		case o == n:
		case !other.preempt:
			keeps = append(keeps, other.name)
		default:
			best = max(best, int(all[o].priority))
		}
	}
	if best < 0 {
		return finding{
			text: what + "with preempt: false " + strings.Join(keeps, " and ") + " does not take over from a MASTER of lower priority",
			hint: "leave the weight out, so that a failure is a FAULT; or write preempt: true",
		}
	}
	least := Effective(r.configured, w.worst(n))
	return finding{
		text: what + fmt.Sprintf("its priority is at least %d, and that of another director at most %d", least, best),
		hint: fmt.Sprintf("the weights must be larger than the difference of the priorities, %d; or leave the weight out, so that a failure is a FAULT", int(all[n].priority)-best),
	}
}

// inOrder is the state in which all tracks are good.
func (w world) inOrder() state {
	s := make(state, len(w.routers))
	for n, r := range w.routers {
		s[n] = make([]int, len(r.groups))
	}
	return s
}

// worst are the points of a router whose tracks are all bad.
func (w world) worst(n int) int {
	points := 0
	for _, g := range w.routers[n].groups {
		points += g.effect(len(g.names)).Points
	}
	return points
}

// slowGates returns the tracks that find out that a director is cut off only after it has taken over for that reason.
func slowGates(cfg *config.Config) config.Problems {
	var all config.Problems
	for _, i := range cfg.Instances {
		silence := time.Duration(i.Variants.DownTimerAdverts) * i.AdvertInterval // and the skew
		w := worldOf(cfg, i)
		for _, t := range cfg.Tracks {
			finds := time.Duration(t.Check.Fall)*t.Check.Interval + t.Check.Timeout
			at, used := w.place(t.Name)
			if !used || !t.Gate || t.Check.Kind == nil || finds < silence {
				continue
			}
			warning := cfg.Problem(at, fmt.Sprintf(
				"%s finds a failure after up to %s (fall × interval + timeout), and a director that is cut off takes over after %s without adverts: it would be MASTER by then", t.Name, finds, silence),
				"a shorter interval and timeout, or fall: 1")
			warning.Warning = true
			all = append(all, warning)
		}
	}
	return all
}
