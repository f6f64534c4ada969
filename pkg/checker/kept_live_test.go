package checker

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

var (
	limited = health.Result{Code: health.Limited, Class: health.Unknown, Cause: "mysql: Error 1226: max_user_connections"}
	full    = health.Result{Code: health.ServerFull, Class: health.Full, Cause: "mysql: Error 1040: Too many connections"}
)

// ends counts the lines about connections that the server has ended.
func ends(d *diary) int { return strings.Count(d.String(), "the server ended its kept connection") }

// TestKeptConnectionOfAServerThatComesBack: a server that is good comes back although it ends each kept connection, or takes none.
func TestKeptConnectionOfAServerThatComesBack(t *testing.T) {
	for name, tt := range map[string]struct {
		rise     int
		interval time.Duration
		life     time.Duration
		refuse   *health.Result
	}{
		"an idle timeout shorter than rise x interval": {3, 5 * time.Second, 9 * time.Second, nil},
		"one shorter than an interval":                 {2, time.Second, 500 * time.Millisecond, nil},
		"one as long as an interval":                   {2, time.Second, time.Second, nil},
		"one that is far shorter than rise x interval": {10, 10 * time.Second, time.Second, nil},
		"a filter that refuses the connection":         {2, time.Second, 0, &refused},
		"a filter that resets the connection":          {3, time.Second, 0, &closedByServer},
		"the account refuses the connection":           {2, time.Second, 0, &limited},
	} {
		t.Run(name, func(t *testing.T) {
			keptWorld(t, keptCheck(2, tt.rise, tt.interval), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
				f.set(one, always(refused))
				k.end(closedByServer, tt.refuse)
				synctest.Wait()
				if v := c.Verdict(named("mysql/mysql1")); v.Up {
					t.Fatalf("it is not out: %+v", v)
				}
				pass(tt.interval / 2)
				k.set(func() { k.life = tt.life })
				f.set(one, always(good))
				pass(time.Duration(max(tt.rise, 2)+1) * tt.interval)
				if v := c.Verdict(named("mysql/mysql1")); !v.Up {
					t.Errorf("still out: %+v", v)
				}
			})
		})
	}
}

// TestKeptConnectionRefusedLikeTheNextChecks: a filter that takes one connection at a time counts that of the check for a moment after
// its end. A server behind it stays, and comes back.
func TestKeptConnectionRefusedLikeTheNextChecks(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		var counted time.Time // the latest connection
		oneByOne := func(context.Context) health.Result {
			if time.Since(counted) < 5*time.Millisecond {
				return refused
			}
			counted = time.Now()
			return good
		}
		f.set(one, oneByOne)
		k.end(silence, &refused)
		pass(time.Hour)
		if _, opens := k.state(); !c.Verdict(named("mysql/mysql1")).Up || len(d.changes()) != 1 || opens < 5 || opens > 15 {
			t.Errorf("%d connections in an hour, changes %q", opens, d.changes())
		}
		pass(8 * time.Minute)
		f.set(one, always(refused))
		pass(4 * time.Minute) // and then none is refused before it is good
		f.set(one, oneByOne)
		pass(6 * time.Second)
		if v := c.Verdict(named("mysql/mysql1")); !v.Up {
			t.Errorf("%+v", v)
		}
	})
}

// TestKeptConnectionThatAlwaysEnds: the pauses between connections that a live server ends become longer, so that the checks and the
// lines in the log that each causes stay few, until one lives for long.
func TestKeptConnectionThatAlwaysEnds(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		k.set(func() { k.life = 30 * time.Second })
		k.end(closedByServer, nil)
		pass(2 * time.Hour)
		if _, opens := k.state(); opens < 12 || opens > 20 || ends(d) > 20 || len(d.changes()) != 1 {
			t.Errorf("%d connections in two hours, %d lines, changes %v", opens, ends(d), d.changes())
		}
		k.set(func() { k.life = 0 })
		pass(25 * time.Minute) // one has lived for longer than the longest pause
		_, before := k.state()
		k.end(closedByServer, nil)
		pass(12 * time.Second)
		if open, opens := k.state(); open != 1 || opens != before+1 {
			t.Errorf("%d connections are open, %d more were opened", open, opens-before)
		}
	})
}

