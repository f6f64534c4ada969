package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/ledger"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// Options are what a director needs; all are required.
type Options struct {
	// Config is the validated cluster file; Load reads and validates it again for a reload.
	Config   *config.Config
	Load     func() (*config.Config, error)
	Node     config.Director // this machine
	StateDir string
	Version  string
	Log      *slog.Logger
	// Started is called when the loops run.
	Started func()
}

// Director is the daemon. New makes it, Run is its life.
type Director struct {
	name     string // this machine's in the cluster file
	load     func() (*config.Config, error)
	version  string
	started  func()
	log      *slog.Logger
	stateDir string

	commands chan func()
	stopped  chan struct{}

	// Owned by the goroutine of Run, through commands; view is for everybody else.
	cfg       *config.Config
	node      config.Director
	ctx       context.Context // of the loops that live until the end of Run
	loops     sync.WaitGroup
	fatal     chan error
	ledger    *ledger.Ledger
	addr      *addr.Handle
	sysctls   sysctl.Tree
	instances map[string]*instance
	links     map[string]*link
	local     []addr.Address // of this machine, as last seen
	ready     bool
	addresses *reconcile.Addresses
	checker   *checker.Checker
	table     *table // nil without virtual servers

	view view
}

// readyWithin bounds how long a director that starts leaves a lower-priority MASTER alone because its own first checks
// are not done.
const readyWithin = 30 * time.Second

// New makes a director; nothing is touched before Run.
func New(o Options) *Director {
	d := &Director{
		name: o.Node.Name, node: o.Node, load: o.Load, version: o.Version, started: o.Started, log: o.Log, stateDir: o.StateDir, cfg: o.Config,
		commands: make(chan func()), stopped: make(chan struct{}), fatal: make(chan error, 1),
		sysctls: sysctl.Proc(), instances: map[string]*instance{}, links: map[string]*link{},
	}
	d.publish()
	return d
}

// Run directs until ctx ends, then withdraws: priority 0 is sent, VIPs and virtual servers are removed, sysctls get
// their former values. The error says what could not be started, with the remedy.
func (d *Director) Run(ctx context.Context) (err error) {
	defer close(d.stopped)
	if err := d.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.ledger.Close()) }()
	defer d.addr.Close()

	loops, stopLoops := context.WithCancel(context.Background())
	defer stopLoops()
	d.ctx = loops
	defer func() {
		// The order of leaving: first the peers learn of it, then the VIPs go, then what served them.
		d.stopInstances()
		stopLoops()
		d.loops.Wait()
		err = errors.Join(err, d.withdraw())
	}()

	if err := d.start(); err != nil {
		return err
	}
	d.started()
	d.log.Info("directing", "node", d.name, "config", d.cfg.Summary())
	for {
		select {
		case <-ctx.Done():
			d.log.Info("stopping")
			return nil
		case err := <-d.fatal:
			return err
		case command := <-d.commands:
			command()
			d.publish()
		}
	}
}

// open takes hold of the state directory and of the kernel's addresses, and removes VIPs that an earlier run left.
func (d *Director) open() (err error) {
	if d.ledger, err = ledger.Open(d.stateDir); err != nil {
		return err
	}
	if warning := d.ledger.Warning(); warning != "" {
		d.log.Warn("state", "problem", warning)
	}
	if d.addr, err = addr.Open(); err != nil {
		return errors.Join(err, d.ledger.Close())
	}
	if err = d.removeStale(); err != nil {
		d.addr.Close()
		return errors.Join(err, d.ledger.Close())
	}
	return nil
}

// start builds the loops. What fails here fails the daemon: a missing privilege or kernel feature is told at once.
func (d *Director) start() error {
	if d.needsTable(d.cfg) {
		if err := d.openTable(); err != nil {
			return err
		}
	}
	handle, err := addr.Open() // of its own: the VIP path waits for nobody
	if err != nil {
		return err
	}
	voice := newAnnouncer()
	d.addresses = reconcile.NewAddresses(handle, voice, d.leaseLost, d.log)
	d.addresses.Set(d.vips(d.cfg))
	d.run(func(ctx context.Context) {
		defer handle.Close()
		defer voice.close()
		d.addresses.Run(ctx)
	})
	if d.local, err = d.addr.List(""); err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	d.startChecks()
	if d.table != nil {
		d.startTable()
	}
	if err := d.startLinks(d.cfg); err != nil {
		return err
	}
	d.run(func(ctx context.Context) { d.watch(ctx) })
	d.refreshLinks()
	d.startInstances(d.cfg)
	d.publish()
	d.run(d.awaitReady)
	return nil
}

