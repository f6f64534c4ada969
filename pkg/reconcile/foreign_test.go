package reconcile

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A lapse is reported to the election at once even while the kernel blocks the loop, and an address that the kernel
// created too late is removed.
func TestLapseIsReportedWhileTheKernelHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		w.kernel.setDelay(20 * time.Second)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if lost := w.losses(); len(lost) != 1 {
			t.Errorf("losses reported at the end of the lease: %v, want 1", lost)
		}
		w.kernel.setDelay(0)
		time.Sleep(20 * time.Second)
		if w.kernel.has("eth0", vip) || len(w.losses()) != 1 {
			t.Errorf("the VIP is back: %t; losses reported: %v", w.kernel.has("eth0", vip), w.losses())
		}
		w.stop()
	})
}

// For every kernel error: the lapse is reported once and in time, retries back off, and no VIP is added again before
// the next acquisition.
func TestRenewalsThatFail(t *testing.T) {
	for _, failure := range []error{
		syscall.EPERM, syscall.ENOBUFS, syscall.ENODEV, syscall.EINTR, syscall.ENOMEM, os.ErrDeadlineExceeded,
	} {
		t.Run(failure.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				w := startLogging(t, &log)
				w.Addresses.Acquire("mysql", false)
				time.Sleep(time.Second)
				w.kernel.fail(failure)
				time.Sleep(4 * time.Second) // the lease of the first write
				synctest.Wait()
				if lost := w.losses(); len(lost) != 1 {
					t.Errorf("losses reported when the lease expired: %v, want 1", lost)
				}
				if tries := w.kernel.refusals(); tries < 3 || tries > 10 {
					t.Errorf("%d attempts between the due renewal and the lapse, want 3 to 10 with a backoff", tries)
				}
				if n := strings.Count(log.String(), "cannot keep a VIP"); n != 1 {
					t.Errorf("%d log lines about one lasting failure, want 1:\n%s", n, log.String())
				}
				w.kernel.fail(nil)
				time.Sleep(time.Minute)
				if w.kernel.has("eth0", vip) || len(w.losses()) != 1 {
					t.Errorf("the VIP is back: %t; losses reported: %v", w.kernel.has("eth0", vip), w.losses())
				}
				w.stop()
			})
		})
	}
}

// A thousand deletions by another process cause a bounded number of writes, announcements and log lines, and the VIP is
// present at the end.
func TestRepairsAreRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(10 * time.Second)
		writes, announced := len(w.kernel.done()), len(w.announced())
		for range 1000 {
			w.kernel.foreignRemove("eth0", vip)
			w.Gone("eth0", vip)
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP is missing at the end")
		}
		if n := len(w.kernel.done()) - writes; n < 200 || n > 260 {
			t.Errorf("%d writes in 5 s, want one every 20 ms", n)
		}
		if n := len(w.announced()) - announced; n < 1 || n > 6 {
			t.Errorf("%d announcements in 5 s, want at most one a second", n)
		}
		if n := strings.Count(log.String(), "restored"); n != 1 {
			t.Errorf("%d log lines, want 1 a minute:\n%s", n, log.String())
		}
		if len(w.losses()) != 0 {
			t.Errorf("reported as lost to the election: %v", w.losses())
		}
		w.stop()
	})
}

// A VIP that is listed before the machine's own address would become the source address: it is moved behind it, once,
// and the deletion that this takes is not attributed to another process.
func TestVIPGoesBehindTheOwnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		before := time.Now()
		time.Sleep(time.Second)
		writes := len(w.kernel.done())
		w.Misplaced("eth0", vip, before.Add(-time.Millisecond)) // an old dump
		w.Misplaced("eth1", vip, time.Now())
		synctest.Wait()
		if log := w.kernel.done()[writes:]; len(log) != 0 {
			t.Errorf("unexpected writes: %v", log)
		}
		w.Misplaced("eth0", vip, time.Now())
		synctest.Wait()
		time.Sleep(500 * time.Millisecond)
		w.Gone("eth0", vip) // the delayed event for our own deletion
		time.Sleep(500 * time.Millisecond)
		want := []string{"ip addr del 10.77.0.100/32 dev eth0", "ip addr replace 10.77.0.100/32 dev eth0 valid_lft 5"}
		if got := w.kernel.done()[writes:]; !slices.Equal(got, want) {
			t.Errorf("did %v, want %v", got, want)
		}
		if !strings.Contains(log.String(), "moved behind it") || strings.Contains(log.String(), "another process") {
			t.Error(log.String())
		}
		w.stop()
	})
}

// The event for our own removal may arrive late, after the VIPs were acquired again: it is not attributed to another
// process. A deletion by another process in that time is found by an address dump, and later by its event.
func TestLateEventOfOurOwnRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.Addresses.Release("mysql")
		synctest.Wait()
		w.Addresses.Acquire("mysql", false)
		time.Sleep(echoWindow / 2)
		writes := len(w.kernel.done())
		w.Gone("eth0", vip)
		synctest.Wait()
		if did := w.kernel.done()[writes:]; len(did) != 0 || strings.Contains(log.String(), "another process") {
			t.Errorf("did %v for our own removal; logged:\n%s", did, log.String())
		}
		for n, seen := range []func(){
			func() { w.Missed("eth0", vip, time.Now()) },
			func() { time.Sleep(echoWindow); w.kernel.foreignRemove("eth0", vip); w.Gone("eth0", vip) },
		} {
			w.kernel.foreignRemove("eth0", vip)
			seen()
			time.Sleep(repairEvery)
			synctest.Wait()
			if !w.kernel.has("eth0", vip) {
				t.Errorf("%d: the VIP is not restored", n)
			}
		}
		w.stop()
	})
}
