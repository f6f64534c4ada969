package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var vip = netip.MustParsePrefix("10.77.0.100/32")

// fakeKernel keeps addresses with their lifetimes and prints what is done to it as ip(8) would be told it.
type fakeKernel struct {
	log     []string
	expires map[string]time.Time
	refuse  error
}

func (k *fakeKernel) Put(iface string, p netip.Prefix, lease time.Duration) error {
	if k.refuse != nil {
		return k.refuse
	}
	if k.expires == nil {
		k.expires = map[string]time.Time{}
	}
	k.log = append(k.log, fmt.Sprintf("ip addr replace %s dev %s valid_lft %d", p, iface, int(lease.Seconds())))
	k.expires[iface+" "+p.String()] = time.Now().Add(lease)
	return nil
}

func (k *fakeKernel) Remove(iface string, p netip.Prefix) error {
	k.log = append(k.log, fmt.Sprintf("ip addr del %s dev %s", p, iface))
	delete(k.expires, iface+" "+p.String())
	return nil
}

func (k *fakeKernel) has(iface string, p netip.Prefix) bool {
	return time.Now().Before(k.expires[iface+" "+p.String()])
}

type fakeVoice struct{ at []time.Duration }

// world is an address loop in a synctest bubble; everything is looked at while the loop sleeps.
type world struct {
	*Addresses
	kernel fakeKernel
	voice  fakeVoice
	epoch  time.Time
	lost   []string
	stop   func()
}

func (w *world) Announce(string, netip.Addr) error {
	w.voice.at = append(w.voice.at, time.Since(w.epoch))
	return nil
}

func start(t *testing.T) *world {
	w := &world{epoch: time.Now()}
	w.Addresses = NewAddresses(&w.kernel, w, func(_, reason string) { w.lost = append(w.lost, reason) }, slog.New(slog.DiscardHandler))
	w.Set([]VIPs{{Instance: "mysql", Interface: "eth0", Addresses: []netip.Prefix{vip}, Lease: 5 * time.Second}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	w.stop = func() { cancel(); <-done }
	return w
}

func TestVIPIsUpAtOnceAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		synctest.Wait()
		if len(w.kernel.log) != 0 {
			t.Fatalf("the kernel was touched before anything was acquired: %v", w.kernel.log)
		}
		begun := time.Now()
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		if !w.kernel.has("eth0", vip) || time.Since(begun) != 0 {
			t.Fatalf("the VIP is not up at once: %v after %s", w.kernel.log, time.Since(begun))
		}
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if !w.kernel.has("eth0", vip) {
				t.Fatalf("the VIP lapsed after %s", time.Since(begun))
			}
		}
		if n := len(w.kernel.log); n < 30 || n > 40 {
			t.Errorf("%d writes in a minute with a lease of 5 s, want one every 5/3 s", n)
		}
		w.stop()
		if w.kernel.has("eth0", vip) {
			t.Error("the VIP is still there after the end")
		}
	})
}

func TestAnnouncementsFollowTheVIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", true)
		time.Sleep(30 * time.Second)
		want := []time.Duration{0, 1100, 2200, 3300, 4400, 5500, 6600}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(w.voice.at, want) {
			t.Errorf("gratuitous ARP at %v, want at %v", w.voice.at, want)
		}
		w.Addresses.Announce("mysql")
		synctest.Wait()
		if n := len(w.voice.at); n != len(want)+1 {
			t.Errorf("%d announcements after one more was asked for, want %d", n, len(want)+1)
		}
		w.Addresses.Release("mysql")
		synctest.Wait()
		n := len(w.voice.at)
		time.Sleep(30 * time.Second)
		if len(w.voice.at) != n {
			t.Error("a released VIP is still announced")
		}
		w.stop()
	})
}

func TestForeignDeletionIsRepairedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(2 * time.Second)
		delete(w.kernel.expires, "eth0 "+vip.String())
		begun := time.Now()
		w.Addresses.Gone("eth0", vip)
		synctest.Wait()
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP was not put back")
		}
		if took := time.Since(begun); took > 50*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if len(w.lost) != 0 {
			t.Errorf("the election heard of it: %v", w.lost)
		}
		w.stop()
	})
}

func TestLapsedLeaseIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.kernel.refuse = errors.New("operation not permitted")
		time.Sleep(10 * time.Second)
		if len(w.lost) != 1 {
			t.Fatalf("the election was told %d times that the lease lapsed, want once: %v", len(w.lost), w.lost)
		}
		w.kernel.refuse = nil
		time.Sleep(time.Minute)
		if w.kernel.has("eth0", vip) {
			t.Error("a lapsed VIP came back without the election")
		}
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP is not up after it was acquired anew")
		}
		w.stop()
	})
}

func TestReloadChangesOnlyWhatChanged(t *testing.T) {
	second := netip.MustParsePrefix("10.77.0.101/32")
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.Set([]VIPs{{Instance: "mysql", Interface: "eth0", Addresses: []netip.Prefix{vip, second}, Lease: 5 * time.Second}})
		time.Sleep(100 * time.Millisecond)
		if !w.kernel.has("eth0", vip) || !w.kernel.has("eth0", second) {
			t.Errorf("after adding a VIP: %v", w.kernel.log)
		}
		w.Set([]VIPs{{Instance: "mysql", Interface: "eth0", Addresses: []netip.Prefix{second}, Lease: 5 * time.Second}})
		time.Sleep(100 * time.Millisecond)
		if w.kernel.has("eth0", vip) || !w.kernel.has("eth0", second) {
			t.Errorf("after removing a VIP: %v", w.kernel.log)
		}
		if slices.Contains(w.kernel.log, "ip addr del 10.77.0.101/32 dev eth0") {
			t.Error("the VIP that stayed was deleted meanwhile")
		}
		w.Set(nil)
		synctest.Wait()
		if w.kernel.has("eth0", second) {
			t.Error("the VIP of an instance that is gone stayed")
		}
		w.stop()
	})
}
