package director

import (
	"context"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

func serverCheck(virtualServer, realServer string) config.Subject {
	return config.Subject{Server: config.ServerID{Service: virtualServer, Server: realServer}}
}

func trackCheck(track string) config.Subject { return config.Subject{Track: config.TrackID(track)} }

// checks lists everything that cfg wants to have checked on this node.
func (d *Director) checks(cfg *config.Config) []checker.Spec {
	source := d.probeSources(cfg)
	var all []checker.Spec
	for _, v := range cfg.VirtualServers {
		for _, r := range v.RealServers {
			all = append(all, checker.Spec{
				Subject: serverCheck(v.Name, r.Name), Checks: r.Checks, Address: r.Address, Port: r.Port, Source: source(r.Address),
			})
		}
	}
	for _, t := range cfg.Tracks {
		if d.tracked(cfg, t.Name) {
			all = append(all, checker.Spec{
				Subject: trackCheck(t.Name), Checks: []config.Check{t.Check}, Address: t.Address, Port: t.Check.Port, Source: source(t.Address),
			})
		}
	}
	return all
}

// probeSources chooses where probes of a target come from: our own address on the target's network, else the director's
// own address; invalid, the kernel's choice, when this machine has neither. It is never a VIP, from which a probe would
// get its answer only on the MASTER.
func (d *Director) probeSources(cfg *config.Config) func(target netip.Addr) netip.Addr {
	own := places(d.local, isVIP(cfg))
	return func(target netip.Addr) (found netip.Addr) {
		for _, at := range own {
			switch ip := at.Prefix.Addr(); {
			case at.Prefix.Contains(target):
				return ip
			case ip == d.node.Address:
				found = ip
			}
		}
		return found
	}
}

// tracked says whether an instance of this node depends on the track; others are not worth a probe.
func (d *Director) tracked(cfg *config.Config, name string) bool {
	return slices.ContainsFunc(cfg.Instances, func(i config.Instance) bool {
		return slices.Contains(i.For(d.name).Tracks, name)
	})
}

func (d *Director) startChecks() {
	d.checker = checker.New(probe.Make, new(checker.SecretFiles).Read, d.log, d.verdictChanged)
	d.checker.Pulse = d.pulses.Start("the checker")
	d.checker.Set(served(d.checks(d.cfg), d.cfg, d.found))
	d.run(func(ctx context.Context) {
		if err := d.checker.Run(ctx); err != nil && ctx.Err() == nil {
			d.fail(err)
		}
	})
}

// served marks the real servers that stand in a table.
func served(specs []checker.Spec, cfg *config.Config, table []lvs.Service) []checker.Spec {
	stands := map[config.Subject]bool{}
	for _, v := range cfg.VirtualServers {
		for _, s := range table {
			if s.Key != lvs.KeyOf(v) {
				continue
			}
			for _, r := range v.RealServers {
				stands[serverCheck(v.Name, r.Name)] = slices.ContainsFunc(s.Servers, func(have lvs.Server) bool {
					return have.Address == r.Address && have.Port == r.Port
				})
			}
		}
	}
	for i, spec := range specs {
		specs[i].Served = stands[spec.Subject]
	}
	return specs
}

// verdictChanged is called by the checker's loop; it must not wait.
func (d *Director) verdictChanged(subject config.Subject, _ health.Verdict) {
	if subject.Track == "" {
		if t := d.view.load().table; t != nil {
			t.loop.Poke()
		}
		return
	}
	d.loops.Go(func() {
		d.tell(d.ctx, func() {
			for _, i := range d.instances {
				if slices.Contains(i.cfg.Tracks, string(subject.Track)) {
					i.setFault(fault{subject.Track}, d.trackFault(string(subject.Track)))
				}
			}
		})
	})
}

// trackFault is why a tracked check forbids serving, "" when it does not: unknown is not down.
func (d *Director) trackFault(name string) string {
	v := d.checker.Verdict(trackCheck(name))
	if v.Known && !v.Up {
		return name + ": " + v.Reason
	}
	return ""
}

// condition is what lvs.Desired asks of the checks.
func (d *Director) condition(server config.ServerID) lvs.Condition {
	v := d.checker.Verdict(config.Subject{Server: server})
	return lvs.Condition{Known: v.Known, Up: v.Up, Full: v.Full}
}
