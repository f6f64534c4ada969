package director

import (
	"context"
	"errors"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// ErrStopped is returned to a reload that comes after the end.
var ErrStopped = errors.New("the director is stopping")

// Reload reads the cluster file again and brings the loops to it. A file that does not validate changes nothing; its
// problems are the error's text.
func (d *Director) Reload(context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	cfg, err := d.load()
	if err != nil {
		return err
	}
	if d.needsTable(cfg) {
		// Here, for the kernel may take its time to load a module, and a lost carrier must not wait for that.
		if err := lookForIPVS(cfg); err != nil {
			return err
		}
	}
	if !d.do(func() { err = d.apply(cfg) }) {
		return ErrStopped
	}
	if err == nil {
		d.log.Info("reloaded", "config", cfg.Summary(), "digest", cfg.Digest)
	}
	return err
}

// apply changes the running configuration. What can fail comes first and is taken back when it does, so that a failure
// leaves everything as it was.
func (d *Director) apply(cfg *config.Config) error {
	node, err := cfg.DirectorNamed(d.name)
	if err != nil {
		return err
	}
	if err := d.prepare(cfg); err != nil {
		d.settle()
		return err
	}
	d.node, d.cfg = node, cfg
	d.checker.Set(d.checks(cfg))
	if d.table != nil {
		d.table.cfg.Store(cfg)
		d.table.loop.Poke()
	}
	d.moveVIPs(cfg)
	d.refreshLinks()
	d.adjustInstances(cfg)
	d.startInstances(cfg)
	d.settle()
	return nil
}

// prepare gets hold of what cfg needs beside what the running configuration needs.
func (d *Director) prepare(cfg *config.Config) error {
	d.saved(d.ledger.RecordAddress(d.records(cfg)...))
	if err := d.startLinks(cfg); err != nil {
		return err
	}
	switch {
	case !d.needsTable(cfg):
		return nil
	case d.table != nil:
		return d.setSysctls(cfg)
	}
	if err := d.openTable(cfg); err != nil {
		return err
	}
	d.startTable()
	return nil
}

// settle gives up what the configuration that runs does not need.
func (d *Director) settle() {
	d.stopLinks(d.cfg)
	d.recordVIPs(d.cfg)
	if err := d.restoreSysctls(d.wantedSysctls(d.cfg)); err != nil {
		d.log.Warn("sysctls that are not needed any more keep our values", "error", err)
	}
}

// moveVIPs stops the instances that are gone from the file, and those that became another virtual router, and tells the
// address loop of all VIPs. Those that others take over are made known first, so that they are not removed on the way.
func (d *Director) moveVIPs(cfg *config.Config) {
	next, obsolete := d.vips(cfg), map[string]bool{}
	for name, i := range d.instances {
		obsolete[name] = becomesAnother(i.cfg, cfg, d.name)
	}
	during := slices.DeleteFunc(slices.Clone(next), func(v reconcile.VIPs) bool { return obsolete[v.Instance] })
	for name, i := range d.instances {
		if obsolete[name] {
			during = append(during, vipsOf(i.cfg))
		}
	}
	d.addresses.Set(during)
	for name, i := range d.instances {
		if obsolete[name] {
			d.stopInstance(i)
		}
	}
	d.addresses.Set(next)
}

// becomesAnother says whether an instance is not the same virtual router in another file, or not there at all.
func becomesAnother(now config.Instance, cfg *config.Config, node string) bool {
	at := slices.IndexFunc(cfg.Instances, func(c config.Instance) bool { return c.Name == now.Name })
	if at < 0 {
		return true
	}
	next := cfg.Instances[at].For(node)
	return next.Interface != now.Interface || next.VRID != now.VRID || next.ProtocolVersion != now.ProtocolVersion
}

// adjustInstances gives the running instances their new priority, interval, VIPs and tracks without leaving the state.
func (d *Director) adjustInstances(cfg *config.Config) {
	for _, base := range cfg.Instances {
		old := d.instances[base.Name]
		if old == nil {
			continue
		}
		next := base.For(d.name)
		i := *old // the view still shows the old one to others
		i.cfg, i.params = next, params(next, old.params.Source)
		d.instances[base.Name] = &i
		i.actor.Reconfigure(i.params, advertised(next))
		for who := range i.faults {
			if who != faultLink && !slices.Contains(next.Tracks, who[len(faultTrack):]) {
				i.setFault(who, "")
			}
		}
		for _, name := range next.Tracks {
			i.setFault(faultTrack+name, d.trackFault(name))
		}
	}
}
