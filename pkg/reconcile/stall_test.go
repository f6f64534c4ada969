package reconcile

import (
	"testing"
	"time"
)

// A repetition after a stall waits, so that the election can release the VIPs first; the first announcement of newly
// added VIPs does not wait.
func TestRepetitionAfterAStallWaitsOnce(t *testing.T) {
	first := newLeaseTimer(0, 3*time.Second, false)
	if first.stalled(time.Second) {
		t.Error("the first announcement waits")
	}
	first.announced(0)
	at, _ := first.nextAnnouncement()
	if first.stalled(at + stallThreshold - 1) {
		t.Error("a repetition in time waits")
	}
	woke := at + 2*time.Second
	if !first.stalled(woke) {
		t.Fatal("a repetition that is two seconds late does not wait")
	}
	next, ok := first.nextAnnouncement()
	if !ok || next != woke+stallDelay {
		t.Errorf("next at %s, %t; want it %s after waking", next, ok, stallDelay)
	}
	if first.stalled(next + time.Second) {
		t.Error("it waits twice")
	}
	first.announced(next)
	if at, _ := first.nextAnnouncement(); !first.stalled(at + time.Second) {
		t.Error("the one after it does not wait")
	}
}
