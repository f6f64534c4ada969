package config

import "time"

// Announcements are when a MASTER announces its virtual addresses to the machines on its network, and when it asks them
// whether another one has these addresses.
type Announcements struct {
	Repeat              int           // announcements of an address after a take-over, at least 1
	Delay               time.Duration // from one to the next
	LowerPriorityRepeat int           // likewise, after an advert of a MASTER of lower priority
	LowerPriorityDelay  time.Duration
	Refresh             time.Duration // after which the addresses are announced again; 0: never
	RefreshRepeat       int           // announcements of an address then, at least 1
	Interval            time.Duration // the least time from one announcement on the interface to the next; 0: none
	ConflictCheck       time.Duration // after which the next address is asked for; 0: never
}

const (
	maxRepeat  = 100
	minDelay   = 100 * time.Millisecond
	maxDelay   = 255 * time.Second
	minRefresh = time.Second
	maxRefresh = 24 * time.Hour
	maxPause   = time.Second
	minCheck   = time.Second
	maxCheck   = time.Hour
)

// DefaultAnnouncements are those of a cluster file without the key.
//
// Five times within 5 s, as keepalived. Not 5 at once: Linux neighbours before 4.14 ignore a change within 1 s of the last
// one (net.ipv4.neigh.default.locktime), and a switch may still be learning. Once a minute, because switches forget the
// hardware address of a MASTER that only answers.
func DefaultAnnouncements() Announcements {
	return Announcements{
		Repeat: 5, Delay: 1100 * time.Millisecond, LowerPriorityRepeat: 5, LowerPriorityDelay: 1100 * time.Millisecond,
		Refresh: time.Minute, RefreshRepeat: 1, ConflictCheck: 10 * time.Second,
	}
}

func announcementsSection() *sectionOf[Announcements] {
	def := DefaultAnnouncements()
	s := &sectionOf[Announcements]{section: section{
		name: "announcements", part: true, what: "a mapping with repeat, delay, refresh and others",
		intro: "A MASTER announces its virtual addresses by gratuitous ARP, so that other machines and switches learn where they are.\n" +
			"After a take-over each is announced at once and then `repeat` − 1 times more; after the silence of a MASTER, which\n" +
			"may answer until the end of its lease, until 2 seconds after that. See\n" +
			"[operations.md](operations.md#announcements-of-the-vips).",
	}}
	number := func(name string, in func(*Announcements) *int, def int, doc, keyword string) *field[Announcements, int] {
		return &field[Announcements, int]{
			name: name, kind: wholeNumber[int](1, maxRepeat), in: in, def: def, doc: doc, reload: Live, words: keywords(keyword),
		}
	}
	pause := func(name string, k kind[time.Duration], in func(*Announcements) *time.Duration, def time.Duration, doc string, words ...string) *field[Announcements, time.Duration] {
		f := &field[Announcements, time.Duration]{name: name, kind: k, in: in, def: def, doc: doc, reload: Live}
		if len(words) > 0 {
			f.words = keywords(words...)
		}
		return f
	}
	lowerRepeat := number("lower_priority_repeat", func(a *Announcements) *int { return &a.LowerPriorityRepeat }, 0,
		"the same after an advert of a MASTER of lower priority, which until then had the addresses as well", "garp_lower_prio_repeat")
	lowerRepeat.defOf, lowerRepeat.unset = func(a *Announcements) int { return a.Repeat }, "`repeat`"
	lowerDelay := pause("lower_priority_delay", durationIn(minDelay, maxDelay), func(a *Announcements) *time.Duration { return &a.LowerPriorityDelay }, 0,
		"from one of these to the next; the second one comes after at most `300ms`, because the other MASTER may have answered until then", "garp_lower_prio_delay")
	lowerDelay.defOf, lowerDelay.unset = func(a *Announcements) time.Duration { return a.Delay }, "`delay`"
	s.fields = []key[Announcements]{
		number("repeat", func(a *Announcements) *int { return &a.Repeat }, def.Repeat, "how often an address is announced after a take-over", "garp_master_repeat"),
		pause("delay", durationIn(minDelay, maxDelay), func(a *Announcements) *time.Duration { return &a.Delay }, def.Delay,
			"from one of these to the next. Some neighbours ignore a change within `1s` of the last one", "garp_master_delay"),
		lowerRepeat, lowerDelay,
		pause("refresh", neverOr(minRefresh, maxRefresh), func(a *Announcements) *time.Duration { return &a.Refresh }, def.Refresh,
			"after which the addresses are announced again, for switches that have forgotten them; `0s`: never", "garp_master_refresh"),
		number("refresh_repeat", func(a *Announcements) *int { return &a.RefreshRepeat }, def.RefreshRepeat, "how often an address is announced then", "garp_master_refresh_repeat"),
		pause("interval", durationIn(0, maxPause), func(a *Announcements) *time.Duration { return &a.Interval }, def.Interval,
			"the least time between two announcements on the interface, for switches that limit ARP. After an event the first one of each address is sent at once; the repetitions are spread",
			"garp_interval", "gna_interval"),
		pause("conflict_check", neverOr(minCheck, maxCheck), func(a *Announcements) *time.Duration { return &a.ConflictCheck }, def.ConflictCheck,
			"how often a MASTER asks for one of its addresses, each in turn, to find another machine that has it (an ARP probe, RFC 5227); `0s`: never"),
	}
	return s.build()
}

// keywords are keepalived's keywords for a key of the section. The reference lists them where keepalived has them.
func keywords(names ...string) []word {
	return []word{{names: names, message: "is keepalived's word"}}
}

// neverOr is 0 or a duration from low to high.
func neverOr(low, high time.Duration) kind[time.Duration] {
	return durationOf("duration, `0s` or `"+span(low)+"` to `"+span(high)+"`", func(v value) time.Duration {
		if d, err := time.ParseDuration(v.node.Value); err == nil && d == 0 {
			return 0
		}
		d, _ := v.duration(low, high)
		return d
	})
}

func announcementFields() []key[instance] {
	return []key[instance]{announcementsField(announcementsSection())}
}

func announcementsField(s *sectionOf[Announcements]) key[instance] {
	return &field[instance, Announcements]{
		name: "announcements", in: func(i *instance) *Announcements { return &i.Announcements }, def: DefaultAnnouncements(),
		kind: kind[Announcements]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) Announcements {
				a := DefaultAnnouncements()
				if o, ok := v.object(&s.section); ok {
					s.take(o, &a)
				}
				return a
			},
		},
		unset: "see below", doc: "when the virtual addresses are announced; in `per_node` the whole mapping", perNode: perNode,
		words: []word{
			keepalived("garp_master_repeat").write("`announcements: {repeat: 5}`"),
			keepalived("garp_master_delay").write("`announcements: {delay: 1.1s}`"),
			keepalived("garp_lower_prio_repeat").write("`announcements: {lower_priority_repeat: 5}`"),
			keepalived("garp_lower_prio_delay").write("`announcements: {lower_priority_delay: 1.1s}`"),
			keepalived("garp_master_refresh").write("`announcements: {refresh: 60s}`"),
			keepalived("garp_master_refresh_repeat").write("`announcements: {refresh_repeat: 1}`"),
			keepalived("garp_interval", "gna_interval", "vrrp_garp_interval", "vrrp_gna_interval").write("`announcements: {interval: 10ms}`"),
			keepalived("vrrp_min_garp").write("`announcements: {repeat: 1}`"),
		},
	}
}