// run starts a loop that ends with Run.
func (d *Director) run(loop func(ctx context.Context)) {
	d.loops.Go(func() { loop(d.ctx) })
}

// do runs f in the goroutine that owns the director and waits for it; false when Run has ended.
func (d *Director) do(f func()) bool {
	done := make(chan struct{})
	select {
	case d.commands <- func() { defer close(done); f() }:
		<-done
		return true
	case <-d.stopped:
		return false
	}
}

// tell is do for the loops: it also gives up when they are told to stop, so that stopping never waits in a circle.
func (d *Director) tell(ctx context.Context, f func()) {
	select {
	case d.commands <- f:
	case <-ctx.Done():
	}
}

func (d *Director) fail(err error) {
	select {
	case d.fatal <- err:
	default:
	}
}

// awaitReady lets the instances preempt once every check has run and the table stands.
func (d *Director) awaitReady(ctx context.Context) {
	limit := time.NewTimer(readyWithin)
	defer limit.Stop()
	waits := []<-chan struct{}{d.checker.Ready()}
	if d.table != nil {
		waits = append(waits, d.table.loop.Synced())
	}
	for _, wait := range waits {
		select {
		case <-wait:
		case <-limit.C:
			d.log.Warn("first checks or table not done in time; taking part in elections all the same", "after", readyWithin.String())
			d.tell(ctx, d.becomeReady)
			return
		case <-ctx.Done():
			return
		}
	}
	if d.table != nil { // verdicts may be newer than the table: one more pass, then it stands
		d.table.loop.Poke()
	}
	d.tell(ctx, d.becomeReady)
}

// vips lists what the address loop keeps while an instance is MASTER.
func (d *Director) vips(cfg *config.Config) []reconcile.VIPs {
	all := make([]reconcile.VIPs, 0, len(cfg.Instances))
	for _, base := range cfg.Instances {
		i := base.For(d.name)
		all = append(all, reconcile.VIPs{Instance: i.Name, Interface: i.Interface, Addresses: i.VirtualAddresses, Lease: i.Lease})
	}
	return all
}

// isVIP says whether an address is a VIP of the file, which must never be the source of anything.
func isVIP(cfg *config.Config) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		return slices.ContainsFunc(cfg.Instances, func(i config.Instance) bool {
			return slices.ContainsFunc(i.VirtualAddresses, func(p netip.Prefix) bool { return p.Addr() == a })
		})
	}
}

// removeStale removes the VIPs that an earlier run left behind: those of the file and those the ledger names. It comes
// before the first advert, so that a director that was killed never answers for a VIP it does not hold.
func (d *Director) removeStale() error {
	found, err := d.addr.List("")
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	stale := map[string]bool{}
	for _, v := range d.vips(d.cfg) {
		for _, p := range v.Addresses {
			stale[v.Interface+" "+p.String()] = true
		}
	}
	for _, a := range d.ledger.Addresses() {
		stale[a.Interface+" "+a.Prefix] = true
	}
	for _, a := range found {
		if !stale[a.Interface+" "+a.Prefix.String()] {
			continue
		}
		if err := d.addr.Remove(a.Interface, a.Prefix); err != nil {
			return fmt.Errorf("remove the VIP %s that an earlier run left on %s: %w", a.Prefix, a.Interface, err)
		}
		d.log.Info("removed a VIP that an earlier run left", "interface", a.Interface, "vip", a.Prefix.String())
	}
	return d.recordVIPs(d.cfg)
}

// recordVIPs writes down the addresses that this daemon may add, before it adds any: the take-over itself must not wait
// for a disk.
func (d *Director) recordVIPs(cfg *config.Config) error {
	var all []ledger.Address
	for _, v := range d.vips(cfg) {
		for _, p := range v.Addresses {
			all = append(all, ledger.Address{Interface: v.Interface, Prefix: p.String()})
		}
	}
	return d.ledger.SetAddresses(all)
}
