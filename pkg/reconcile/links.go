package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// LinkKernel lists interfaces, and adds and removes those for VIPs. Every call has its own deadline.
type LinkKernel interface {
	Links() ([]kernel.Link, error)
	// Add adds an interface, which is down. It returns an error if there is one of this name.
	Add(kernel.VirtualLink) error
	// Remove removes the interface with the index if it has the name and kind, and reports whether it has done so.
	Remove(v kernel.VirtualLink, index int) (bool, error)
}

// LinkRecords stores which interfaces a daemon has added. After an error they are in memory only.
type LinkRecords interface {
	RecordLink(kernel.VirtualLink) error
	ForgetLink(kernel.VirtualLink) error
}

// LinkOptions are the dependencies of Links; all are required.
type LinkOptions struct {
	Kernel  LinkKernel
	Sysctls SysctlKernel
	Records LinkRecords
	// Saved is called with the result of each write of the records.
	Saved func(error)
	Log   *slog.Logger
}

// Links is the loop that keeps the interfaces on which VIPs are. It adds them down; the address loop sets one up as long as
// VIPs are on it. An interface that this loop has not added is never changed. Its methods may be called from any goroutine.
type Links struct {
	o     LinkOptions
	dirty chan struct{}
	ready task.Latch

	mu       sync.Mutex // guards all below, and serializes passes
	want     []kernel.VirtualLink
	ours     map[string]added
	unmade   map[string]string
	trimming bool
	heart    *heartbeat.Signal
}

// added is an interface that this loop has added.
type added struct {
	kernel.VirtualLink
	index int
}

// errForeign: there is an interface of this name that this loop has not added.
var errForeign = errors.New("another program has added an interface of this name: remove that one (ip link del), or write another virtual_interface")

// linksEvery is how often interfaces and their sysctls are looked at without an event.
const linksEvery = 2 * time.Second

// NewLinks makes the loop; no interface is wanted yet.
func NewLinks(o LinkOptions) *Links {
	return &Links{o: o, dirty: make(chan struct{}, 1), ours: map[string]added{}, unmade: map[string]string{}}
}

// Set adds the interfaces now, and Run keeps them. Those that are no longer wanted stay until Trim.
func (l *Links) Set(want []kernel.VirtualLink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = slices.Clone(want)
	l.pass()
}

// Trim lets Run remove the interfaces that are no longer wanted at its next look, when the address loop has put the VIPs
// elsewhere.
func (l *Links) Trim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trimming = true
}

// trim removes them. mu is held.
func (l *Links) trim() {
	if !l.trimming {
		return
	}
	l.trimming = false
	for _, name := range slices.Sorted(maps.Keys(l.ours)) {
		if have := l.ours[name]; !slices.ContainsFunc(l.want, func(v kernel.VirtualLink) bool { return v.Name == name }) {
			if err := l.remove(have); err != nil {
				l.trimming = true
				l.o.Log.Error("cannot remove a virtual interface; trying again", "interface", name, "error", err)
			}
		}
	}
}

// Poke tells the loop that interfaces have changed. It does not block.
func (l *Links) Poke() {
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}

// Unmade returns why an interface is not as it must be, by its name.
func (l *Links) Unmade() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.unmade)
}

// Name implements task.Task.
func (l *Links) Name() string { return "the keeper of virtual interfaces" }

// Ready is closed when the loop is running.
func (l *Links) Ready() <-chan struct{} { return l.ready.Ready() }

// Run keeps the interfaces until ctx ends; it leaves them to its owner then. It returns nil.
func (l *Links) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	tick, beat := heartbeat.NewTicker(linksEvery), heartbeat.NewTicker(heartbeat.Every)
	defer tick.Stop()
	defer beat.Stop()
	l.ready.Close()
	for {
		due := false
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			heart.Beat()
			continue
		case <-l.dirty:
		case <-tick.C:
			due = true
		}
		heart.Beat()
		l.mu.Lock()
		l.heart = heart
		l.pass()
		if due {
			l.trim()
		}
		l.heart = nil
		l.mu.Unlock()
	}
}

