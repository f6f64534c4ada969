package priority

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// group are tracks of one director that have the same effect on an instance.
type group struct {
	names []string
	use   config.TrackUse // of each of them
	kind  config.CheckType
	gate  bool
}

// effect is that of so many of the tracks in the bad state, and the others in the good one.
func (g group) effect(bad int) Effect {
	good := Of(g.use, g.kind, g.gate, Result{Known: true, Up: !g.use.Reverse, Value: g.value(false)})
	wrong := Of(g.use, g.kind, g.gate, Result{Known: true, Up: g.use.Reverse, Value: g.value(true)})
	return Effect{
		Points: bad*wrong.Points + (len(g.names)-bad)*good.Points,
		Fault:  bad > 0 && wrong.Fault, Shut: bad > 0 && wrong.Shut,
	}
}

// value is the number in a file. Any number is possible; the one that is wrong is taken to be 1.
func (g group) value(wrong bool) int {
	if wrong != g.use.Reverse {
		return 1
	}
	return 0
}

// router is a director in the election of one instance.
type router struct {
	name       string
	address    netip.Addr
	configured uint8
	preempt    bool
	deaf       time.Duration // deaf_delay
	groups     []group
	tracksAt   config.Position
	priorityAt config.Position
}

// world is one instance on all directors of a file.
type world struct {
	instance config.Instance
	routers  []router
}

// state is, for each router and each of its groups, how many tracks are in the bad state.
type state [][]int

// standing is a router in a state.
type standing struct {
	priority    uint8
	fault, shut bool
}

func worldOf(cfg *config.Config, i config.Instance) world {
	w := world{instance: i}
	for _, d := range cfg.Directors {
		for _, own := range cfg.ForNode(d.Name).Instances {
			if own.Name != i.Name {
				continue
			}
			w.routers = append(w.routers, router{
				name: d.Name, address: i.SourceOn(d), configured: own.Priority,
				preempt: own.Preempt || own.Priority == Owner, deaf: own.DeafDelay, groups: groupsOf(cfg, own), tracksAt: own.TracksAt, priorityAt: own.PriorityAt,
			})
		}
	}
	return w
}

func groupsOf(cfg *config.Config, i config.Instance) []group {
	var all []group
	for _, use := range i.Tracks {
		one := group{names: []string{use.Name}, use: use}
		if at := slices.IndexFunc(cfg.Tracks, func(t config.Track) bool { return t.Name == use.Name }); at >= 0 {
			one.kind, one.gate = cfg.Tracks[at].Type(), cfg.Tracks[at].Gate
		}
		same := slices.IndexFunc(all, func(g group) bool {
			return g.use.Weight == use.Weight && g.use.Reverse == use.Reverse && g.gate == one.gate && (g.kind == config.File) == (one.kind == config.File)
		})
		if same >= 0 {
			all[same].names = append(all[same].names, use.Name)
			continue
		}
		all = append(all, one)
	}
	return all
}

// combinations is the number of states, at most limit + 1.
func (w world) combinations(limit int) int {
	n := 1
	for _, r := range w.routers {
		for _, g := range r.groups {
			if n *= len(g.names) + 1; n > limit {
				return limit + 1
			}
		}
	}
	return n
}

// each calls f for all states, that with everything in order first. f must not keep the state.
func (w world) each(f func(state)) {
	s := make(state, len(w.routers))
	for n, r := range w.routers {
		s[n] = make([]int, len(r.groups))
	}
	for {
		f(s)
		if !w.advance(s) {
			return
		}
	}
}

func (w world) advance(s state) bool {
	for n := len(s) - 1; n >= 0; n-- {
		for g := len(s[n]) - 1; g >= 0; g-- {
			if s[n][g]++; s[n][g] <= len(w.routers[n].groups[g].names) {
				return true
			}
			s[n][g] = 0
		}
	}
	return false
}

func (w world) standings(s state) []standing {
	all := make([]standing, len(w.routers))
	for n, r := range w.routers {
		points := 0
		for g, bad := range s[n] {
			e := r.groups[g].effect(bad)
			points += e.Points
			all[n].fault, all[n].shut = all[n].fault || e.Fault, all[n].shut || e.Shut
		}
		all[n].priority = Effective(r.configured, points)
	}
	return all
}

// nobody is the index of no router.
const nobody = -1

// next returns who is MASTER in the end if a router, or nobody, is MASTER now: RFC 9568, section 6.4. A router of the same
// priority takes nothing from a MASTER.
func (w world) next(master int, all []standing) int {
	if master != nobody && all[master].fault {
		master = nobody
	}
	for {
		best := master
		for n, s := range all {
			preempts := master == nobody || w.routers[n].preempt && s.priority > all[master].priority
			if n != master && preempts && !s.fault && !s.shut && (best == master || w.outranks(n, best, all)) {
				best = n
			}
		}
		if best == master {
			return master
		}
		master = best
	}
}

// outranks reports whether a router wins over another one if both try to become MASTER.
func (w world) outranks(n, other int, all []standing) bool {
	if all[n].priority != all[other].priority {
		return all[n].priority > all[other].priority
	}
	return w.routers[n].address.Compare(w.routers[other].address) > 0
}

// masters returns who may be MASTER in a state: the possible results of next.
func (w world) masters(all []standing) []int {
	var possible []int
	for master := nobody; master < len(all); master++ {
		if n := w.next(master, all); !slices.Contains(possible, n) {
			possible = append(possible, n)
		}
	}
	slices.Sort(possible)
	return possible
}

// weights describes what a group of tracks does: "db -20".
func (g group) String() string {
	names := strings.Join(g.names, ", ")
	switch {
	case g.gate:
		return names + ": not MASTER while down"
	case g.kind == config.File && g.use.Weight != 0:
		return fmt.Sprintf("%s: the number times %d", names, signed(g.use.Weight, g.use.Reverse))
	case g.use.Weight == 0 && g.use.Reverse:
		return names + ": FAULT while up"
	case g.use.Weight == 0:
		return names + ": FAULT while down"
	case g.use.Weight > 0:
		return fmt.Sprintf("%s: %+d while up", names, signed(g.use.Weight, g.use.Reverse))
	}
	return fmt.Sprintf("%s: %+d while down", names, signed(g.use.Weight, g.use.Reverse))
}
