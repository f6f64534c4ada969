package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestRetain: VIPs that are kept for a successor stay for a second at most, and are not renewed, repaired or announced.
func TestRetain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		then  func(w *world)
		stays time.Duration
	}{
		{"for a second", func(*world) {}, vrrp.RetainFor},
		{"until they are released", func(w *world) { time.Sleep(100 * time.Millisecond); w.Release("mysql") }, 100 * time.Millisecond},
		{"until they are deleted", func(w *world) {
			w.kernel.foreignRemove("eth0", vip)
			w.Gone("eth0", vip)
			w.Missed("eth0", vip, time.Now())
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t)
				defer w.stop()
				w.Set([]VIPs{mysql(3*time.Second, vip)})
				w.Acquire("mysql", false)
				time.Sleep(1900 * time.Millisecond)
				writes, announced := len(w.kernel.done()), len(w.announced())
				w.Retain("mysql", vrrp.RetainFor)
				w.Addresses.Announce("mysql")
				begun := time.Now()
				tt.then(w)
				for w.kernel.has("eth0", vip) {
					time.Sleep(10 * time.Millisecond)
				}
				if stayed := time.Since(begun); stayed < tt.stays || stayed > tt.stays+20*time.Millisecond {
					t.Errorf("the VIP stayed for %s, want %s", stayed, tt.stays)
				}
				time.Sleep(10 * time.Second)
				if more := w.kernel.done()[writes:]; len(more) > 1 || w.kernel.has("eth0", vip) {
					t.Errorf("the kernel was told %v", more)
				}
				if n := len(w.announced()); n != announced {
					t.Errorf("%d announcements", n-announced)
				}
				if lost := w.losses(); len(lost) > 0 {
					t.Errorf("lost: %v", lost)
				}
			})
		})
	}
}

// TestRetainedAgain: VIPs that are kept for a successor are held as before if they are acquired again.
func TestRetainedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.stop()
		w.Set([]VIPs{mysql(3*time.Second, vip)})
		w.Acquire("mysql", false)
		time.Sleep(time.Second)
		w.Retain("mysql", vrrp.RetainFor)
		time.Sleep(500 * time.Millisecond)
		w.Release("mysql")
		w.Acquire("mysql", true)
		time.Sleep(10 * time.Second)
		if !w.kernel.has("eth0", vip) {
			t.Error("the VIP is gone")
		}
		w.Release("mysql")
	})
}

// TestNoLateAnnouncement: VIPs that are no longer wanted when the kernel has added them, or when the socket for announcements is open,
// are not announced. The other MASTER may have
// announced them meanwhile, and this announcement would be the last one.
func TestNoLateAnnouncement(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(w *world)
		sent int
	}{
		{"still wanted", func(*world) {}, 1},
		{"kept for a successor", func(w *world) { w.Retain("mysql", vrrp.RetainFor) }, 0},
		{"released", func(w *world) { w.Release("mysql") }, 0},
		{"no longer listed", func(w *world) { w.Set(nil) }, 0},
		{"lost and taken again", func(w *world) { w.Release("mysql"); w.Acquire("mysql", true) }, 1},
	} {
		for slow, make := range map[string]func(w *world){
			"adding":  func(w *world) { w.kernel.setDelay(100 * time.Millisecond) },
			"opening": func(w *world) { w.set(func() { w.opening = 100 * time.Millisecond }) },
		} {
			t.Run(tt.name+" while "+slow, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := start(t)
					defer w.stop()
					w.Set([]VIPs{mysql(3*time.Second, vip)})
					make(w)
					w.Acquire("mysql", false)
					time.Sleep(50 * time.Millisecond)
					tt.then(w)
					time.Sleep(450 * time.Millisecond)
					if n := len(w.announced()); n != tt.sent {
						t.Errorf("%d announcements, want %d", n, tt.sent)
					}
				})
			})
		}
	}
}
