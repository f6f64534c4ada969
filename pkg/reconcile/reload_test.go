package reconcile

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReloadChangesOnlyWhatChanged(t *testing.T) {
	second := netip.MustParsePrefix("10.77.0.101/32")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.Set([]VIPs{mysql(5*time.Second, vip, second)})
		time.Sleep(100 * time.Millisecond)
		if !w.kernel.has("eth0", vip) || !w.kernel.has("eth0", second) {
			t.Errorf("after adding a VIP: %v", w.kernel.done())
		}
		w.Set([]VIPs{mysql(5*time.Second, second)})
		time.Sleep(100 * time.Millisecond)
		if w.kernel.has("eth0", vip) || !w.kernel.has("eth0", second) {
			t.Errorf("after removing a VIP: %v", w.kernel.done())
		}
		for _, line := range []string{
			`level=INFO msg="VIP added" instance=mysql interface=eth0 vip=10.77.0.101/32`,
			`level=INFO msg="VIP removed" instance=mysql interface=eth0 vip=10.77.0.100/32 reason="no longer in the cluster file"`,
		} {
			if strings.Count(log.String(), line) != 1 {
				t.Errorf("not in the log once: %s\n%s", line, log.String())
			}
		}
		if slices.Contains(w.kernel.done(), "ip addr del 10.77.0.101/32 dev eth0") {
			t.Error("the VIP that stays was deleted")
		}
		w.Set(nil)
		synctest.Wait()
		if w.kernel.has("eth0", second) {
			t.Error("the VIP of a removed instance is still there")
		}
		w.stop()
	})
}

// A VIP that moves between instances in one reload is never removed, whichever instance the loop processes first.
func TestVIPThatMovesToAnotherInstanceStays(t *testing.T) {
	second := netip.MustParsePrefix("10.77.0.101/32")
	other := func(all ...netip.Prefix) VIPs {
		return VIPs{Instance: "other", Interface: "eth0", Addresses: all, Lease: 5 * time.Second}
	}
	for _, c := range []struct {
		name string
		move func(w *world)
	}{
		{"both stay", func(w *world) { w.Set([]VIPs{mysql(5*time.Second, vip), other(second)}) }},
		{"the old one is gone", func(w *world) {
			w.Set([]VIPs{mysql(5*time.Second, vip, second), other(vip, second)}) // the director's order
			w.Addresses.Release("mysql")
			w.Set([]VIPs{other(vip, second)})
		}},
		{"the old one loses the election", func(w *world) {
			w.Set([]VIPs{mysql(5*time.Second, vip), other(second)})
			w.Addresses.Release("mysql")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 20 { // the iteration order of a map varies
				synctest.Test(t, func(t *testing.T) {
					var log bytes.Buffer
					w := startLogging(t, &log)
					w.Set([]VIPs{mysql(5*time.Second, vip, second), other()})
					w.Addresses.Acquire("mysql", false)
					w.Addresses.Acquire("other", false)
					time.Sleep(time.Second)
					c.move(w)
					synctest.Wait()
					time.Sleep(100 * time.Millisecond)
					if !w.kernel.has("eth0", second) || slices.Contains(w.kernel.done(), "ip addr del 10.77.0.101/32 dev eth0") {
						t.Errorf("the VIP that moved was removed: %v", w.kernel.done())
					}
					w.stop()
					if strings.Count(log.String(), `msg="VIP moved to another instance" instance=mysql interface=eth0 vip=10.77.0.101/32`) != 1 ||
						strings.Count(log.String(), `msg="VIP added" instance=other interface=eth0 vip=10.77.0.101/32`) != 1 {
						t.Errorf("the move is not logged:\n%s", log.String())
					}
					if w.kernel.has("eth0", vip) || w.kernel.has("eth0", second) {
						t.Error("a VIP is still there after Run ended")
					}
				})
			}
		})
	}
}

// A shorter lease applies from the next write: until then the kernel uses the old, longer one.
func TestReloadWithAShorterLeaseLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Set([]VIPs{mysql(60*time.Second, vip)})
		w.Addresses.Acquire("mysql", false)
		time.Sleep(19 * time.Second) // just before it is renewed
		w.Set([]VIPs{mysql(3*time.Second, vip)})
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if !w.kernel.has("eth0", vip) {
				t.Fatal("the VIP was removed")
			}
		}
		if lost := w.losses(); len(lost) != 0 {
			t.Errorf("losses reported to the election: %v", lost)
		}
		w.stop()
	})
}

func TestReloadIsNotReportedAsForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		second := netip.MustParsePrefix("10.77.0.101/32")
		w.Set([]VIPs{mysql(5*time.Second, vip, second)})
		w.Missed("eth0", second, time.Now())
		time.Sleep(time.Second)
		w.stop()
		if strings.Contains(log.String(), "another process") {
			t.Errorf("logged:\n%s", log.String())
		}
	})
}

func TestInstancesThatAreGoneAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		w.Set(nil)
		synctest.Wait()
		w.stop()
		if len(w.desired) != 0 || len(w.held) != 0 || w.kernel.has("eth0", vip) {
			t.Errorf("left: %v, %v", w.desired, w.held)
		}
	})
}
