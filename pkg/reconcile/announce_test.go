package reconcile

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// manyVIPs returns n VIPs.
func manyVIPs(n int) (all []netip.Prefix) {
	for i := range n {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(1 + i/200), byte(1 + i%200)}), 32))
	}
	return all
}

// The first announcement of every VIP is sent at once; repetitions are spread as the policy says, and the lease is renewed
// meanwhile.
func TestAnnouncementsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		v := mysql(5*time.Second, manyVIPs(200)...)
		v.Announcements = config.DefaultAnnouncements()
		v.Announcements.Interval, v.Announcements.Repeat = 10*time.Millisecond, 2
		w.Set([]VIPs{v})
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Second)
		if at := w.announced(); len(at) != 200 || at[199] != 0 {
			t.Fatalf("%d announcements in the first second, the last at %v; want 200 at once", len(at), at[len(at)-1])
		}
		time.Sleep(9 * time.Second)
		at := w.announced()[200:]
		if len(at) != 200 || at[0] != 1100*time.Millisecond || at[199] < at[0]+199*10*time.Millisecond {
			t.Errorf("%d repetitions from %s to %s; want 200 from 1.1s on, 10 ms apart", len(at), at[0], at[len(at)-1])
		}
		for i := 1; i < len(at); i++ {
			if at[i]-at[i-1] < 10*time.Millisecond {
				t.Fatalf("announcements at %s and %s", at[i-1], at[i])
			}
		}
		if !slices.Equal(w.order[:200], w.order[200:400]) {
			t.Error("the repetitions have another order")
		}
		w.Addresses.Announce("mysql")
		synctest.Wait()
		if n := len(w.announced()); n != 600 {
			t.Errorf("%d announcements at once after an event, want 200", n-400)
		}
		w.stop()
	})
}

// Thousands of VIPs are announced without a delay of the renewals of their leases.
func TestManyAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		var all []VIPs
		for i, part := range slices.Collect(slices.Chunk(manyVIPs(5000), 50)) {
			v := mysql(3*time.Second, part...)
			v.Instance, v.Announcements = config.InstanceID([]byte{'a' + byte(i/26), 'a' + byte(i%26)}), config.DefaultAnnouncements()
			v.Announcements.Repeat, v.Announcements.Refresh = 1, time.Second
			all = append(all, v)
		}
		w.Set(all)
		for _, v := range all {
			w.Addresses.Acquire(v.Instance, false)
		}
		time.Sleep(10 * time.Second)
		// 50 passes and what waits for them.
		if n := len(w.announced()); n < 40_000 {
			t.Errorf("%d announcements in 10 s, want about 5 000 a second", n)
		}
		if len(w.losses()) > 0 {
			t.Errorf("lost: %v", w.losses())
		}
		w.stop()
	})
}

// VIPs that cannot be announced are a trouble until they can be.
func TestAnnouncementsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		second := netip.MustParsePrefix("10.77.0.101/32")
		w.Set([]VIPs{mysql(5*time.Second, vip, second)})
		w.Addresses.Acquire("mysql", false)
		time.Sleep(30 * time.Second)
		mute := errors.New("no buffer space available")
		w.set(func() { w.mute, w.order = mute, nil })
		w.Addresses.Announce("mysql")
		time.Sleep(time.Minute)
		if all := w.Troubles(); len(all) != 1 || !errors.Is(all[0].Unannounced, mute) || all[0].Interface != "eth0" {
			t.Errorf("troubles: %+v", all)
		}
		w.set(func() { w.mute = nil })
		time.Sleep(time.Second + 10*time.Millisecond)
		if all := w.Troubles(); len(all) != 0 || !slices.Contains(w.order, vip.Addr()) || !slices.Contains(w.order, second.Addr()) {
			t.Errorf("a second after the repair: %+v, announced %v", all, w.order)
		}
		if text := log.String(); strings.Count(text, "cannot announce") != 1 || strings.Count(text, "can be announced again") != 1 {
			t.Errorf("the log:\n%s", text)
		}
		w.stop()
	})
}

// TestInterfaceWithoutARP: VIPs on an interface without ARP are announced to nobody, which is no trouble to mend and is logged
// once, until the interface has ARP.
func TestInterfaceWithoutARP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := startLogging(t, &log)
		w.set(func() { w.mute = fmt.Errorf("open: %w", kernel.ErrNoNeighbours) })
		w.Set([]VIPs{mysql(5*time.Second, vip, netip.MustParsePrefix("10.77.0.101/32"))})
		w.Addresses.Acquire("mysql", false)
		time.Sleep(time.Minute)
		w.Addresses.Ask("mysql", vip.Addr())
		synctest.Wait()
		if want := []Trouble{{Instance: "mysql", Interface: "eth0", Untold: true}}; !slices.Equal(w.Troubles(), want) {
			t.Errorf("troubles: %+v, want %+v", w.Troubles(), want)
		}
		if text := log.String(); strings.Count(text, "has no ARP") != 1 || strings.Contains(text, "cannot") {
			t.Errorf("the log:\n%s", text)
		}
		w.set(func() { w.mute = nil })
		w.Addresses.Announce("mysql")
		time.Sleep(time.Second)
		if all := w.Troubles(); len(all) != 0 || len(w.announced()) < 2 {
			t.Errorf("with ARP: troubles %+v, %d announcements", all, len(w.announced()))
		}
		w.stop()
	})
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// Requests of the election between two passes: the last one counts.
func TestAnnouncementsBesideAnotherMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(20 * time.Second)
		since := func(f func()) (all []time.Duration) {
			synctest.Wait()
			before, begun := len(w.announced()), time.Since(w.epoch)
			f()
			time.Sleep(2 * time.Second)
			for _, at := range w.announced()[before:] {
				all = append(all, at-begun)
			}
			time.Sleep(8 * time.Second)
			return all
		}
		if got, want := since(func() { w.Outranked("mysql", 0) }), in(0, 300, 1400); !slices.Equal(got, want) {
			t.Errorf("a MASTER that gives way: announced at %v, want %v", got, want)
		}
		if got, want := since(func() { w.Addresses.Announce("mysql"); w.Outranked("mysql", 250*time.Millisecond) }), in(250, 1350); !slices.Equal(got, want) {
			t.Errorf("one that does not: announced at %v, want %v", got, want)
		}
		w.Addresses.Ask("mysql", vip.Addr())
		w.Addresses.Ask("other", vip.Addr())
		w.Addresses.Release("mysql")
		synctest.Wait()
		w.Addresses.Ask("mysql", vip.Addr())
		synctest.Wait()
		if len(w.asked) > 1 {
			t.Errorf("probes of a VIP that is not held: %v", w.asked)
		}
		w.stop()
	})
}

// TestFailedQuestions: a question that cannot be asked changes nothing about the announcements, also one about a VIP that
// a reload has removed.
func TestFailedQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.Addresses.Acquire("mysql", false)
		time.Sleep(20 * time.Second)
		before := len(w.announced())
		w.set(func() { w.deaf = errors.New("no link-local address") })
		w.Addresses.Ask("mysql", vip.Addr())
		time.Sleep(5 * time.Second)
		if n, all := len(w.announced())-before, w.Troubles(); n != 0 || len(all) != 0 {
			t.Errorf("%d announcements, and %v", n, all)
		}
		w.Set([]VIPs{mysql(5 * time.Second)})
		w.Addresses.Ask("mysql", vip.Addr())
		synctest.Wait()
		if len(w.asked) != 2 {
			t.Errorf("asked %v", w.asked)
		}
		w.stop()
	})
}
