package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// ErrStopped is returned to a reload that comes after the end.
var ErrStopped = errors.New("the director is stopping")

const (
	// switchWithin bounds how long a reload waits for the checks to take their new names, during which the table stands
	// still.
	switchWithin = time.Second
	// tableFirst bounds how long VIPs that a reload adds wait for their virtual servers, and tableLook is how often it looks.
	tableFirst = time.Second
	tableLook  = 5 * time.Millisecond
)

// Reload reads the cluster file again and brings the loops to it. A file that does not validate changes nothing; its
// problems are the error's text. An end of ctx is an error, and leaves open how far it came.
func (d *Director) Reload(ctx context.Context) error {
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
	var added []lvs.Key
	var refused error
	if err := d.do(ctx, func() {
		before := d.cfg
		if refused = d.apply(cfg); refused == nil {
			added = onNewVIPs(before, cfg)
		}
	}); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	d.awaitServices(added)
	if err := d.do(ctx, func() { d.move(cfg) }); err != nil {
		return err
	}
	d.log.Info("reloaded", "config", cfg.Summary(), "digest", cfg.Digest)
	return nil
}

// apply changes what runs behind the VIPs: sockets, sysctls, checks, the table. What can fail comes first and is taken
// back when it does, so that a failure leaves everything as it was. move is the rest.
func (d *Director) apply(cfg *config.Config) error {
	node, err := cfg.DirectorNamed(d.name)
	if err != nil {
		return err
	}
	if err := d.findInterfaces(cfg); err != nil {
		return err
	}
	if err := d.prepare(cfg); err != nil {
		d.settle()
		return err
	}
	d.node, d.cfg = node, cfg
	limitMemory(cfg)
	d.switchTo(cfg)
	return nil
}

// switchTo gives checks and table a new configuration at one moment, as the table loop sees it.
func (d *Director) switchTo(cfg *config.Config) {
	if d.table == nil {
		d.checker.Set(d.checks(cfg))
		return
	}
	d.table.switching.Lock()
	defer d.table.switching.Unlock()
	late := time.NewTimer(switchWithin)
	defer late.Stop()
	select {
	case <-d.checker.Set(d.checks(cfg)):
	case <-late.C:
	}
	d.table.cfg.Store(cfg)
	d.table.loop.Poke()
}

// move brings the instances and their VIPs to a configuration that is applied.
func (d *Director) move(cfg *config.Config) {
	d.moveVIPs(cfg)
	d.refreshLinks()
	d.adjustInstances(cfg)
	d.startInstances(cfg)
	d.settle()
}

// findInterfaces refuses a file that brings in an interface which is not there, for that is a typing error: an instance
// would give up its VIPs for it. One that the running configuration names is waited for.
func (d *Director) findInterfaces(cfg *config.Config) error {
	known, err := d.addr.Links()
	if err != nil { // not the file's fault; the instances find out
		return nil
	}
	var problems config.Problems
	for _, base := range cfg.Instances {
		i := base.For(d.name)
		there := slices.ContainsFunc(known, func(k addr.Link) bool { return k.Name == i.Interface })
		if !there && d.links[i.Interface] == nil {
			problems = append(problems, cfg.Problem(i.InterfaceAt,
				fmt.Sprintf("%s has no interface %s", d.name, i.Interface), "see ip link; one that is to come must be there before the reload"))
		}
	}
	if problems == nil {
		return nil
	}
	return &clusterfile.InvalidError{Problems: problems}
}

// onNewVIPs lists the virtual servers on addresses that become VIPs.
func onNewVIPs(before, after *config.Config) []lvs.Key {
	old, next := isVIP(before), isVIP(after)
	var added []lvs.Key
	for _, v := range after.VirtualServers {
		if next(v.Address) && !old(v.Address) {
			added = append(added, lvs.KeyOf(v))
		}
	}
	return added
}

// awaitServices waits until virtual servers stand and have a real server: on a VIP that comes before them clients would
// be refused. A pool that is down does not keep a VIP
// away for long.
func (d *Director) awaitServices(wanted []lvs.Key) {
	if len(wanted) == 0 {
		return
	}
	late := time.NewTimer(tableFirst)
	defer late.Stop()
	for {
		have, err := ipvs.Snapshot()
		if err != nil || !slices.ContainsFunc(wanted, func(key lvs.Key) bool { return !stands(key, have) }) {
			return
		}
		select {
		case <-time.After(tableLook):
		case <-late.C:
			d.log.Warn("no real server for a new VIP yet; it is put all the same", "after", tableFirst.String())
			return
		case <-d.stopped:
			return
		}
	}
}

func stands(key lvs.Key, table []lvs.Service) bool {
	return slices.ContainsFunc(table, func(s lvs.Service) bool { return s.Key == key && len(s.Servers) > 0 })
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
		return d.sysctls.Set(d.wantedSysctls(cfg))
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
	if err := d.sysctls.GiveBack(d.wantedSysctls(d.cfg)); err != nil {
		d.log.Warn("sysctls that are not needed any more keep our values", "error", err)
	}
}

// moveVIPs stops the instances that are gone from the file, and those that became another virtual router, and tells the
// address loop of all VIPs. Those that others take over are made known first, so that they are not removed on the way.
func (d *Director) moveVIPs(cfg *config.Config) {
	next, obsolete := d.vips(cfg), map[config.InstanceID]bool{}
	for name, i := range d.instances {
		obsolete[config.InstanceID(name)] = becomesAnother(i.cfg, cfg, d.name)
	}
	during := slices.DeleteFunc(slices.Clone(next), func(v reconcile.VIPs) bool { return obsolete[v.Instance] })
	for name, i := range d.instances {
		if obsolete[config.InstanceID(name)] {
			during = append(during, vipsOf(i.cfg))
		}
	}
	d.addresses.Set(during)
	for name, i := range d.instances {
		if obsolete[config.InstanceID(name)] {
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
	return now.Reload(cfg.Instances[at].For(node)) == config.Another
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
			if who != (fault{}) && !slices.Contains(next.Tracks, string(who.track)) {
				i.setFault(who, "")
			}
		}
		for _, name := range next.Tracks {
			i.setFault(fault{config.TrackID(name)}, d.trackFault(name))
		}
	}
}
