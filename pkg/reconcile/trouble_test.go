package reconcile

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A repair that did not help twice is not made again until an address dump shows that the VIP is in its place.
func TestMoveThatDoesNotHelpStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		look := func(misplaced, rearranged bool) {
			time.Sleep(time.Second)
			if misplaced {
				w.Misplaced("eth0", vip, time.Now())
			}
			w.Looked(time.Now(), rearranged)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		moves := func() (n int) {
			for _, line := range w.kernel.done() {
				if strings.HasPrefix(line, "ip addr del") {
					n++
				}
			}
			return n
		}
		for range 60 {
			look(true, false)
		}
		want := []Trouble{{Instance: "mysql", Interface: "eth0", Misplaced: true}}
		if n := moves(); n != maxMoves || !slices.Equal(w.Troubles(), want) || strings.Count(log.String(), "not moving them again") != 1 {
			t.Errorf("moved %d times, troubles %v, log\n%s", n, w.Troubles(), log.String())
		}
		look(true, true)
		for range 10 {
			look(true, false)
		}
		if n := moves(); n != 2*maxMoves {
			t.Errorf("after a change of other addresses: moved %d times, want %d", n, 2*maxMoves)
		}
		look(false, false) // the operator has corrected the order
		time.Sleep(time.Second)
		if len(w.Troubles()) != 0 {
			t.Errorf("after the correction: %v", w.Troubles())
		}
		for n := range 5 { // repairs that help are not limited
			look(true, false)
			look(false, false)
			if got := moves(); got != 2*maxMoves+n+1 {
				t.Errorf("moved %d times, want %d", got, 2*maxMoves+n+1)
			}
		}
		if !w.kernel.has("eth0", vip) || len(w.losses()) != 0 {
			t.Errorf("the VIP is there: %t; losses %v", w.kernel.has("eth0", vip), w.losses())
		}
		w.stop()
	})
}

// A VIP that another process keeps deleting is restored each time, and is a trouble until that ends.
func TestContestedVIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(10 * time.Second)
		deletes := func(times int, every time.Duration) {
			for range times {
				w.kernel.foreignRemove("eth0", vip)
				w.Gone("eth0", vip)
				time.Sleep(every)
				if !w.kernel.has("eth0", vip) {
					t.Error("not restored")
				}
			}
		}
		deletes(contestedFrom-1, time.Second)
		deletes(5, 2*contestedWithin)
		if all := w.Troubles(); len(all) != 0 {
			t.Errorf("a few deletions: %v", all)
		}
		deletes(contestedFrom, time.Second)
		if all := w.Troubles(); len(all) != 1 || !all[0].Contested || all[0].Misplaced {
			t.Errorf("many deletions: %v", all)
		}
		time.Sleep(contestedWithin + time.Second)
		if all := w.Troubles(); len(all) != 0 {
			t.Errorf("after their end: %v", all)
		}
		w.stop()
	})
}