// pass adds what is missing, and replaces what another process has changed. mu is held.
func (l *Links) pass() {
	before := l.unmade
	l.unmade = map[string]string{}
	if len(l.want) == 0 {
		return
	}
	links, err := l.o.Kernel.Links()
	for _, v := range l.want {
		if l.heart != nil {
			l.heart.Beat()
		}
		failed := err
		if failed == nil {
			failed = l.keep(v, links)
		}
		if failed == nil {
			continue
		}
		text := failed.Error()
		if l.unmade[v.Name] = text; before[v.Name] != text {
			l.o.Log.Error("cannot keep a virtual interface; trying again", "interface", v.Name, "error", text)
		}
	}
}

func (l *Links) keep(v kernel.VirtualLink, links []kernel.Link) error {
	have, exists := named(links, v.Name)
	parent, hasParent := named(links, v.Parent)
	ours, known := l.ours[v.Name]
	switch {
	case exists && (!known || ours.index != have.Index):
		return errForeign
	case exists && v.Is(have, parent) && ours.VirtualLink == v:
		return l.settings(v)
	case exists:
		l.o.Log.Warn("a virtual interface is not as the cluster file says; replacing it", "interface", v.Name, "hardware_address", have.HardwareAddr)
		if err := l.remove(ours); err != nil {
			return err
		}
	}
	delete(l.ours, v.Name)
	if !hasParent {
		return fmt.Errorf("the interface %s does not exist", v.Parent)
	}
	return l.add(v)
}

func (l *Links) add(v kernel.VirtualLink) error {
	l.o.Saved(l.o.Records.RecordLink(v))
	err := l.o.Kernel.Add(v)
	if err != nil { // it may be another program's: then it must not be removed by the next start
		l.o.Saved(l.o.Records.ForgetLink(v))
		return err
	}
	links, err := l.o.Kernel.Links()
	have, exists := named(links, v.Name)
	if err != nil || !exists {
		return fmt.Errorf("the %s %s has disappeared: %w", v.Kind, v.Name, err)
	}
	l.ours[v.Name] = added{v, have.Index}
	l.o.Log.Info("added a virtual interface", "interface", v.Name, "kind", v.Kind, "on", v.Parent, "hardware_address", have.HardwareAddr)
	return l.settings(v)
}

func (l *Links) remove(a added) error {
	removed, err := l.o.Kernel.Remove(a.VirtualLink, a.index)
	if err != nil {
		return err
	}
	delete(l.ours, a.Name)
	l.o.Saved(l.o.Records.ForgetLink(a.VirtualLink))
	if removed {
		l.o.Log.Info("removed a virtual interface", "interface", a.Name)
	}
	return nil
}

// settings sets the sysctls of an interface, which need not be restored. It receives packets from everywhere, and has no
// routes: rp_filter=1 would drop them, and the larger one of this value and that of "all" applies. It must answer ARP for
// its VIPs only. It has no other IPv6 addresses: RFC 9568, section 7.4, forbids a link-local one that is made of the MAC.
// The first version of MLD has no reports that are delayed until another router has become MASTER.
func (l *Links) settings(v kernel.VirtualLink) error {
	four, six := conf4+v.Name+"/", conf6+v.Name+"/"
	want := [][2]string{{four + "arp_ignore", "1"}, {four + "rp_filter", "2"}}
	if v.IPv6 {
		want = append(want, [][2]string{
			{six + "addr_gen_mode", "1"}, {six + "accept_ra", "0"}, {six + "force_mld_version", "1"}, {six + "disable_ipv6", "0"},
		}...)
	} else if _, err := l.o.Sysctls.Get(six + "disable_ipv6"); err == nil {
		want = append(want, [2]string{six + "disable_ipv6", "1"})
	}
	for _, one := range want {
		if _, err := l.o.Sysctls.Set(one[0], one[1]); err != nil {
			return err
		}
	}
	return nil
}

func named(links []kernel.Link, name string) (kernel.Link, bool) {
	at := slices.IndexFunc(links, func(k kernel.Link) bool { return k.Name == name })
	if at < 0 {
		return kernel.Link{}, false
	}
	return links[at], true
}
