package election

import (
	"testing"
	"time"
)

func TestLateAdverts(t *testing.T) {
	const ms = time.Millisecond
	var l lateAdverts
	count := func(when string, now, interval time.Duration, want Late) {
		t.Helper()
		if got := l.count(now, interval); got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	count("without adverts", 0, time.Second, Late{})
	l.add(0, 0, time.Second)
	l.add(time.Second, 200*ms, time.Second)
	l.add(2*time.Second, 201*ms, time.Second)
	count("a fifth is not late yet", 2*time.Second, time.Second, Late{Adverts: 3, Late: 1, Worst: 201 * ms})
	count("at the end of the window", 6*time.Second, time.Second, Late{Adverts: 1, Late: 1, Worst: 201 * ms})
	count("after it", 6*time.Second+ms, time.Second, Late{})
	for n := range time.Duration(10) {
		l.add(n*10*time.Second, 3*time.Second, 10*time.Second)
	}
	count("three intervals of 10 s", 90*time.Second, 10*time.Second, Late{Adverts: 4, Late: 4, Worst: 3 * time.Second})
	for n := range time.Duration(10_000) {
		l.add(100*time.Second+n*10*ms, 0, 10*ms)
	}
	if n := cap(l.all); n > 2000 {
		t.Errorf("space for %d adverts with an interval of 10 ms, of which 401 count", n)
	}
}
