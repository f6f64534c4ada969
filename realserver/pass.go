package realserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/route"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// round is the desired state, the actual state and the failures of one pass.
type round struct {
	want     State
	have     Found
	problems []problem.Finding // failed included
	failed   failures
}

// forbidden returns the error of the round about a missing privilege, or nil.
func (r round) forbidden() error {
	for _, err := range r.failed {
		if errors.Is(err, kernel.ErrNotPermitted) {
			return err
		}
	}
	return nil
}

// pass makes one round and reports it. It returns the failures; the next pass retries them.
func (a *Agent) pass(look bool) error {
	r := a.work(look)
	a.report(r)
	return errors.Join(r.failed...)
}

func (a *Agent) report(r round) {
	a.logProblems(r.problems)
	a.publish(r.want, r.have, r.problems)
	a.Snapshot() // records the changes
}

// work compares the actual with the desired state and applies the difference. look: read links, addresses and routes
// again; the sysctls are read every time.
func (a *Agent) work(look bool) round {
	var r round
	if look {
		a.looked = time.Now()
		r.failed.add(a.look())
	}
	r.want = Desired(a.cfg, a.links, a.o.Names...)
	r.have = a.found(r.want, &r.failed)
	a.forgetUnwanted(r.want, r.have)
	if !a.stale { // acting on incomplete data could remove addresses that are right
		a.apply(r.want, &r.have, &r.failed)
	}
	a.lookForListeners(r.want)
	a.filter.ask(r.want)
	r.problems = slices.Concat(problems(r.want, r.have), a.silentServices(r.want), a.closedTunnels(r.want), a.filteredServices(r.want), a.waysBack(r.want), r.failed.found(r.want))
	if a.cfg != nil {
		if _, err := a.cfg.RealServersNamed(a.o.Names...); err != nil { // possible after a reload
			r.problems = append(r.problems, problem.Finding{Code: problem.NodeNotInFile, Text: err.Error()})
		}
	}
	if a.saving != nil {
		r.problems = append(r.problems, problem.Finding{Code: problem.StateNotSaved, Text: a.saving.Error()})
	}
	return r
}

// withdraw removes the VIPs and then restores the sysctls.
func (a *Agent) withdraw() error {
	a.cfg = nil
	err := a.pass(true)
	if err != nil { // retry once: the dump may have been interrupted by a change
		err = a.pass(true)
	}
	if err != nil {
		return fmt.Errorf("could not undo all changes (the next start tries again): %w", err)
	}
	return nil
}

// look reads links, addresses and routes; after a failure the previous data are kept and marked as stale.
func (a *Agent) look() error {
	a.stale = true
	links, err := a.e.Addresses.Links()
	if err != nil {
		return err
	}
	addresses, err := a.e.Addresses.List("")
	if err != nil {
		return err
	}
	a.sysctls.Follow(links)
	a.links, a.addresses, a.stale = links, addresses, false
	a.gateways = a.readGateways()
	return nil
}

// found combines the last look with the sysctls and the state file.
func (a *Agent) found(want State, failed *failures) Found {
	values, errs := a.sysctls.Look(want.Sysctls)
	for _, err := range errs {
		failed.add(err)
	}
	return Found{
		Links: a.links, Addresses: slices.Clone(a.addresses), Sysctls: values,
		OwnAddresses: a.e.StateFile.Addresses(), OwnSysctls: a.sysctls.Readable(values),
	}
}

// apply records what is about to be changed, changes it in the plan's order, and updates have.
func (a *Agent) apply(want State, have *Found, failed *failures) {
	plan := Diff(want, *have)
	a.record(want, *have)
	var four, six []Change
	for _, c := range plan.Sysctls.Set {
		if strings.HasPrefix(c.Key, "net/ipv6/") {
			six = append(six, c)
		} else {
			four = append(four, c)
		}
	}
	for _, err := range a.sysctls.Write(four, have.Sysctls) {
		failed.add(err)
	}
	for _, err := range a.sysctls.Write(six, have.Sysctls) {
		failed.add(errors.New(err.Error())) // not one that is forbidden: the VIPs of IPv4 do not depend on it
	}
	for _, name := range plan.Up {
		a.setUp(name, have, failed)
	}
	exposed := Exposed(want.NICs, have.Sysctls)
	for _, address := range plan.Put {
		if exposed != "" && inARP(address) {
			failed.add(notAdded{address, "this machine would answer ARP for it: " + exposed})
			continue
		}
		if key := disableIPv6(address.Interface); !inARP(address) && have.Sysctls[key] == "1" {
			failed.add(notAdded{address, fmt.Sprintf("IPv6 is off on %s: sysctl -w %s=0", address.Interface, key)})
			continue
		}
		a.put(address, have, failed)
	}
	a.undo(plan, have, failed)
	a.addresses = have.Addresses
}

