package heartbeat

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestUntil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Minute)).Draw(t, "every"))
		clock := time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "clock"))
		wait := Until(clock, every)
		if wait <= 0 || wait > every {
			t.Fatalf("waits for %s", wait)
		}
		if at := clock.Add(wait).UnixNano(); time.Duration(at)%every != 0 {
			t.Fatalf("wakes at %d", at)
		}
	})
}

func TestEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "wait"))
		clock := time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "clock"))
		early := Early(clock, wait)
		if early <= 0 || early > wait || early <= wait-Every/4 {
			t.Fatalf("waits for %s", early)
		}
		if at := clock.Add(early).UnixNano(); early != wait && time.Duration(at)%(Every/4) != 0 {
			t.Fatalf("wakes at %d", at)
		}
	})
}

// TestTickersTickTogether: tickers that were started at any moments tick at the same ones.
func TestTickersTickTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond)
		a := NewTicker(time.Second)
		defer a.Stop()
		time.Sleep(123 * time.Millisecond)
		b := NewTicker(250 * time.Millisecond)
		defer b.Stop()
		last := time.Now()
		for n := range 5 {
			at := <-a.C
			if (n > 0 && at.Sub(last) != time.Second) || at.Nanosecond() != 0 {
				t.Errorf("ticks at %s after %s", at, last)
			}
			last = at
			synctest.Wait()
			<-b.C // the tick that was waiting
			if next := <-b.C; next.Sub(at) != 250*time.Millisecond {
				t.Errorf("the other ticks %s later", next.Sub(at))
			}
		}
	})
}

func TestTickerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticker := NewTicker(time.Second)
		time.Sleep(3500 * time.Millisecond) // one tick is kept, the others are dropped
		ticker.Stop()
		ticker.Stop()
		<-ticker.C
		select {
		case at := <-ticker.C:
			t.Errorf("ticks at %s after Stop", at)
		case <-time.After(5 * time.Second):
		}
	})
}
