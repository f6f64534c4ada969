package checker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// TestReloadKeepsStateAndRhythm: a Set does not affect an unchanged check.
func TestReloadKeepsStateAndRhythm(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("a", one), spec("b", two)})
		pass(100 * time.Millisecond)
		f.set(one, always(refused))
		pass(1200 * time.Millisecond) // one failure
		c.Set([]Spec{spec("new", "10.77.0.13:3306"), spec("a", one)})
		pass(0)
		if v := c.Verdict(named("a")); !v.Up || !strings.Contains(v.Reason, "1 of 2 failures") {
			t.Errorf("after Set: %+v", v)
		}
		if v := c.Verdict(named("new")); !v.Up {
			t.Errorf("a new server is checked at once: %+v", v)
		}
		if v := c.Verdict(named("b")); v.Known {
			t.Errorf("removed: %+v", v)
		}
		pass(time.Second)
		if v := c.Verdict(named("a")); v.Up {
			t.Errorf("after the second failure: %+v", v)
		}
		if got := len(f.times(one)); got != 3 {
			t.Errorf("%d probes in 2.3 s, want 3", got)
		}
		if got := len(f.times(two)); got != 2 {
			t.Errorf("%d probes of the removed server, want 2", got)
		}
	})
}

// TestEditedCheckTakesNothingOut: neither another interval nor another type of check makes a server unknown.
func TestEditedCheckTakesNothingOut(t *testing.T) {
	slow := func(ctx context.Context) health.Result { time.Sleep(500 * time.Millisecond); return good }
	edits := map[string]func(*config.Check){
		"interval": func(c *config.Check) { c.Interval = 2 * time.Second },
		"password": func(c *config.Check) { c.Kind = config.MySQLCheck{User: "lvs_check", PasswordFile: "/etc/other"} },
		"type":     func(c *config.Check) { c.Kind = config.TCPCheck{} },
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
				c.Set([]Spec{spec("a", one)})
				pass(100 * time.Millisecond)
				f.set(one, slow)
				edited := mysqlCheck()
				edit(&edited)
				c.Set([]Spec{spec("a", one, edited)})
				pass(100 * time.Millisecond)
				if v := c.Verdict(named("a")); !v.Known || !v.Up {
					t.Errorf("before the edited check's first result: %+v", v)
				}
				if got := d.changes(); len(got) != 1 {
					t.Errorf("changes: %q", got)
				}
			})
		})
	}
}

// TestHangingProbeAcrossReload: a check that is removed and added again waits for its old probe.
func TestHangingProbeAcrossReload(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		release := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-release; return good })
		c.Set([]Spec{spec("a", one)})
		pass(100 * time.Millisecond)
		c.Set(nil)
		pass(time.Second)
		c.Set([]Spec{spec("a", one)})
		pass(5 * time.Second)
		if f.twice != 0 || len(f.times(one)) != 1 {
			t.Errorf("%d probes, %d at the same time", len(f.times(one)), f.twice)
		}
		close(release)
		pass(3 * time.Second)
		if v := c.Verdict(named("a")); !v.Up {
			t.Errorf("%+v", v)
		}
	})
}

// TestRenamedSubjectsAreNoChange: a change of names reports no verdict, and later changes start from the known one.
func TestRenamedSubjectsAreNoChange(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		<-c.Set([]Spec{spec("mysql/mysql1", one), spec("mysql/mysql2", two)})
		pass(0)
		before := len(d.changes())
		<-c.Set([]Spec{spec("mysql/a", one), spec("mysql/b", two)}) // the servers
		<-c.Set([]Spec{spec("db/b", two), spec("db/a", one)})       // the virtual server
		pass(5 * time.Second)
		if got := d.changes()[before:]; len(got) > 0 {
			t.Errorf("changes of names: %v", got)
		}
		<-c.Set([]Spec{spec("db/b", two), spec("other/c", one)}) // another server at the same place
		pass(0)
		if got := d.changes()[before:]; len(got) != 1 || !strings.Contains(got[0], "other/c: up") {
			t.Errorf("another server: %v", got)
		}
		f.set(two, always(refused))
		pass(5 * time.Second)
		if got := d.changes()[before:]; !strings.Contains(got[len(got)-1], "db/b: down") {
			t.Errorf("a server that fails: %v", got)
		}
	})
}

// TestSetIsCarriedOut: after waiting for a Set its subjects are known, even if another Set replaced it, and a renamed
// subject starts with the verdict of its server's check.
func TestSetIsCarriedOut(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, _ *diary) {
		f.set(two, always(refused))
		<-c.Set([]Spec{spec("mysql/mysql1", one), spec("mysql/mysql2", two)})
		pass(0)
		probes := len(f.times(one)) + len(f.times(two))
		overtaken := c.Set([]Spec{spec("mysql/mysql2", two), spec("mysql/mysql1", one)})
		last := c.Set([]Spec{spec("db/mysql1", one), spec("db/mysql2", two)})
		<-last
		<-overtaken
		if up, down := c.Verdict(named("db/mysql1")), c.Verdict(named("db/mysql2")); !up.Known || !up.Up || !down.Known || down.Up {
			t.Errorf("after the change of names: %+v, %+v", up, down)
		}
		if now := len(f.times(one)) + len(f.times(two)); now != probes {
			t.Errorf("%d probes after the change of names, %d before", now, probes)
		}
	})
}