// record saves what this pass may change before it is changed. Values that are already right are recorded too, so that
// the machine's original value is known if another process changes them later.
func (a *Agent) record(want State, have Found) {
	var addresses []kernel.IfAddr
	for _, w := range want.Addresses {
		if have.hasLink(w.Interface) {
			addresses = append(addresses, w)
		}
	}
	// If saving fails the state is kept in memory. A missing VIP is worse than a value that is left behind after a crash:
	// continue, and report the failure.
	a.sysctls.Record(want.Sysctls, have.Sysctls)
	_ = a.e.StateFile.RecordAddress(addresses...)
	a.saving = a.e.StateFile.Keep()
}

func (a *Agent) setUp(name string, have *Found, failed *failures) {
	if err := a.e.Addresses.SetUp(name); err != nil {
		failed.add(err)
		return
	}
	have.Links = slices.Clone(have.Links)
	for i := range have.Links {
		if have.Links[i].Name == name {
			have.Links[i].Up = true
		}
	}
	a.links = have.Links
	a.done(name, "interface set up", "interface had been set down: set up again", "interface", name)
}

func (a *Agent) put(address kernel.IfAddr, have *Found, failed *failures) {
	if err := a.e.Addresses.Put(address.Interface, address.Prefix, 0); err != nil {
		failed.add(err)
		return
	}
	have.Addresses = slices.DeleteFunc(have.Addresses, func(b addr.Address) bool { // one with a lease
		return b.Interface == address.Interface && b.Prefix == address.Prefix
	})
	have.Addresses = append(have.Addresses, addr.Address{Interface: address.Interface, Prefix: address.Prefix, Global: true})
	a.done(address.String(), "VIP added", "VIP was gone: added again", "interface", address.Interface, "vip", address.Prefix.String())
}

// undo removes the VIPs that are no longer wanted and restores the sysctls. As long as one VIP cannot be removed the
// sysctls stay: without them this machine would answer ARP for it.
func (a *Agent) undo(plan Plan, have *Found, failed *failures) {
	removed := true
	for _, address := range plan.Remove {
		if err := a.e.Addresses.Remove(address.Interface, address.Prefix); err != nil {
			failed.add(err)
			removed = false
			continue
		}
		have.Addresses = slices.DeleteFunc(have.Addresses, func(b addr.Address) bool {
			return b.Interface == address.Interface && b.Prefix == address.Prefix
		})
		a.o.Log.Info("VIP removed", "interface", address.Interface, "vip", address.Prefix.String())
		a.save(a.e.StateFile.ForgetAddress(address))
	}
	if !removed {
		return
	}
	for _, err := range a.sysctls.ApplyRestore(plan.Sysctls, have.Sysctls) {
		failed.add(err)
	}
}

func (a *Agent) save(err error) {
	if err != nil {
		a.saving = err
	}
}

// readGateways finds out where answers leave, for the memberships with forward: nat.
func (a *Agent) readGateways() map[netip.Addr]netip.Addr {
	gateways := map[netip.Addr]netip.Addr{}
	a.noRoute = map[netip.Addr]bool{}
	for _, m := range Desired(a.cfg, nil, a.o.Names...).Memberships {
		switch {
		case m.Forward == config.NAT:
			if gateway, err := a.e.Gateway(m.Address); err == nil {
				gateways[m.Address] = gateway
			}
		case m.mixed():
			if _, err := a.e.Gateway(m.VIP.Addr()); errors.Is(err, route.ErrNoRoute) {
				a.noRoute[m.VIP.Addr()] = true
			}
		}
	}
	return gateways
}

// cannotAnswer returns why answers of a virtual server cannot leave this node, or "". The address that the directors check
// is of the other family than the VIP, so nothing else tells whether this node has a network of the VIP's family.
func (a *Agent) cannotAnswer(m Membership, have Found) string {
	family := kernel.FamilyOf(m.VIP.Addr())
	if !m.mixed() || !a.noRoute[m.VIP.Addr()] || slices.ContainsFunc(have.Addresses, func(b addr.Address) bool {
		return kernel.FamilyOf(b.Prefix.Addr()) == family && slices.Contains(nics(have.Links), b.Interface) && b.Global
	}) {
		return ""
	}
	return fmt.Sprintf("this machine has no address and no route of the family of %s, so answers cannot leave: give it a route to the clients", m.VIP.Addr())
}

// waysBack returns the problems of answers that do not pass a director.
func (a *Agent) waysBack(want State) []problem.Finding {
	var all []problem.Finding
	for _, m := range want.Memberships {
		if p := a.wayBack(m); p != "" {
			all = append(all, problem.Finding{Code: problem.AnswersMissDirector, Subject: m.Name, Text: fmt.Sprintf("virtual server %s: %s", m.Name, p)})
		}
	}
	return all
}

func (a *Agent) wayBack(m Membership) string {
	if m.Forward != config.NAT {
		return ""
	}
	var vips []netip.Addr
	for _, i := range a.cfg.Instances {
		for _, p := range i.Held() {
			vips = append(vips, p.Addr())
		}
	}
	directors := map[netip.Addr]string{}
	for _, d := range a.cfg.Directors {
		directors[d.Address] = d.Name
	}
	return WayBack(vips, directors, m, a.gateways[m.Address])
}

// failures collects errors.
type failures []error

func (f *failures) add(err error) {
	if err != nil {
		*f = append(*f, err)
	}
}
