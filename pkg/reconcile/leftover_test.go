package reconcile

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (k *fakeKernel) setStuck(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stuck = on
}

// The removal of a VIP is retried, even if its lease is an hour: another director is MASTER by then.
func TestRemovalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Set([]VIPs{mysql(time.Hour, vip)})
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.kernel.setStuck(true)
		before := len(w.kernel.done())
		w.Addresses.Release("mysql")
		time.Sleep(10 * time.Second)
		if tries := len(w.kernel.done()) - before; tries < 8 || tries > 20 {
			t.Errorf("%d attempts in 10 s, want 8 to 20 with a backoff", tries)
		}
		w.kernel.setStuck(false)
		time.Sleep(retryMax)
		if w.kernel.has("eth0", vip) {
			t.Error("the VIP was not removed")
		}
		done := len(w.kernel.done())
		time.Sleep(time.Minute)
		if more := len(w.kernel.done()) - done; more > 0 {
			t.Errorf("%d attempts after the removal", more)
		}
		w.stop()
		if n := strings.Count(log.String(), "cannot remove a VIP"); n != 1 || !strings.Contains(log.String(), "removed a VIP that could not be removed before") {
			t.Errorf("logged:\n%s", log.String())
		}
	})
}

// A VIP that is acquired again is no longer removed.
func TestRemovalEndsWithTheNextAcquisition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.kernel.setStuck(true)
		w.Addresses.Release("mysql")
		time.Sleep(10 * time.Millisecond)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(10 * time.Millisecond)
		w.kernel.setStuck(false)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if !w.kernel.has("eth0", vip) {
				t.Fatal("the VIP was removed")
			}
		}
		w.stop()
	})
}

// A director that cannot add its VIPs at all reports the loss after firstWriteTimeout, not at the end of a long lease.
func TestFirstWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Set([]VIPs{mysql(time.Hour, vip)})
		w.kernel.fail(errors.New("not today"))
		w.Addresses.Acquire("mysql", false)
		time.Sleep(firstWriteTimeout - time.Millisecond)
		if lost := w.losses(); len(lost) != 0 {
			t.Errorf("reported as lost too early: %v", lost)
		}
		time.Sleep(2 * time.Millisecond)
		if lost := w.losses(); len(lost) != 1 {
			t.Errorf("losses reported: %v, want 1", lost)
		}
		w.stop()
	})
}