// TestKeptConnectionIsInTheWay: a server that takes one connection at a time, however it says so, stays in the table. The connection
// is tried again after the longest pause.
func TestKeptConnectionIsInTheWay(t *testing.T) {
	for name, tt := range map[string]struct {
		says health.Result
		fall int
	}{
		"a filter that resets the second one":               {closedByServer, 1},
		"a filter that rejects the second one":              {refused, 2},
		"a server that answers one client at a time":        {late, 2},
		"a server with room for one":                        {full, 2},
		"an account that may have one connection":           {limited, 1},
		"a filter that drops the second one, and fall is 3": {late, 3},
	} {
		t.Run(name, func(t *testing.T) {
			keptWorld(t, keptCheck(tt.fall, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
				f.set(one, func(ctx context.Context) health.Result {
					if open, _ := k.state(); open == 0 {
						return good
					}
					if tt.says.Code == health.Timeout {
						<-ctx.Done()
					}
					return tt.says
				})
				pass(time.Hour)
				if open, opens := k.state(); open > 1 || opens < 5 || opens > 7 {
					t.Errorf("%d connections in an hour, %d are open", opens, open)
				}
				changes := slices.DeleteFunc(d.changes(), func(change string) bool { // only silence counts, once each time
					return tt.says.Code == health.Timeout && (strings.Contains(change, " (1 of ") || !strings.HasPrefix(change, "0s ") && strings.Contains(change, ": up: mysql: answered"))
				})
				if v := c.Verdict(named("mysql/mysql1")); !v.Up || v.Full || len(changes) != 1 || strings.Count(d.String(), "level=WARN") != 1 {
					t.Errorf("changes %q: %+v\n%s", changes, v, d.String())
				}
			})
		})
	}
}

// TestKeptConnectionOfAFrozenServer: a connection that stays open while the server is down is closed, and opened when it is back.
func TestKeptConnectionOfAFrozenServer(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		pass(5 * time.Second)
		f.set(one, dead)
		pass(4 * time.Second)
		if open, _ := k.state(); open != 0 || c.Verdict(named("mysql/mysql1")).Up {
			t.Errorf("%d connections: %+v", open, c.Verdict(named("mysql/mysql1")))
		}
		f.set(one, always(good))
		pass(14 * time.Second)
		if open, _ := k.state(); open != 1 || !c.Verdict(named("mysql/mysql1")).Up {
			t.Errorf("%d connections: %+v", open, c.Verdict(named("mysql/mysql1")))
		}
	})
}

// TestKeptConnectionAndAWrongPassword: an account that is refused for another reason than a limit keeps its connection.
func TestKeptConnectionAndAWrongPassword(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		f.set(one, always(denied))
		pass(time.Minute)
		if open, opens := k.state(); open != 1 || opens != 1 {
			t.Errorf("%d of %d connections are open", open, opens)
		}
	})
}

// TestKeptConnectionEndsWhileItComesBack: a check that runs when the connection ends, and is good, does not bring the server back.
func TestKeptConnectionEndsWhileItComesBack(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		f.set(one, always(refused))
		k.end(closedByServer, &refused)
		pass(time.Second)
		f.set(one, always(good))
		k.end(closedByServer, nil)
		pass(time.Second) // the first success, and the connection is open
		answers := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-answers; return good })
		pass(time.Second) // the second one runs
		f.set(one, always(refused))
		k.end(closedByServer, &refused)
		synctest.Wait()
		close(answers)
		synctest.Wait()
		if v := c.Verdict(named("mysql/mysql1")); v.Up || len(d.changes()) != 2 {
			t.Errorf("changes %q: %+v", d.changes(), v)
		}
	})
}

