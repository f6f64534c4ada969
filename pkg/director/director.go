package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/ledger"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/pulse"
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

	reloading sync.Mutex // held by Reload, so that the file read last is the one applied last

	// Owned by the goroutine of Run, through commands; view is for everybody else.
	cfg       *config.Config
	node      config.Director
	ctx       context.Context // of the loops that live until the end of Run
	loops     sync.WaitGroup
	fatal     chan error
	ledger    *ledger.Ledger
	addr      *addr.Handle
	sysctls   *reconcile.Sysctls
	instances map[string]*instance
	links     map[string]*link
	local     []addr.Address // of this machine, as last seen
	ready     bool
	returns   int // of an interface that found no real server in the table
	addresses *reconcile.Addresses
	checker   *checker.Checker
	table     *table        // nil without virtual servers
	found     []lvs.Service // the kernel's table at the start

	pulses     pulse.Set
	standstill atomic.Pointer[string] // what is wrong with the loops; nil or "": nothing

	unsaved atomic.Pointer[string] // why the ledger could not be saved; see saved
	view    view
}

// New makes a director; nothing is touched before Run.
func New(o Options) *Director {
	d := &Director{
		name: o.Node.Name, node: o.Node, load: o.Load, version: o.Version, started: o.Started, log: o.Log, stateDir: o.StateDir, cfg: o.Config,
		commands: make(chan func()), stopped: make(chan struct{}), fatal: make(chan error, 1),
		instances: map[string]*instance{}, links: map[string]*link{},
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
	defer func() { err = errors.Join(err, d.addr.Close(), d.ledger.Close()) }()
	if err := d.removeVIPs(d.cfg); err != nil { // that an earlier run left
		return err
	}
	inherited := len(d.ledger.Services()) > 0

	loops, stopLoops := context.WithCancel(context.Background())
	defer stopLoops()
	d.ctx = loops
	defer func() {
		// The order of leaving: first the peers learn of it, then the VIPs go, then what served them.
		d.stopInstances()
		stopLoops()
		d.loops.Wait()
		if err != nil && inherited {
			// A start that fails is tried again: what an earlier run served lives on until one succeeds.
			err = errors.Join(err, d.withdrawVIPs())
			return
		}
		err = errors.Join(err, d.withdraw())
	}()

	if err := d.start(ctx); err != nil {
		return err
	}
	own := d.pulses.Start("the director's own loop")
	defer own.Stop()
	d.run(d.watchLoops)
	d.started()
	beat := time.NewTicker(pulse.Every)
	defer beat.Stop()
	d.log.Info("directing", "node", d.name, "config", d.cfg.Summary())
	for {
		own.Beat()
		select {
		case <-beat.C:
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

// open takes hold of the state directory, if it can be used, and of the kernel's addresses.
func (d *Director) open() (err error) {
	if d.ledger, err = ledger.Open(d.stateDir); err != nil {
		return err
	}
	if warning := d.ledger.Warning(); warning != "" {
		d.log.Warn("state", "problem", warning)
	}
	d.saved(d.ledger.Keep())
	d.sysctls = d.newSysctls(sysctl.Proc())
	if d.addr, err = addr.Open(); err != nil {
		return errors.Join(err, d.ledger.Close())
	}
	return nil
}

// start builds the loops. What fails here fails the daemon: a missing privilege or kernel feature is told at once.
func (d *Director) start(ctx context.Context) error {
	limitMemory(d.cfg)
	d.recordVIPs(d.cfg)
	if err := d.adoptTable(); err != nil {
		return err
	}
	handle, err := addr.Open() // of its own: the VIP path waits for nobody
	if err != nil {
		return err
	}
	voice := newAnnouncer()
	d.addresses = reconcile.NewAddresses(handle, voice, d.leaseLost, d.log)
	d.addresses.Pulse = d.pulses.Start("the address loop")
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
	d.run(d.watch)
	d.refreshLinks()
	if d.table != nil {
		if err := awaitTable(ctx, d.table.loop.Synced(), d.fatal, d.log); err != nil {
			return err
		}
	}
	d.startInstances(d.cfg)
	d.publish()
	ready, table := d.checker.Ready(), d.table
	d.run(func(ctx context.Context) { d.awaitReady(ctx, ready, table) })
	return nil
}

// run starts a loop that ends with Run.
func (d *Director) run(loop func(ctx context.Context)) {
	d.loops.Go(func() { loop(d.ctx) })
}

// do runs f in the goroutine that owns the director and waits for it until ctx ends. After an error f may run all the same,
// or still be running. The error is ErrStopped when Run has ended.
func (d *Director) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case d.commands <- func() {
		defer close(done)
		f()
		d.publish() // or who asked for it would still see what was before
	}:
	case <-d.stopped:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("the director does not answer: %w", ctx.Err())
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the director has not finished with it: %w", ctx.Err())
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

// withdraw leaves nothing of ours in the kernel. The address loop has removed the VIPs; only what failed then is left of
// them. One thing that cannot be removed keeps nothing else from being removed.
func (d *Director) withdraw() error {
	return errors.Join(d.withdrawVIPs(), d.withdrawTable(), d.sysctls.GiveBack(nil))
}

func (d *Director) withdrawVIPs() error {
	if err := d.removeVIPs(d.cfg); err != nil {
		return err
	}
	d.saved(d.ledger.SetAddresses(nil))
	return nil
}
