package reconcile

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (k *fakeKernel) stick(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stuck = on
}

// A VIP that cannot be removed is not left to a lease of an hour: another one is MASTER by then.
func TestRemovalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Set([]VIPs{mysql(time.Hour, vip)})
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.kernel.stick(true)
		before := len(w.kernel.done())
		w.Addresses.Release("mysql")
		time.Sleep(10 * time.Second)
		if tries := len(w.kernel.done()) - before; tries < 8 || tries > 20 {
			t.Errorf("%d tries in 10 s, want some with a growing distance", tries)
		}
		w.kernel.stick(false)
		time.Sleep(retryMost)
		if w.kernel.has("eth0", vip) {
			t.Error("the VIP stays")
		}
		done := len(w.kernel.done())
		time.Sleep(time.Minute)
		if more := len(w.kernel.done()) - done; more > 0 {
			t.Errorf("%d tries after the end", more)
		}
		w.stop()
		if n := strings.Count(log.String(), "cannot remove a VIP"); n != 1 || !strings.Contains(log.String(), "could not be removed is gone") {
			t.Errorf("logged:\n%s", log.String())
		}
	})
}

// One that is wanted again is not removed any more.
func TestRemovalIsForgottenByTheNextTenure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.kernel.stick(true)
		w.Addresses.Release("mysql")
		time.Sleep(10 * time.Millisecond)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(10 * time.Millisecond)
		w.kernel.stick(false)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if !w.kernel.has("eth0", vip) {
				t.Fatal("the VIP went")
			}
		}
		w.stop()
	})
}

// A director that cannot put its VIPs at all says so long before a long lease is over.
func TestTenureWithoutAddressesIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Set([]VIPs{mysql(time.Hour, vip)})
		w.kernel.fail(errors.New("not today"))
		w.Addresses.Acquire("mysql", false)
		time.Sleep(firstWithin - time.Millisecond)
		if lost := w.losses(); len(lost) != 0 {
			t.Errorf("given up too early: %v", lost)
		}
		time.Sleep(2 * time.Millisecond)
		if lost := w.losses(); len(lost) != 1 {
			t.Errorf("told %v, want one loss", lost)
		}
		w.stop()
	})
}