// TestKeptConnectionOfAServerThatDiesAfterItsCheck: the refusal of the connection is a reason for a check, whose failure makes the
// successes begin again.
func TestKeptConnectionOfAServerThatDiesAfterItsCheck(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		f.set(one, always(refused))
		k.end(closedByServer, &refused)
		synctest.Wait()
		f.set(one, func(context.Context) health.Result { f.set(one, always(refused)); return good })
		for _, up := range []bool{false, false, true} {
			pass(time.Second)
			if v := c.Verdict(named("mysql/mysql1")); v.Up != up {
				t.Errorf("%+v, want up %v; %d checks", v, up, f.count(one))
			}
			f.set(one, always(good))
			k.set(func() { k.refuse = nil })
		}
	})
}

// TestKeptConnectionsLeaveFileDescriptors: checks come first; that there are too few for connections is said once.
func TestKeptConnectionsLeaveFileDescriptors(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		var specs []Spec
		for n := range 100 {
			specs = append(specs, spec("mysql/"+string(rune('a'+n/10))+string(rune('a'+n%10)), strings.Replace(one, "3306", "33"+string(rune('0'+n/10))+string(rune('0'+n%10)), 1), keptCheck(2, 2, time.Second)))
		}
		k.set(func() { k.files = keptReserve + 100 + 30 })
		c.Set(specs)
		pass(time.Minute)
		if open, _ := k.state(); open != 30 {
			t.Errorf("%d connections are open, want 30", open)
		}
		if n := strings.Count(d.String(), "no connection to some servers is kept"); n != 1 {
			t.Errorf("%d lines", n)
		}
		whys := 0
		for _, s := range specs {
			e, _, err := c.Explain(t.Context(), s.Subject)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(e.Checks[0].Kept.Why, "raise LimitNOFILE") {
				whys++
			}
		}
		if whys != 70 {
			t.Errorf("%d checks say why, want 70", whys)
		}
		k.set(func() { k.files = 4096 })
		pass(15 * time.Second)
		if open, _ := k.state(); open != 100 {
			t.Errorf("%d connections are open, want 100", open)
		}
	})
}

// TestKeptConnectionEndsAndACheckIsDue: the check that follows the end and whose time has come meanwhile counts as any other if it is
// silent.
func TestKeptConnectionEndsAndACheckIsDue(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, 500*time.Millisecond), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		pass(600 * time.Millisecond) // a check has passed beside it, at 0.5 s
		f.set(one, func(context.Context) health.Result { time.Sleep(550 * time.Millisecond); return late })
		pass(500 * time.Millisecond) // the one of 1 s runs until 1.55 s
		k.end(closedByServer, &late)
		pass(1000 * time.Millisecond)
		if v := c.Verdict(named("mysql/mysql1")); v.Up {
			t.Errorf("%+v", v)
		}
	})
}

// TestKeptConnectionEndsDuringACheckThatHangs: when that returns, the check is made at once.
func TestKeptConnectionEndsDuringACheckThatHangs(t *testing.T) {
	keptWorld(t, keptCheck(3, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		pass(2 * time.Second)
		release := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-release; return late })
		pass(2 * time.Second) // given up at 1.9 s, 1 of 3, and counted again at 2 s
		f.set(one, always(refused))
		k.end(closedByServer, &refused)
		synctest.Wait()
		close(release)
		synctest.Wait()
		if v := c.Verdict(named("mysql/mysql1")); v.Up || !strings.Contains(v.Reason, "connection refused (3 of 3)") {
			t.Errorf("%+v", v)
		}
	})
}

// TestKeptConnectionLeaves: a reload that removes the check closes its connection.
func TestKeptConnectionLeaves(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		c.Set([]Spec{spec("mysql/mysql1", one, mysqlCheck())})
		pass(3 * time.Second)
		if open, opens := k.state(); open != 0 || opens != 1 {
			t.Errorf("%d of %d connections are open", open, opens)
		}
	})
}
