package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var vip = netip.MustParsePrefix("10.77.0.100/32")

// fakeKernel keeps addresses with their lifetimes and logs changes as ip(8) commands.
type fakeKernel struct {
	mu      sync.Mutex
	log     []string
	expires map[string]time.Time
	refuse  error
	slow    time.Duration // duration of each Put
	stuck   bool          // no address can be removed
	refused int

	unraised error // why no interface can be set up
}

func (k *fakeKernel) PutAs(iface string, p netip.Prefix, lease time.Duration, _ kernel.Placement) error {
	k.mu.Lock()
	slow := k.slow
	k.mu.Unlock()
	time.Sleep(slow)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse != nil {
		k.refused++
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
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, fmt.Sprintf("ip addr del %s dev %s", p, iface))
	if k.stuck {
		return syscall.ENOBUFS
	}
	delete(k.expires, iface+" "+p.String())
	return nil
}

func (k *fakeKernel) SetUp(iface string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, "ip link set "+iface+" up")
	return k.unraised
}

func (k *fakeKernel) SetDown(iface string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, "ip link set "+iface+" down")
	return nil
}

func (k *fakeKernel) has(iface string, p netip.Prefix) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Now().Before(k.expires[iface+" "+p.String()])
}

// foreignRemove removes an address as another process would.
func (k *fakeKernel) foreignRemove(iface string, p netip.Prefix) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.expires, iface+" "+p.String())
}

func (k *fakeKernel) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = err
}

func (k *fakeKernel) refusals() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refused
}

func (k *fakeKernel) setDelay(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slow = d
}

func (k *fakeKernel) done() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.log)
}

// world is an address loop in a synctest bubble; tests inspect it while the loop sleeps.
type world struct {
	*Addresses
	kernel fakeKernel
	epoch  time.Time
	stop   func()

	mu            sync.Mutex
	announcements []time.Duration
	order         []netip.Addr // of the announcements
	asked         []netip.Addr
	mute          error         // why nothing can be announced
	deaf          error         // why nothing can be asked
	opening       time.Duration // how long it takes to open the announcer on an interface
	lost          []string
}

func (w *world) Announce(_ string, vip netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mute != nil {
		return w.mute
	}
	w.announcements = append(w.announcements, time.Since(w.epoch))
	w.order = append(w.order, vip)
	return nil
}

func (w *world) Open(string) error {
	w.mu.Lock()
	takes := w.opening
	w.mu.Unlock()
	time.Sleep(takes)
	return nil
}

func (w *world) Ask(_ string, vip netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, vip)
	return w.deaf
}

func (w *world) announced() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.announcements)
}

func (w *world) losses() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lost)
}

func start(t *testing.T) *world { return startLogging(t, io.Discard) }

func startLogging(t *testing.T, log io.Writer) *world {
	w := &world{epoch: time.Now()}
	lost := func(_ config.InstanceID, reason string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.lost = append(w.lost, reason)
	}
	w.Addresses = NewAddresses(&w.kernel, w, lost, slog.New(slog.NewTextHandler(log, nil)))
	w.Set([]VIPs{mysql(5*time.Second, vip)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	w.stop = func() { cancel(); <-done }
	return w
}

func mysql(lease time.Duration, all ...netip.Prefix) VIPs {
	return VIPs{Instance: "mysql", Interface: "eth0", Addresses: all, Lease: lease}
}

func TestVIPIsUpAtOnceAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		synctest.Wait()
		if len(w.kernel.done()) != 0 {
			t.Fatalf("the kernel was changed before the first acquisition: %v", w.kernel.done())
		}
		began := time.Now()
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		if !w.kernel.has("eth0", vip) || time.Since(began) != 0 {
			t.Fatalf("the VIP is not up at once: %v after %s", w.kernel.done(), time.Since(began))
		}
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if !w.kernel.has("eth0", vip) {
				t.Fatalf("the VIP lapsed after %s", time.Since(began))
			}
		}
		if n := len(w.kernel.done()); n < 30 || n > 40 {
			t.Errorf("%d writes in a minute with a lease of 5 s, want one every 5/3 s", n)
		}
		w.stop()
		if w.kernel.has("eth0", vip) {
			t.Error("the VIP is still there after Run ended")
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
		if !slices.Equal(w.announced(), want) {
			t.Errorf("gratuitous ARP at %v, want at %v", w.announced(), want)
		}
		w.Addresses.Announce("mysql")
		synctest.Wait()
		if n := len(w.announced()); n != len(want)+1 {
			t.Errorf("%d announcements after one more was requested, want %d", n, len(want)+1)
		}
		w.Addresses.Release("mysql")
		synctest.Wait()
		n := len(w.announced())
		time.Sleep(30 * time.Second)
		if len(w.announced()) != n {
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
		w.kernel.foreignRemove("eth0", vip)
		began := time.Now()
		w.Addresses.Gone("eth0", vip)
		synctest.Wait()
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP was not restored")
		}
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("restored after %s, want at most 50ms", took)
		}
		if len(w.losses()) != 0 {
			t.Errorf("reported as lost to the election: %v", w.losses())
		}
		w.stop()
	})
}

func TestLapsedLeaseIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.kernel.fail(errors.New("operation not permitted"))
		time.Sleep(10 * time.Second)
		if len(w.losses()) != 1 {
			t.Fatalf("%d losses reported to the election, want 1: %v", len(w.losses()), w.losses())
		}
		w.kernel.fail(nil)
		time.Sleep(time.Minute)
		if w.kernel.has("eth0", vip) {
			t.Error("a lapsed VIP was added again without an acquisition")
		}
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP is not up after it was acquired again")
		}
		w.stop()
	})
}

// When the kernel blocks the write of one VIP, the loop does not write another VIP after its lease has expired.
func TestSlowKernelRenewsNothingTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		second := netip.MustParsePrefix("10.77.0.101/32")
		w.Set([]VIPs{mysql(3*time.Second, vip, second)})
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		w.kernel.setDelay(4 * time.Second)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		puts := len(w.kernel.done())
		w.kernel.setDelay(0)
		time.Sleep(10 * time.Second)
		log := w.kernel.done()[puts:]
		if slices.Contains(log, "ip addr replace 10.77.0.101/32 dev eth0 valid_lft 3") || w.kernel.has("eth0", second) {
			t.Errorf("a VIP was renewed after its lease: %v", log)
		}
		if lost := w.losses(); len(lost) != 1 {
			t.Errorf("losses reported to the election: %v, want 1", lost)
		}
		w.stop()
	})
}

// An address dump from before the VIP was written is ignored; a later one that lacks the VIP replaces a lost event.
func TestLookThatMissesAVIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		before := time.Now()
		time.Sleep(10 * time.Millisecond)
		writes := len(w.kernel.done())
		w.Missed("eth0", vip, before.Add(-time.Millisecond))
		w.Missed("eth1", vip, time.Now())
		time.Sleep(100 * time.Millisecond)
		if n := len(w.kernel.done()); n != writes {
			t.Errorf("%d writes, want 0", n-writes)
		}
		w.kernel.foreignRemove("eth0", vip)
		w.Missed("eth0", vip, time.Now())
		time.Sleep(50 * time.Millisecond)
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP was not restored")
		}
		time.Sleep(100 * time.Millisecond)
		if n := len(w.kernel.done()); n != writes+1 {
			t.Errorf("%d writes, want 1", n-writes)
		}
		w.stop()
	})
}
