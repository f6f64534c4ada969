package director

import (
	"context"
	"errors"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// ErrStopped is returned to a reload that comes after the end.
var ErrStopped = errors.New("the director is stopping")

// Reload reads the cluster file again and brings the loops to it. A file that does not validate changes nothing; its
// problems are the error's text.
func (d *Director) Reload(context.Context) error {
	cfg, err := d.load()
	if err != nil {
		return err
	}
	if !d.do(func() { err = d.apply(cfg) }) {
		return ErrStopped
	}
	if err == nil {
		d.log.Info("reloaded", "config", cfg.Summary(), "digest", cfg.Digest)
	}
	return err
}

// apply changes the running configuration. What can fail comes first, so that a failure leaves everything as it was.
func (d *Director) apply(cfg *config.Config) error {
	node, err := cfg.DirectorNamed(d.name)
	if err != nil {
		return err
	}
	if err := d.recordVIPs(cfg); err != nil {
		return err
	}
	if err := d.startLinks(cfg); err != nil {
		return err
	}
	if d.needsTable(cfg) {
		if err := d.applyTable(cfg); err != nil {
			return err
		}
	}
	d.node, d.cfg = node, cfg
	d.checker.Set(d.checks(cfg))
	if d.table != nil {
		d.table.cfg.Store(cfg)
		d.table.loop.Poke()
	}
	d.stopObsolete(cfg)
	d.addresses.Set(d.vips(cfg))
	d.refreshLinks()
	d.adjustInstances(cfg)
	d.startInstances(cfg)
	d.stopLinks(cfg)
	return nil
}

func (d *Director) applyTable(cfg *config.Config) error {
	if d.table != nil {
		return errors.Join(lookForIPVS(cfg), d.setSysctls(cfg))
	}
	old := d.cfg
	d.cfg = cfg
	err := d.openTable()
	d.cfg = old
	if err == nil {
		d.startTable()
	}
	return err
}

// stopObsolete stops the instances that are gone from the file, and those that became another virtual router.
func (d *Director) stopObsolete(cfg *config.Config) {
	for name, i := range d.instances {
		at := slices.IndexFunc(cfg.Instances, func(c config.Instance) bool { return c.Name == name })
		if at >= 0 {
			next := cfg.Instances[at].For(d.name)
			if next.Interface == i.cfg.Interface && next.VRID == i.cfg.VRID && next.ProtocolVersion == i.cfg.ProtocolVersion {
				continue
			}
		}
		d.stopInstance(i)
	}
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
