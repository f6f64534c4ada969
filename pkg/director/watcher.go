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

// lookEvery is how often links and addresses are read although no event came: events can be lost, the state cannot.
const lookEvery = time.Second

// sight is what the watcher saw in one look.
type sight struct {
	links     []kernel.Link
	addresses []kernel.Address
	begun     time.Time // of the look; zero: nothing was seen yet
}

// watcher follows address and link events, and publishes how interfaces and addresses stand.
type watcher struct {
	kernel Addresses
	watch  func(ctx context.Context, deliver func(addr.Event)) error
	gone   func(iface kernel.IfAddr) // told at once of an address that a process removed
	log    *slog.Logger

	ours  atomic.Pointer[[]plan.VIPs]
	ready task.Latch
	seen  task.Published[sight]
}

func newWatcher(k Addresses, watch func(context.Context, func(addr.Event)) error, gone func(kernel.IfAddr), log *slog.Logger) *watcher {
	w := &watcher{kernel: k, watch: watch, gone: gone, log: log}
	w.Set(nil)
	return w
}

// Set says which VIPs are ours: what the kernel says of their renewal is no news.
func (w *watcher) Set(vips []plan.VIPs) { w.ours.Store(&vips) }

// Snapshot is the newest look, and a channel that is closed when there is another one.
func (w *watcher) Snapshot() (sight, <-chan struct{}) { return w.seen.Get() }

// Name implements task.Task.
func (w *watcher) Name() string { return "the watcher of interfaces" }

// Ready is closed after the first look.
func (w *watcher) Ready() <-chan struct{} { return w.ready.Ready() }

// Run looks until ctx ends, whenever an event comes and once a second.
func (w *watcher) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	dirty := make(chan struct{}, 1)
	var events sync.WaitGroup
	defer events.Wait()
	events.Go(func() { w.follow(ctx, dirty) })
	tick := time.NewTicker(lookEvery)
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
	err := w.watch(ctx, func(e addr.Event) {
		if e.Kind == addr.AddressRemoved && e.Asked { // a lease that ended is the election's affair, and may be old news
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

// renewal says whether an event is only of our own doing: a lease that goes on. Twenty instances of fifty VIPs make
// hundreds of them a second, and each would be a reason to read all addresses.
func (w *watcher) renewal(e addr.Event) bool {
	return e.Kind == addr.AddressAdded && e.Valid != 0 && slices.ContainsFunc(*w.ours.Load(), func(v plan.VIPs) bool {
		return v.Interface == e.Interface && slices.Contains(v.Addresses, e.Prefix)
	})
}

// look reads links and addresses. What cannot be read stays as it was seen last.
func (w *watcher) look() {
	now := w.seen.Load()
	links, err := w.kernel.Links()
	if err != nil {
		w.log.Warn("cannot list the network interfaces; keeping what is known of them", "error", err)
		return
	}
	begun := time.Now()
	addresses, err := w.kernel.List("")
	if err != nil {
		w.log.Warn("cannot list the addresses; keeping what is known of them", "error", err)
		addresses, begun = now.addresses, now.begun
	}
	w.seen.Set(sight{links: links, addresses: addresses, begun: begun})
	w.ready.Close()
}
