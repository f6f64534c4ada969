package reconcile

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const ms = time.Millisecond

// rounds plays a schedule of one VIP, whose rounds are each late by the same time, and returns when they were. events are
// called at their times.
func rounds(s schedule, late, until time.Duration, events map[time.Duration]func(*schedule, time.Duration)) (all []time.Duration) {
	for now := time.Duration(0); now <= until; now += 10 * ms {
		if event := events[now]; event != nil {
			event(&s, now)
		}
		at, ok := s.due()
		if ok && now >= at+late && s.begin(now, 1) {
			s.sent(1)
			s.done(now)
			all = append(all, now)
		}
	}
	return all
}

func in(milliseconds ...time.Duration) []time.Duration {
	for i := range milliseconds {
		milliseconds[i] *= ms
	}
	return milliseconds
}

func TestSchedule(t *testing.T) {
	policy := func(change func(*config.Announcements)) config.Announcements {
		p := config.DefaultAnnouncements()
		change(&p)
		return p
	}
	never := policy(func(p *config.Announcements) { p.Refresh = 0 })
	type events = map[time.Duration]func(*schedule, time.Duration)
	outranked := (*schedule).outranked
	hold := func(s *schedule, now time.Duration) { s.hold(now, 250*ms) }
	for _, c := range []struct {
		name   string
		policy config.Announcements
		silent time.Duration // not 0: after the silence of a peer with this lease
		late   time.Duration
		events events
		until  time.Duration
		want   []time.Duration
	}{
		{name: "a take-over", policy: never, until: time.Hour, want: in(0, 1100, 2200, 3300, 4400)},
		{name: "no policy is the default", until: 70 * time.Second, want: in(0, 1100, 2200, 3300, 4400, 64400)},
		{name: "from a silent peer: until its lease has ended", policy: never, silent: 5 * time.Second, until: time.Hour, want: in(0, 1100, 2200, 3300, 4400, 5500, 6600)},
		{name: "each is a little late, and none is lost", policy: never, late: 10 * ms, until: time.Hour, want: in(10, 1110, 2210, 3310, 4410)},
		{name: "once", policy: policy(func(p *config.Announcements) { p.Repeat, p.Refresh = 1, 10*time.Second }), until: 25 * time.Second, want: in(0, 10000, 20000)},
		{
			name: "a refresh of three", policy: policy(func(p *config.Announcements) {
				p.Repeat, p.Refresh, p.RefreshRepeat, p.Delay = 1, 10*time.Second, 3, time.Second
			}),
			until: 25 * time.Second, want: in(0, 10000, 11000, 12000, 22000, 23000, 24000),
		},
		{
			name: "a MASTER that gives way: at once, and when it has given way", policy: never, until: time.Hour,
			events: events{20000 * ms: outranked}, want: in(0, 1100, 2200, 3300, 4400, 20000, 20300, 21400, 22500, 23600, 24700),
		},
		{
			name: "two adverts of it", policy: never, until: time.Hour,
			events: events{20000 * ms: outranked, 20100 * ms: outranked}, want: in(0, 1100, 2200, 3300, 4400, 20000, 20100, 20400, 21500, 22600, 23700, 24800),
		},
		{
			name: "during the repetitions of a take-over", policy: never, until: time.Hour,
			events: events{2000 * ms: outranked}, want: in(0, 1100, 2000, 2300, 3400, 4500, 5600, 6700),
		},
		{
			name: "twice after a lower priority", policy: policy(func(p *config.Announcements) {
				p.Refresh, p.LowerPriorityRepeat, p.LowerPriorityDelay = 0, 2, 2*time.Second
			}),
			until: time.Hour, events: events{20000 * ms: outranked}, want: in(0, 1100, 2200, 3300, 4400, 20000, 20300, 22300),
		},
		{
			name: "a MASTER that does not give way: when it is silent", policy: never, until: time.Hour,
			events: events{2000 * ms: hold, 2100 * ms: hold, 2200 * ms: hold, 2300 * ms: hold}, want: in(0, 1100, 2550, 3650, 4750, 5850, 6950),
		},
		{
			name: "beside such a MASTER there is no refresh", policy: policy(func(p *config.Announcements) { p.Repeat, p.Refresh = 1, time.Second }), until: 2 * time.Second,
			events: events{900 * ms: hold, 1000 * ms: hold, 1200 * ms: hold}, want: in(0, 1450),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSchedule(c.policy, 0)
			if c.silent > 0 {
				s.lengthen(c.silent + announceAfterLease)
			}
			until := min(c.until, 2*time.Minute)
			if got := rounds(s, c.late, until, c.events); !slices.Equal(got, c.want) {
				t.Errorf("rounds at\n%v, want at\n%v", got, c.want)
			}
		})
	}
}

// A repetition after a stall waits, so that the election can release the VIPs first; the first round does not wait.
func TestRoundAfterAStallWaitsOnce(t *testing.T) {
	s := newSchedule(config.DefaultAnnouncements(), 0)
	send := func(now time.Duration) {
		s.sent(1)
		s.done(now)
	}
	if !s.begin(time.Second, 1) {
		t.Error("the first round waits")
	}
	send(time.Second)
	for _, what := range []string{"a repetition", "another", "another", "another", "the refresh", "the next refresh"} {
		at, _ := s.due()
		inTime := s
		if !inTime.begin(at+stallThreshold-1, 1) {
			t.Errorf("%s in time waits", what)
		}
		woke := at + 2*time.Second
		if s.begin(woke, 1) {
			t.Fatalf("%s that is two seconds late does not wait", what)
		}
		if next, ok := s.due(); !ok || next != woke+stallDelay {
			t.Errorf("%s: next at %s, %t; want it %s after waking", what, next, ok, stallDelay)
		}
		if !s.begin(woke+stallDelay+time.Second, 1) {
			t.Errorf("%s waits twice", what)
		}
		send(woke + stallDelay + time.Second)
		if next, _ := s.due(); next < woke+stallDelay+time.Second+locktime {
			t.Errorf("%s: the next one is at %s, within the locktime of a late one", what, next)
		}
	}
}

// Whatever happens, every VIP is announced in turn, rounds end, and with a refresh there is always a next one.
func TestScheduleComesRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := config.DefaultAnnouncements()
		policy.Repeat, policy.Refresh = rapid.IntRange(1, 6).Draw(t, "repeat"), time.Duration(rapid.IntRange(1, 20).Draw(t, "refresh"))*time.Second
		s, now := newSchedule(policy, 0), time.Duration(0)
		n := rapid.IntRange(1, 5).Draw(t, "vips")
		last := make([]time.Duration, n)
		for range 300 {
			at, ok := s.due()
			if !ok {
				t.Fatal("no further round")
			}
			now = max(now, at)
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				s.announce(now)
			case 1:
				s.outranked(now)
			case 2:
				now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "late")) * ms
			}
			if !s.begin(now, n) {
				continue
			}
			last[s.next] = now
			switch {
			case rapid.IntRange(0, 9).Draw(t, "fails") == 0:
				s.failed(now, n)
			case s.sent(n):
				s.done(now)
			default:
				s.rest(now)
			}
			for vip, at := range last {
				// Each piece of a round is late by at most 3 s and a stall, or a second for a failure.
				if most := policy.Refresh + time.Duration(n)*5*time.Second + time.Minute; now-at > most {
					t.Fatalf("at %s VIP %d was last announced at %s", now, vip, at)
				}
			}
		}
	})
}
