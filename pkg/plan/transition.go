package plan

import (
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Step is one thing that is told to one loop. What it is told stands in the plan that is gone to.
type Step struct {
	Do       Do
	Link     vrrp.Segment      // OpenSocket, ReopenSocket, CloseSocket
	Instance config.InstanceID // StartInstance, SetInstance, StopInstance, Announce
	VIPs     []VIPs            // SetVIPs
}

// Do is what a Step does. The order of the constants is the order of steps in a Transition.
type Do string

// Acquiring: what can fail, and is taken back then.
const (
	Record     Do = "record the VIPs" // before any is added, and beside those recorded
	OpenSocket Do = "open the socket of"
	SetSysctls Do = "set the sysctls"
	OpenTable  Do = "open the table"
)

// Changing.
const (
	SetChecks     Do = "set the checks"
	SetTable      Do = "set the table"
	ReopenSocket  Do = "look at the socket of" // its interface has changed
	SetVIPs       Do = "set the VIPs of"
	StopInstance  Do = "stop"
	Announce      Do = "announce"
	SetInstance   Do = "set"
	StartInstance Do = "start"
)

// Releasing: what is not needed any more.
const (
	CloseSocket Do = "close the socket of"
	Forget      Do = "forget the VIPs that went"
	GiveBack    Do = "give the sysctls back"
)

// String says what the step does: "set the VIPs of a, b".
func (s Step) String() string {
	text := string(s.Do)
	switch {
	case s.Link.Interface != "":
		text += " " + s.Link.String()
	case s.Instance != "":
		text += " " + string(s.Instance)
	}
	for n, v := range s.VIPs {
		separator := ", "
		if n == 0 {
			separator = " "
		}
		text += separator + string(v.Instance)
	}
	return text
}

// Transition is the steps from one plan to another, in their order: what can fail comes first; checks before the table, for
// they know the servers' new names; instances that stop before those that start; and what is given up last. The order
// between a table and the VIPs before it is that of two plans: see Inputs.Next.
func Transition(from, to Plan) []Step {
	return slices.Concat(acquire(from, to), serve(from, to), move(from, to), Release(from, to))
}

func acquire(from, to Plan) []Step {
	var steps []Step
	if len(without(to.Records, from.Records)) > 0 {
		steps = append(steps, Step{Do: Record})
	}
	for _, l := range to.Links {
		if !from.has(l.Segment) {
			steps = append(steps, Step{Do: OpenSocket, Link: l.Segment})
		}
	}
	if to.Table.Needed() && !maps.Equal(from.Sysctls, to.Sysctls) {
		steps = append(steps, Step{Do: SetSysctls})
	}
	if to.Table.Needed() && !from.Table.Needed() {
		steps = append(steps, Step{Do: OpenTable})
	}
	return steps
}

func serve(from, to Plan) []Step {
	var steps []Step
	if from.Config == nil || !sameChecks(from.Checks, to.Checks) {
		steps = append(steps, Step{Do: SetChecks})
	}
	if !from.Table.equal(to.Table) {
		steps = append(steps, Step{Do: SetTable})
	}
	return steps
}

func move(from, to Plan) []Step {
	var steps []Step
	for _, l := range to.Links {
		if before := from.Link(l.Segment); from.has(l.Segment) && (l.Fault != before.Fault || l.Source != before.Source || l.Index != before.Index) {
			steps = append(steps, Step{Do: ReopenSocket, Link: l.Segment})
		}
	}
	steps = append(steps, moveVIPs(from, to)...)
	for _, i := range to.Instances {
		now, before := to.Link(i.Segment), from.Link(i.Segment)
		// The kernel itself tells the neighbours only where arp_notify is set (Documentation/networking/ip-sysctl.rst). A new
		// interface gets its VIPs anew.
		if from.has(now.Segment) && now.Index == before.Index && now.HardwareAddr != before.HardwareAddr {
			steps = append(steps, Step{Do: Announce, Instance: i.ID})
		}
	}
	var starts []Step
	for _, i := range to.Instances {
		switch before, runs := from.Instance(i.ID); {
		case !runs || i.another(before):
			starts = append(starts, Step{Do: StartInstance, Instance: i.ID})
		case !i.equal(before):
			steps = append(steps, Step{Do: SetInstance, Instance: i.ID})
		}
	}
	return append(steps, starts...)
}

// moveVIPs stops the instances that are gone, and those that became another virtual router, and tells the address loop of
// all VIPs. Those that others take over are made known first, so that they are not removed on the way.
func moveVIPs(from, to Plan) []Step {
	var stopped []Instance
	for _, i := range from.Instances {
		if next, stays := to.Instance(i.ID); !stays || next.another(i) {
			stopped = append(stopped, i)
		}
	}
	next := to.VIPs()
	if len(stopped) == 0 {
		if slices.EqualFunc(from.VIPs(), next, sameVIPs) {
			return nil
		}
		return []Step{{Do: SetVIPs, VIPs: next}}
	}
	during := slices.DeleteFunc(slices.Clone(next), func(v VIPs) bool {
		return slices.ContainsFunc(stopped, func(i Instance) bool { return i.ID == v.Instance })
	})
	for _, i := range stopped {
		during = append(during, i.VIPs())
	}
	steps := []Step{{Do: SetVIPs, VIPs: during}}
	for _, i := range stopped {
		steps = append(steps, Step{Do: StopInstance, Instance: i.ID})
	}
	return append(steps, Step{Do: SetVIPs, VIPs: next})
}

// Release is the end of Transition: it gives up what only the first plan needs. After a failed step it also takes back what
// the steps before have acquired, as the way from the plan that failed to the one that stays.
func Release(from, to Plan) []Step {
	var steps []Step
	for _, l := range from.Links {
		if !to.has(l.Segment) {
			steps = append(steps, Step{Do: CloseSocket, Link: l.Segment})
		}
	}
	if len(without(from.Records, to.Records)) > 0 {
		steps = append(steps, Step{Do: Forget})
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(from.Sysctls)), func(key string) bool { _, stays := to.Sysctls[key]; return !stays }) {
		steps = append(steps, Step{Do: GiveBack})
	}
	return steps
}

func (p Plan) has(on vrrp.Segment) bool {
	return slices.ContainsFunc(p.Links, func(l Link) bool { return l.Segment == on })
}

func (i Instance) equal(b Instance) bool {
	return i.Params == b.Params && slices.Equal(i.Advertised, b.Advertised) && i.Fault() == b.Fault() && i.NotReady == b.NotReady
}

func sameVIPs(a, b VIPs) bool {
	return a.Instance == b.Instance && a.Interface == b.Interface && a.Lease == b.Lease && slices.Equal(a.Addresses, b.Addresses)
}

func without(list, gone []kernel.IfAddr) []kernel.IfAddr {
	there := make(map[kernel.IfAddr]bool, len(gone))
	for _, g := range gone {
		there[g] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(a kernel.IfAddr) bool { return there[a] })
}
