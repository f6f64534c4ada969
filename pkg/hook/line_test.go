package hook

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// change is a change of state.
func change(from, to string) Change { return Change{Moment: OfState(to), From: from, To: to} }

// next returns what runs now, "" if nothing does.
func next(l *Line, now time.Time) string {
	c, found, _ := l.Next(now)
	if !found {
		return ""
	}
	return string(c.Moment) + " " + c.To
}

func TestOrder(t *testing.T) {
	var l Line
	l.Tell(start, change("INIT", "BACKUP"))
	l.Tell(start, Change{Moment: Priority, To: "BACKUP"})
	for _, want := range []string{"backup BACKUP", "priority BACKUP", ""} {
		c, found, _ := l.Next(start)
		if got := string(c.Moment) + " " + c.To; found && got != want || !found && want != "" {
			t.Errorf("got %q, want %q", got, want)
		}
		l.Done(c, true)
	}
	if !l.Idle() {
		t.Error("not idle at the end")
	}
}

// What happens while hooks run is coalesced to the last state, and nothing runs if that is the one for which they run.
func TestCoalesced(t *testing.T) {
	for name, c := range map[string]struct {
		during []string
		ok     bool
		want   string
	}{
		"a newer state":  {[]string{"BACKUP", "FAULT"}, true, "fault FAULT"},
		"the same state": {[]string{"FAULT", "BACKUP", "MASTER"}, true, ""},
		"the same state, whose hooks have failed": {[]string{"BACKUP", "MASTER"}, false, "master MASTER"},
		"nothing": {nil, false, ""},
	} {
		var l Line
		master := change("BACKUP", "MASTER")
		l.Tell(start, master)
		if got := next(&l, start); got != "master MASTER" {
			t.Fatalf("%s: %q", name, got)
		}
		from := "MASTER"
		for _, to := range c.during {
			l.Tell(start, change(from, to))
			from = to
		}
		if got := next(&l, start); got != "" {
			t.Errorf("%s: %q runs beside another", name, got)
		}
		if got, want := l.Late(master), c.during != nil; got != want {
			t.Errorf("%s: late: %t", name, got)
		}
		l.Done(master, c.ok)
		if got := next(&l, start); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A state that does not last runs no hooks, and the time until it lasts is returned.
func TestSettles(t *testing.T) {
	var l Line
	backup := change("INIT", "BACKUP")
	backup.Settle = 4 * time.Second
	l.Tell(start, backup)
	if _, found, wait := l.Next(start.Add(time.Second)); found || wait != 3*time.Second {
		t.Errorf("after 1s: %t, %s", found, wait)
	}
	l.Tell(start.Add(3*time.Second), change("BACKUP", "MASTER"))
	if got := next(&l, start.Add(3*time.Second)); got != "master MASTER" {
		t.Errorf("%q", got)
	}
	l.Done(change("BACKUP", "MASTER"), true)
	if got := next(&l, start.Add(time.Hour)); got != "" {
		t.Errorf("later: %q", got)
	}
}

func TestSettle(t *testing.T) {
	const down = 3600 * time.Millisecond
	for _, c := range []struct {
		from, to string
		want     time.Duration
	}{
		{"INIT", "BACKUP", down}, {"FAULT", "BACKUP", down}, {"MASTER", "BACKUP", 0}, {"BACKUP", "MASTER", 0}, {"BACKUP", "FAULT", 0}, {"MASTER", "INIT", 0},
	} {
		if got := Settle(c.from, c.to, down); got != c.want {
			t.Errorf("%s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

// Hooks for adverts of lower priority run once per second at most.
func TestLowerAdverts(t *testing.T) {
	var l Line
	lower := Change{Moment: LowerAdvert, To: "MASTER"}
	ran := 0
	for at := time.Duration(0); at <= 2*time.Second; at += 10 * time.Millisecond {
		l.Tell(start.Add(at), lower)
		if next(&l, start.Add(at)) != "" {
			ran++
			l.Done(lower, true)
		}
	}
	if ran != 3 {
		t.Errorf("ran %d times in 2 s, want 3", ran)
	}
}

func TestMoments(t *testing.T) {
	if got := Of(Fault, Master, "no moment").List(); !slices.Equal(got, []Moment{Master, Fault}) {
		t.Errorf("%v", got)
	}
	for _, c := range []struct {
		set  Moments
		at   Moment
		want bool
	}{{Of(Any), Master, true}, {Of(Any), Stop, true}, {Of(Any), PreStop, false}, {Of(Any), Priority, false}, {Of(Master), Backup, false}, {0, Master, false}, {Of(LowerAdvert), LowerAdvert, true}, {Of(Any), ServerDown, false}, {Of(ServerDown), ServerDown, true}, {Of(ServerDown), ServerUp, false}, {Of(Any), QuorumUp, false}} {
		if got := c.set.Has(c.at); got != c.want {
			t.Errorf("%v has %s: %t", c.set.List(), c.at, got)
		}
	}
}

// Whatever happens, one change runs at a time, states run in their order, and the last hooks that run are those of the last
// state.
func TestLastHookIsTheLastState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Line
		now := start
		states := []string{"INIT", "BACKUP", "MASTER", "FAULT"}
		state, last := "INIT", "INIT"
		told, ranAt := 0, -1
		order := map[string]int{} // the newest change to a state
		var running *Change
		step := func(finish bool) {
			if running != nil && finish {
				l.Done(*running, true)
				running = nil
			}
			if c, found, _ := l.Next(now); found {
				if running != nil {
					t.Fatal("two at a time")
				}
				running = &c
				if c.Moment.IsState() {
					if order[c.To] < ranAt {
						t.Fatalf("%s ran after a newer state", c.To)
					}
					last, ranAt = c.To, order[c.To]
				}
			}
		}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				to := rapid.SampledFrom(states).Filter(func(s string) bool { return s != state }).Draw(t, "to")
				told++
				c := change(state, to)
				c.Settle = Settle(state, to, 2*time.Second)
				state, order[to] = to, told
				l.Tell(now, c)
			case 2:
				l.Tell(now, Change{Moment: Priority, To: state})
			case 3:
				step(true)
			}
			step(false)
		}
		for range 10 { // everything ends
			now = now.Add(time.Hour)
			step(true)
		}
		if last != state || !l.Idle() {
			t.Fatalf("the last hooks were those of %s, the state is %s; idle: %t", last, state, l.Idle())
		}
	})
}

// What has not begun when the state returns does not run, nor what is for the state to which it returns.
func TestAbandoned(t *testing.T) {
	up, down := Change{Moment: ServerUp, From: Down, To: Up}, Change{Moment: ServerDown, From: Up, To: Down}
	var l Line
	l.Seed(Up)
	l.Tell(start, down)
	if got := next(&l, start); got != "server_down DOWN" {
		t.Fatalf("%q", got)
	}
	l.Seed(Down) // it waits: no effect
	l.Tell(start, up)
	if !l.Late(down) {
		t.Error("not late")
	}
	l.Abandon(down)
	if got := next(&l, start); got != "" || !l.Idle() {
		t.Errorf("after what did not begin: %q", got)
	}
	l.Tell(start, down)
	if got := next(&l, start); got != "server_down DOWN" {
		t.Errorf("again: %q", got)
	}
	l.Done(down, false)
	l.Tell(start, up)
	next(&l, start)
	l.Tell(start, down)
	l.Abandon(up)
	if got := next(&l, start); got != "server_down DOWN" {
		t.Errorf("that of the state before had failed: %q", got)
	}
}

// A subject that is another one gets nothing for what happened to the one before it, whose run ends first.
func TestRenewed(t *testing.T) {
	up, down := Change{Moment: ServerUp, From: Down, To: Up}, Change{Moment: ServerDown, From: Up, To: Down}
	for name, end := range map[string]func(l *Line){
		"its run failed":   func(l *Line) { l.Done(down, false) },
		"its run was none": func(l *Line) { l.Abandon(down) },
	} {
		t.Run(name, func(t *testing.T) {
			var l Line
			l.Tell(start, down)
			next(&l, start)
			l.Tell(start, up)
			l.Renew()
			l.Seed(Up)
			l.Tell(start, down)
			l.Seed(Down) // it waits: no effect
			if got := next(&l, start); got != "" {
				t.Errorf("beside what runs: %q", got)
			}
			end(&l)
			if got := next(&l, start); got != "server_down DOWN" {
				t.Errorf("%q", got)
			}
			l.Done(down, true)
			l.Tell(start, down)
			if got := next(&l, start); got != "" || !l.Idle() {
				t.Errorf("again: %q", got)
			}

			l.Tell(start, up)
			next(&l, start)
			l.Renew()
			l.Seed(Down)
			l.Tell(start, up)
			l.Tell(start, down)
			end(&l)
			if got := next(&l, start); got != "" || !l.Idle() {
				t.Errorf("for the state that it has been in since: %q", got)
			}
		})
	}
}
