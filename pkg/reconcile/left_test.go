package reconcile

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// leftIs compares what is published of the lease of the VIPs.
func (w *world) leftIs(t *testing.T, when string, want time.Duration) {
	t.Helper()
	synctest.Wait()
	if left, held := w.Left("mysql"); left != want || held != (want > 0) {
		t.Errorf("%s: %s of the lease are left, held: %t; want %s", when, left, held, want)
	}
}

// TestLeftIsOfTheKernel: VIPs are held from when the kernel has accepted them until they are removed, and not from when the election
// has decided.
func TestLeftIsOfTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.stop()
		w.leftIs(t, "before the election", 0)
		w.kernel.fail(errors.New("no buffers"))
		w.Addresses.Acquire("mysql", false)
		w.leftIs(t, "refused by the kernel", 0)
		w.kernel.fail(nil)
		time.Sleep(retryMax)
		synctest.Wait()
		if left, held := w.Left("mysql"); !held || left < 4*time.Second {
			t.Errorf("accepted: %s, %t", left, held)
		}
		w.Release("mysql")
		w.leftIs(t, "released", 0)
		w.Addresses.Acquire("mysql", false)
		w.leftIs(t, "acquired again", 5*time.Second)
		w.Set(nil)
		w.leftIs(t, "no longer in the cluster file", 0)
	})
}

// TestLeftWhileTheKernelBlocks: a loop that hangs neither makes an acquisition appear as done, nor keeps VIPs whose lease has ended.
func TestLeftWhileTheKernelBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.stop()
		synctest.Wait()
		w.kernel.setDelay(2 * time.Second)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.leftIs(t, "the first write blocks", 0)
		w.kernel.setDelay(0)
		time.Sleep(1500 * time.Millisecond)
		w.leftIs(t, "written, and renewed at once", 4500*time.Millisecond)
		w.Addresses.Acquire("mysql", false) // after a stall
		w.leftIs(t, "acquired again, and renewed", 5*time.Second)
		w.kernel.setDelay(20 * time.Second)
		time.Sleep(4 * time.Second)
		w.leftIs(t, "the renewal blocks", time.Second)
		w.Addresses.Acquire("mysql", false)
		w.leftIs(t, "acquired again while it blocks", time.Second)
		time.Sleep(1500 * time.Millisecond)
		w.leftIs(t, "their lease has ended and the loop hangs", 0)
		w.kernel.setDelay(0)
	})
}

// TestLeftOfSome: if the kernel has only some of the VIPs, the instance does not hold them.
func TestLeftOfSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.stop()
		w.Set([]VIPs{mysql(5*time.Second, vip, netip.MustParsePrefix("10.77.0.101/32"))})
		synctest.Wait()
		w.kernel.setDelay(time.Second)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(1500 * time.Millisecond)
		w.leftIs(t, "the second write blocks", 0)
		if !w.kernel.has("eth0", vip) {
			t.Error("the first VIP is not there")
		}
		time.Sleep(time.Second)
		w.leftIs(t, "both are written", 2500*time.Millisecond)
		w.kernel.setDelay(0)
	})
}
