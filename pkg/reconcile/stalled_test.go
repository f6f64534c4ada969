package reconcile

import (
	"testing"
	"time"
)

// A repetition that wakes from a stall leaves the election time to say that the VIPs are lost; the first announcement of
// VIPs that were just taken does not wait.
func TestRepetitionAfterAStallWaitsOnce(t *testing.T) {
	first := newTenure(0, 3*time.Second, false)
	if first.stalled(time.Second) {
		t.Error("the first announcement waits")
	}
	first.announced(0)
	at, _ := first.nextAnnouncement()
	if first.stalled(at + wokeAfter - 1) {
		t.Error("one in time waits")
	}
	woke := at + 2*time.Second
	if !first.stalled(woke) {
		t.Fatal("one that is two seconds late does not wait")
	}
	next, ok := first.nextAnnouncement()
	if !ok || next != woke+afterWaking {
		t.Errorf("next at %s, %t; want it %s after waking", next, ok, afterWaking)
	}
	if first.stalled(next + time.Second) {
		t.Error("it waits twice")
	}
	first.announced(next)
	if at, _ := first.nextAnnouncement(); !first.stalled(at + time.Second) {
		t.Error("the one after it does not wait")
	}
}
