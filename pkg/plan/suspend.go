package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Suspends reports whether a virtual server of the file is checked only by the director that is MASTER of its address.
func (p Plan) Suspends() bool {
	return p.Config != nil && slices.ContainsFunc(p.Config.VirtualServers, func(v config.VirtualServer) bool { return v.Suspends })
}

// suspended returns the names of the virtual servers whose checks are suspended: those with ha_suspend of which no instance with one of
// their addresses is among the Active. An address that no instance has is checked.
func (in Inputs) suspended() map[string]bool {
	var all map[string]bool
	for _, v := range in.next().VirtualServers {
		if !v.Suspends {
			continue
		}
		held, active := false, false
		for _, cfg := range in.files() {
			for _, i := range cfg.Instances {
				if holdsOneOf(i, v) {
					held, active = true, active || in.Active[i.ID()]
				}
			}
		}
		if held && !active {
			if all == nil {
				all = map[string]bool{}
			}
			all[v.Name] = true
		}
	}
	return all
}

// holdsOneOf reports whether an instance holds an address of a virtual server.
func holdsOneOf(i config.Instance, v config.VirtualServer) bool {
	for one := range v.Endpoints() {
		for _, p := range i.Held() {
			if p.Addr() == one.Address {
				return true
			}
		}
	}
	return false
}

// SuspendedKeys are the services of the virtual servers whose checks are suspended.
func (t Table) SuspendedKeys() map[lvs.Key]bool {
	if len(t.Suspended) == 0 {
		return nil
	}
	all := map[lvs.Key]bool{}
	for _, v := range t.Servers {
		if t.Suspended[v.Name] {
			for _, k := range lvs.KeysOf(v) {
				all[k] = true
			}
		}
	}
	return all
}

// unasked returns why an instance with these virtual servers must not preempt: the checks of one with ha_suspend have had no result since
// they were suspended, so that this director does not know whether it could serve. They are made as soon as it would preempt.
func (t Table) unasked(pools []int) string {
	for _, n := range pools {
		if v := t.Servers[n]; v.Suspends && (t.Suspended[v.Name] || !t.asked(v)) {
			return "the real servers of " + v.Name + " have not been checked since ha_suspend suspended that"
		}
	}
	return ""
}

// asked reports whether the checks of a pool have said whether it may be used: one is up, or none is waited for. A check that this machine
// could not make for a reason of its own, such as rules of the packet filter that it is still reading, has said nothing.
func (t Table) asked(v config.VirtualServer) bool {
	waits := false
	for _, r := range v.RealServers {
		id := config.ServerID{Service: v.Name, Server: r.Name}
		if r.Role == config.Sorry || t.Decisions.Of(id).Admission != lvs.Admitted {
			continue
		}
		found, _ := t.Verdicts.Of(config.Subject{Server: id})
		switch {
		case found.Known && found.Up:
			return true
		case !found.Known && (found.Code == "" || found.Undecided || found.Code == health.Local):
			waits = true
		}
	}
	return !waits
}
