package director

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// lookEvery is how often links and addresses are read without an event, because events can be lost.
const lookEvery = time.Second

// sight is the result of one read of links and addresses.
type sight struct {
	links     []kernel.Link
	addresses []kernel.Address
	begun     time.Time // of the read; zero: nothing has been read yet
}

// watcher follows address and link events and publishes the state of interfaces and addresses.
type watcher struct {
	kernel Addresses
	watch  func(ctx context.Context, deliver func(addr.Event)) error
	gone   func(iface kernel.IfAddr) // called at once for an address that a process removed
	absent func(iface string)        // called at once for an interface that is gone, or may have been; "": any
	log    *slog.Logger

	ours   atomic.Pointer[[]plan.VIPs]
	ready  task.Latch
	seen   task.Published[sight]
	unread task.Published[string] // why links or addresses could not be read; "" if they were
	logged string                 // the last failure that was logged; owned by look
}

func newWatcher(k Addresses, watch func(context.Context, func(addr.Event)) error, gone func(kernel.IfAddr), absent func(string), log *slog.Logger) *watcher {
	w := &watcher{kernel: k, watch: watch, gone: gone, absent: absent, log: log}
	w.Set(nil)
	return w
}

// Set sets which VIPs are ours: kernel events about their renewal are ignored.
func (w *watcher) Set(vips []plan.VIPs) { w.ours.Store(&vips) }

// Snapshot returns the newest read and a channel that is closed when there is a newer one.
func (w *watcher) Snapshot() (sight, <-chan struct{}) { return w.seen.Get() }

// Name implements task.Task.
func (w *watcher) Name() string { return "the watcher of interfaces" }

// Ready is closed after the first read.
func (w *watcher) Ready() <-chan struct{} { return w.ready.Ready() }

// Run reads links and addresses on each event and once a second until ctx ends.
func (w *watcher) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	dirty := make(chan struct{}, 1)
	var events sync.WaitGroup
	defer events.Wait()
	events.Go(func() { w.follow(ctx, dirty) })
	tick := heartbeat.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-dirty:
		case <-tick.C:
		}
		heart.Beat()
		w.look()
	}
}

func (w *watcher) follow(ctx context.Context, dirty chan<- struct{}) {
	following := false // the first event is always a Resync
	err := w.watch(ctx, func(e addr.Event) {
		// The next look may find the interface as it was.
		if e.Kind == addr.LinkRemoved || e.Kind == addr.Resync && following {
			w.absent(e.Interface)
		}
		following = true
		// An expired lease is handled by the election, and the event may be outdated.
		if e.Kind == addr.AddressRemoved && e.Asked {
			w.gone(kernel.IfAddr{Interface: e.Interface, Prefix: e.Prefix})
		}
		if w.renewal(e) {
			return
		}
		select {
		case dirty <- struct{}{}:
		default:
		}
	})
	if err != nil && ctx.Err() == nil {
		w.log.Warn("cannot follow address and link events; looking every second instead", "error", err)
	}
}

// renewal reports whether an event is only our own renewal of a lease. Twenty instances of fifty VIPs cause hundreds of
// them a second, and each would otherwise cause a read of all addresses.
func (w *watcher) renewal(e addr.Event) bool {
	return e.Kind == addr.AddressAdded && e.Valid != 0 && slices.ContainsFunc(*w.ours.Load(), func(v plan.VIPs) bool {
		return slices.Contains(v.Addresses, e.Prefix) && v.On(e.Prefix) == e.Interface
	})
}

// Problem returns why links or addresses could not be read; "" if they were.
func (w *watcher) Problem() string { return w.unread.Load() }

// look reads links and addresses. If they cannot be read, the last result is kept.
func (w *watcher) look() {
	now, begun := w.seen.Load(), time.Now() // before the names of the interfaces: those that appear later have no addresses in it
	links, err := w.kernel.Links()
	if err != nil {
		w.failed("cannot list the network interfaces; keeping the last known state", err)
		return
	}
	addresses, err := w.kernel.ListOn(links)
	if err != nil {
		w.failed("cannot list the addresses; keeping the last known state", err)
		addresses, begun = now.addresses, now.begun
	} else if w.unread.Load() != "" {
		w.unread.Set("")
		w.logged = ""
		w.log.Info("the network interfaces and addresses can be listed again")
	}
	w.seen.Set(sight{links: links, addresses: addresses, begun: begun})
	w.ready.Close()
}

// failed records a failed read. It is logged once, and not every second.
func (w *watcher) failed(what string, err error) {
	w.unread.Set(err.Error())
	if text := what + err.Error(); text != w.logged {
		w.logged = text
		w.log.Warn(what, "error", err)
	}
}
