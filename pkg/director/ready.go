package director

import (
	"context"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// readyWithin bounds how long a director that starts leaves a lower-priority MASTER alone because its own first
	// checks are not done or have found nobody.
	readyWithin = 30 * time.Second
	// servesEvery is how often a director that waits for its first real server looks.
	servesEvery = 100 * time.Millisecond
)

// awaitReady lets the instances preempt once every check has run, the table stands, and it has a real server: a director
// that reaches none, perhaps because its own network is not up yet, would take the VIP from one that serves.
func (d *Director) awaitReady(ctx context.Context, checked <-chan struct{}, t *table) {
	limit := time.NewTimer(readyWithin)
	defer limit.Stop()
	waits := []<-chan struct{}{checked}
	if t != nil {
		waits = append(waits, t.loop.Synced())
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
	if t != nil { // verdicts may be newer than the table: one more pass, then it stands
		t.loop.Poke()
		d.awaitServer(ctx, t, limit.C)
	}
	d.tell(ctx, d.becomeReady)
}

// awaitServer returns when the table has a real server, or at the limit, or when ctx ends.
func (d *Director) awaitServer(ctx context.Context, t *table, limit <-chan time.Time) {
	look := time.NewTicker(servesEvery)
	defer look.Stop()
	told := false
	for {
		// A table that cannot be read is no reason to wait: the table loop says what is wrong with it.
		wanted := t.cfg.Load().VirtualServers // none: what is in the table is what an earlier run left
		if have, err := ipvs.Snapshot(); err != nil || len(wanted) == 0 || serves(wanted, have) {
			return
		}
		if !told {
			d.tell(ctx, func() { d.notReady("no check has found a real server that is up") })
			told = true
		}
		select {
		case <-look.C:
		case <-limit:
			d.log.Warn("no real server is up; taking part in elections all the same", "after", readyWithin.String())
			return
		case <-ctx.Done():
			return
		}
	}
}

// awaitServerAgain is awaitReady for an interface that comes back: while it was away the checks found nobody, and this
// director would take the VIP from one that serves and have nobody to send the clients to.
func (d *Director) awaitServerAgain() {
	t := d.table
	if t == nil {
		return
	}
	wanted := t.cfg.Load().VirtualServers
	if have, err := ipvs.Snapshot(); err != nil || len(wanted) == 0 || serves(wanted, have) {
		return
	}
	d.ready = false
	d.notReady("the interface is back, and no real server has answered since")
	d.returns++
	this := d.returns
	d.run(func(ctx context.Context) {
		limit := time.NewTimer(readyWithin)
		defer limit.Stop()
		d.awaitServer(ctx, t, limit.C)
		d.tell(ctx, func() {
			if this == d.returns { // the limit of an earlier return of a flapping interface is none of the latest
				d.becomeReady()
			}
		})
	})
}

// serves says whether any of the virtual servers has a real server in the table. One is enough: a service that is down
// everywhere must not keep the others from moving.
func serves(servers []config.VirtualServer, table []lvs.Service) bool {
	return slices.ContainsFunc(table, func(have lvs.Service) bool {
		return len(have.Servers) > 0 && slices.ContainsFunc(servers, func(v config.VirtualServer) bool { return lvs.KeyOf(v) == have.Key })
	})
}

func (d *Director) notReady(reason string) {
	for _, i := range d.instances {
		i.actor.Tell(vrrp.NotReady{Reason: reason})
	}
}

func (d *Director) becomeReady() {
	d.ready = true
	for _, i := range d.instances {
		i.actor.Tell(vrrp.Ready{})
	}
}
