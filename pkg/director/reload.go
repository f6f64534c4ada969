package director

import (
	"context"
	"errors"
	"time"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// ErrStopped is returned to a reload that comes after the end.
var ErrStopped = errors.New("the director is stopping")

// tableFirst bounds how long VIPs that a reload adds wait for their virtual servers.
const tableFirst = time.Second

// Reload reads the cluster file again and brings the loops to it. A file that does not validate changes nothing; its
// problems are the error's text. An end of ctx is an error, and leaves open how far it came.
//
// It is two changes of the plan's inputs: first checks and table follow the new file, then the elections do.
func (d *Director) Reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	cfg, err := d.o.Load()
	if err != nil {
		return err
	}
	if len(cfg.VirtualServers) > 0 {
		// Here, for the kernel may take its time to load a module, and a lost carrier must not wait for that.
		if err := find(d.o.Kernel, cfg); err != nil {
			return err
		}
	}
	l := d.loops.Load()
	if l == nil { // the start has not come so far
		return d.do(ctx, func() {})
	}
	var added []lvs.Key
	var refused error
	if err := d.do(ctx, func() { added, refused = d.prepare(l, cfg) }); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	if len(added) > 0 {
		l.table.await(added, tableFirst, d.stopped)
	}
	if err := d.do(ctx, func() { refused = d.move(l, cfg) }); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	d.log.Info("reloaded", "config", cfg.Summary(), "digest", cfg.Digest)
	return nil
}

// prepare changes what runs behind the VIPs: sockets, sysctls, checks, the table. It returns the virtual servers that must
// stand before their VIPs come. A failure leaves everything as it was.
func (d *Director) prepare(l *loops, cfg *config.Config) ([]lvs.Key, error) {
	if _, err := cfg.DirectorNamed(d.in.Node); err != nil {
		return nil, err
	}
	if known, err := l.kernel.Links(); err == nil { // else it is not the file's fault; the instances find out
		if problems := d.plan.Load().UnknownInterfaces(cfg, d.in.Node, known); problems != nil {
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

// move brings the instances and their VIPs to a file that checks and table follow already.
func (d *Director) move(l *loops, cfg *config.Config) error {
	d.in.Config, d.in.Next, d.changed = cfg, nil, true
	return d.turn(l)
}
