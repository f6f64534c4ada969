package priority

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// A circle is a track whose result depends on who is MASTER of the instance that depends on it.
type circle struct {
	track string
	at    config.Position
	what  string
	// up is its result on a director while another one is MASTER, or nobody.
	up func(director, master int) bool
	// blind: the same, if a MASTER does not reach its own addresses; nil: that makes no difference.
	blind func(director, master int) bool
	spare bool // it is up without that address, too
	// stuck says that nobody becomes MASTER, useless that the virtual addresses move as if the track were not there.
	stuck, useless, hint string
}

// circular returns the tracks of the instances whose results depend on their own MASTER, and what comes of that: the
// virtual addresses move for ever, or nobody becomes MASTER, or the track decides nothing.
func circular(cfg *config.Config) config.Problems {
	var all config.Problems
	for _, i := range cfg.Instances {
		w := worldOf(cfg, i)
		for _, c := range w.circles(cfg) {
			f := w.comesOf(c)
			warning := cfg.Problem(c.at, f.text, f.hint)
			warning.Warning = true
			all = append(all, warning)
		}
	}
	return all
}

// circles returns the circles of an instance, those of each track once.
func (w world) circles(cfg *config.Config) []circle {
	var all []circle
	moving := movingWith(cfg, w.instance)
	for _, t := range cfg.Tracks {
		c, is := w.circle(t, moving)
		if at, used := w.place(t.Name); used && is {
			c.at = at
			all = append(all, c)
		}
	}
	return all
}

// circle returns the circle of a track.
func (w world) circle(t config.Track, moving map[netip.Addr]string) (c circle, is bool) {
	asked, least := targets(t)
	others := 0
	for _, one := range asked {
		whose, own := moving[one]
		to, routed := w.routeTo(one)
		switch {
		case is && (own || routed): // the first one is named
		case own:
			c, is = ownAddress(t.Name, one, whose), true
		case routed:
			c, is = ownRoute(t.Name, one, to), true
		default:
			others++
		}
	}
	c.spare = others >= least
	return c, is
}

// place returns where the file names a track of the instance.
func (w world) place(track string) (at config.Position, used bool) {
	for _, r := range w.routers {
		for _, g := range r.groups {
			if slices.Contains(g.names, track) {
				return r.tracksAt, true
			}
		}
	}
	return at, false
}

// ownAddress is the circle of a track that asks a virtual address, which somebody answers only while there is a MASTER.
func ownAddress(track string, asked netip.Addr, whose string) circle {
	return circle{
		track: track, what: fmt.Sprintf("%s asks the virtual address %s of %s", track, asked, whose),
		up:      func(_, master int) bool { return master != nobody },
		blind:   func(director, master int) bool { return master != nobody && master != director },
		stuck:   "nobody answers there before a director is MASTER, and none becomes MASTER before somebody answers",
		useless: "the MASTER answers, whoever that is, so that it says nothing about a single director",
		hint:    "let the track ask 127.0.0.1, or an address of its own",
	}
}

// ownRoute is the circle of a track that asks an address to which only the MASTER has a route.
func ownRoute(track string, asked netip.Addr, to netip.Prefix) circle {
	return circle{
		track: track, what: fmt.Sprintf("%s asks %s by the route to %s of this instance, which only the MASTER has", track, asked, to),
		up:      func(director, master int) bool { return master == director },
		stuck:   "unless they have another one, no director becomes MASTER",
		useless: "it says who is MASTER, not who should be",
		hint:    "let the track ask an address that a BACKUP reaches, too",
	}
}

// comesOf says what a circle leads to, with all other tracks in order.
func (w world) comesOf(c circle) finding {
	return finding{text: c.what + ": " + w.outcome(c), hint: c.hint}
}

func (w world) outcome(c circle) string {
	if c.spare {
		return c.useless
	}
	switch end, settles := w.settle(c, c.up, nobody); {
	case !settles:
		return "each director that becomes MASTER gives the virtual addresses up for that reason, and they move for ever"
	case end == nobody:
		return c.stuck
	case c.blind == nil:
		return c.useless
	}
	for master := nobody; master < len(w.routers); master++ {
		if _, settles := w.settle(c, c.blind, master); !settles {
			return "a MASTER that does not reach it on itself gives way to another director, and takes over again when that one answers, for ever"
		}
	}
	return c.useless
}

// settle returns who is MASTER in the end, if that ends.
func (w world) settle(c circle, up func(director, master int) bool, master int) (end int, settles bool) {
	seen := map[int]bool{}
	for !seen[master] {
		seen[master] = true
		s := w.inOrder()
		for n, r := range w.routers {
			for g, one := range r.groups {
				if slices.Contains(one.names, c.track) && up(n, master) == one.use.Reverse {
					s[n][g] = 1
				}
			}
		}
		next := w.next(master, w.standings(s))
		if next == master {
			return master, true
		}
		master = next
	}
	return nobody, false
}

// movingWith returns the virtual addresses that move with an instance, and whose they are.
func movingWith(cfg *config.Config, i config.Instance) map[netip.Addr]string {
	moving := map[netip.Addr]string{}
	for _, g := range cfg.SyncGroups {
		if !slices.Contains(g.Instances, i.Name) {
			continue
		}
		for _, other := range cfg.Instances {
			if slices.Contains(g.Instances, other.Name) {
				for _, p := range other.Held() {
					moving[p.Addr()] = other.Name + ", which is in its sync group"
				}
			}
		}
	}
	for _, p := range i.Held() {
		moving[p.Addr()] = "this instance"
	}
	return moving
}

// routeTo returns the route of the instance that leads to an address. A default route is none: the address may be on a network
// of the directors.
func (w world) routeTo(asked netip.Addr) (netip.Prefix, bool) {
	for _, r := range w.instance.Routes {
		if r.Destination.Bits() > 0 && r.Destination.Contains(asked) {
			return r.Destination, true
		}
	}
	return netip.Prefix{}, false
}

// targets returns the addresses that a track asks, and how many of them must answer.
func targets(t config.Track) (asked []netip.Addr, least int) {
	if g, is := t.Check.Kind.(config.GatewayCheck); is {
		return g.Targets.List(), g.AtLeast
	}
	if t.Address.IsValid() {
		return []netip.Addr{t.Address}, 1
	}
	return nil, 0
}
