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

// The election hears of a lapse at once, although the kernel keeps the loop waiting; and what the kernel created too late
// is taken away again.
func TestLapseIsToldWhileTheKernelHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		w.kernel.dawdle(20 * time.Second)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if lost := w.losses(); len(lost) != 1 {
			t.Errorf("told %v at the end of the lease, want one loss", lost)
		}
		w.kernel.dawdle(0)
		time.Sleep(20 * time.Second)
		if w.kernel.has("eth0", vip) || len(w.losses()) != 1 {
			t.Errorf("the VIP is back: %t; told %v", w.kernel.has("eth0", vip), w.losses())
		}
		w.stop()
	})
}

// Whatever the kernel answers: the lapse is told once and in time, writes have their distance, and nothing comes back
// unless the election wants it anew.
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
					t.Errorf("told %v when the lease was over, want one loss", lost)
				}
				if tries := w.kernel.refusals(); tries < 3 || tries > 10 {
					t.Errorf("%d tries between the renewal that was due and the lapse, want some with a growing distance", tries)
				}
				if n := strings.Count(log.String(), "cannot keep a VIP"); n != 1 {
					t.Errorf("%d lines about one lasting failure, want 1:\n%s", n, log.String())
				}
				w.kernel.fail(nil)
				time.Sleep(time.Minute)
				if w.kernel.has("eth0", vip) || len(w.losses()) != 1 {
					t.Errorf("the VIP is back: %t; told %v", w.kernel.has("eth0", vip), w.losses())
				}
				w.stop()
			})
		})
	}
}

// A thousand deletions cost a bounded number of writes, announcements and lines, and the VIP is there in the end.
func TestTwoHandsFight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(10 * time.Second)
		writes, spoke := len(w.kernel.done()), len(w.announced())
		for range 1000 {
			w.kernel.take("eth0", vip)
			w.Gone("eth0", vip)
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP is not there in the end")
		}
		if n := len(w.kernel.done()) - writes; n < 200 || n > 260 {
			t.Errorf("%d writes in 5 s, want one every 20 ms", n)
		}
		if n := len(w.announced()) - spoke; n < 1 || n > 6 {
			t.Errorf("%d announcements in 5 s, want at most one a second", n)
		}
		if n := strings.Count(log.String(), "put back"); n != 1 {
			t.Errorf("%d lines, want 1 a minute:\n%s", n, log.String())
		}
		if len(w.losses()) != 0 {
			t.Errorf("the election heard of it: %v", w.losses())
		}
		w.stop()
	})
}

// A VIP before the machine's own address would become a source: it goes behind, once, and its own deletion on the way is
// nobody else's.
func TestVIPGoesBehindTheOwnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		before := time.Now()
		time.Sleep(time.Second)
		writes := len(w.kernel.done())
		w.Misplaced("eth0", vip, before.Add(-time.Millisecond)) // an old look
		w.Misplaced("eth1", vip, time.Now())
		synctest.Wait()
		if log := w.kernel.done()[writes:]; len(log) != 0 {
			t.Errorf("for nothing: %v", log)
		}
		w.Misplaced("eth0", vip, time.Now())
		synctest.Wait()
		time.Sleep(500 * time.Millisecond)
		w.Gone("eth0", vip) // the kernel's word of our own deletion, on a machine that has no CPU
		time.Sleep(500 * time.Millisecond)
		want := []string{"ip addr del 10.77.0.100/32 dev eth0", "ip addr replace 10.77.0.100/32 dev eth0 valid_lft 5"}
		if got := w.kernel.done()[writes:]; !slices.Equal(got, want) {
			t.Errorf("did %v, want %v", got, want)
		}
		if !strings.Contains(log.String(), "are put behind it") || strings.Contains(log.String(), "somebody else") {
			t.Error(log.String())
		}
		w.stop()
	})
}

// The word of our own removal may come when the VIPs are ours again, and late: it is nobody else's. What somebody else does
// meanwhile is found by a look, and later at once again.
func TestWordOfOurOwnRemovalComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.Addresses.Release("mysql")
		synctest.Wait()
		w.Addresses.Acquire("mysql", false)
		time.Sleep(echoes / 2)
		writes := len(w.kernel.done())
		w.Gone("eth0", vip)
		synctest.Wait()
		if did := w.kernel.done()[writes:]; len(did) != 0 || strings.Contains(log.String(), "somebody else") {
			t.Errorf("did %v for our own removal; logged:\n%s", did, log.String())
		}
		for n, seen := range []func(){
			func() { w.Missed("eth0", vip, time.Now()) },
			func() { time.Sleep(echoes); w.kernel.take("eth0", vip); w.Gone("eth0", vip) },
		} {
			w.kernel.take("eth0", vip)
			seen()
			time.Sleep(repairEvery)
			synctest.Wait()
			if !w.kernel.has("eth0", vip) {
				t.Errorf("%d: the VIP is not put back", n)
			}
		}
		w.stop()
	})
}
