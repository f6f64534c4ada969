package director

import (
	"context"
	"errors"
	"time"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// ErrStopped is returned by a reload after Run has ended.
var ErrStopped = errors.New("the director is stopping")

// tableFirst limits how long VIPs added by a reload wait for their virtual servers.
const tableFirst = time.Second

// Reload reads the cluster file again and applies it to the loops. An invalid file changes nothing; its problems are
// the text of the error. If ctx ends, an error is returned and the reload may be partly applied. A file without most of the
// real servers is refused with ErrLarge; with force it is applied, with a warning.
//
// It changes the plan's inputs twice: first checks and table follow the new file, then the elections.
func (d *Director) Reload(ctx context.Context, force bool) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	cfg, err := d.o.Load()
	if err != nil {
		return err
	}
	if problems := cfg.NoLonger(d.o.Node.Name); problems != nil {
		return &clusterfile.InvalidError{Problems: problems}
	}
	if err := d.admit(cfg, force); err != nil {
		return err
	}
	// Done here and not in the director's own goroutine: the kernel may need time to load a module, and the reaction to a
	// lost carrier must not wait for that.
	if err := usable(d.o.Kernel, cfg); err != nil {
		return err
	}
	secrets := passwords(cfg, d.o.Node.Name)
	if err := unusablePasswords(cfg, d.o.Node.Name, secrets); err != nil {
		return err
	}
	l := d.loops.Load()
	if l == nil { // the start has not finished
		if err := d.do(ctx, func() { l = d.loops.Load() }); err != nil {
			return err
		}
	}
	var added []lvs.Key
	var refused error
	named := l.overrides.rename(d.running(), cfg)
	done := false
	defer func() { named(done) }()
	if err := d.do(ctx, func() { added, refused = d.prepare(l, cfg) }); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	if len(added) > 0 {
		l.table.await(added, d.plan.Get, tableFirst, d.stopped)
	}
	if err := d.do(ctx, func() { refused = d.move(l, cfg, secrets) }); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	done = true
	l.directory.Set(cfg.MaintenanceDir)
	if cfg.MaintenanceDir == "" {
		l.overrides.follow(l.directory.Listing)
	}
	l.notifier.Acknowledge()
	d.log.Info("reloaded", "config", cfg.Summary(), "digest", cfg.Digest)
	return nil
}

// prepare applies the file to everything behind the VIPs: sockets, sysctls, checks, the table. It returns the virtual
// servers that must be in place before their VIPs are added. On an error nothing has changed.
func (d *Director) prepare(l *loops, cfg *config.Config) ([]lvs.Key, error) {
	// On an error the file is not at fault; the instances detect a missing interface.
	if known, err := l.kernel.Links(); err == nil {
		if problems := d.plan.Load().UnknownInterfaces(cfg, d.in.Node, known); problems != nil {
			return nil, &clusterfile.InvalidError{Problems: problems}
		}
		if problems := plan.OverMTU(cfg, d.in.Node, known); problems != nil {
			return nil, &clusterfile.InvalidError{Problems: problems}
		}
	}
	before := d.in.Next
	d.in.Next, d.changed = cfg, true
	if err := d.turn(l); err != nil {
		d.in.Next = before
		return nil, err
	}
	limitMemory(cfg)
	return d.in.OnNewVIPs(), nil
}

// move applies the file to the instances and their VIPs, after checks and table.
func (d *Director) move(l *loops, cfg *config.Config, secrets map[string]plan.Password) error {
	d.in.Config, d.in.Next, d.in.Passwords, d.changed = cfg, nil, secrets, true
	return d.turn(l)
}
