package plan

import (
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Step is one change for one loop. Its content comes from the target plan.
type Step struct {
	Do       Do
	Link     vrrp.Segment      // OpenSocket, ReopenSocket, CloseSocket
	Instance config.InstanceID // StartInstance, SetInstance, StopInstance, Announce
	Name     string            // of the instance, for display
	VIPs     []VIPs            // SetVIPs
	// Heirs, of StopInstance, are running instances that have got all its VIPs; nil if there are none.
	Heirs []config.InstanceID
	// Ending, of SetHooks, are the subjects of the first plan that the second one lacks.
	Ending []HookSubject
}

// Do is the kind of a Step. The order of the constants is the order of steps in a Transition.
type Do string

// Acquiring steps: they can fail and are then undone.
const (
	Record     Do = "record the VIPs" // and routes, before any is added, in addition to those already recorded
	OpenSocket Do = "open the socket of"
	SetSysctls Do = "set the sysctls"
	AddLinks   Do = "add the virtual interfaces"
	OpenTable  Do = "open the table"
)

// Changing steps.
const (
	SetChecks     Do = "set the checks"
	SetWatches    Do = "watch the tracks"
	SetTable      Do = "set the table"
	SetTakeOvers  Do = "set the take-over records"          // before an instance becomes MASTER
	SetSync       Do = "set the connection synchronization" // before an instance that it follows
	ReopenSocket  Do = "reopen the socket of"               // its interface was absent or down, or is another one
	SetSessions   Do = "set the BFD sessions"
	SetMarks      Do = "set which packets are marked"            // before the virtual servers with these marks are in the table
	ReplaceSource Do = "set which source addresses are replaced" // before the virtual servers of these clients are in the table
	KeepReturn    Do = "set what keeps answers on their way"     // not awaited: redirects can go out until it is there
	CloseVIPs     Do = "set the packet filter of the VIPs"       // before a VIP is added
	SetHooks      Do = "set the hooks"
	SetVIPs       Do = "set the VIPs of"
	StopInstance  Do = "stop"
	Announce      Do = "announce"
	SetGroups     Do = "set the sync groups" // before what a member of a changed group, or a new one, is told
	SetInstance   Do = "set"
	StartInstance Do = "start"
)

// Releasing steps: for what is no longer needed.
const (
	CloseSocket Do = "close the socket of"
	RemoveLinks Do = "remove old virtual interfaces"
	Forget      Do = "remove the records of old VIPs"
	GiveBack    Do = "restore the sysctls"
	DropHooks   Do = "remove the hooks of stopped instances"
)

// String describes the step: "set the VIPs of a, b".
func (s Step) String() string {
	text := string(s.Do)
	switch {
	case s.Link.Interface != "":
		text += " " + s.Link.String()
	case s.Instance != "":
		text += " " + s.Name
	}
	for n, v := range s.VIPs {
		separator := ", "
		if n == 0 {
			separator = " "
		}
		text += separator + v.Name
	}
	return text
}

// Transition returns the steps from one plan to another, in order: steps that can fail come first; checks before the
// table, because the table needs the servers' new names; instances that stop before those that start; releases last.
// The order between a table and the VIPs in front of it comes from two successive plans: see Inputs.Next.
func Transition(from, to Plan) []Step {
	return slices.Concat(acquire(from, to), serve(from, to), move(from, to), Release(from, to))
}

func acquire(from, to Plan) []Step {
	var steps []Step
	if len(without(to.Records, from.Records)) > 0 || !from.Routing.covers(to.Routing) {
		steps = append(steps, Step{Do: Record})
	}
	for _, l := range to.Links {
		if !from.has(l.Segment) {
			steps = append(steps, Step{Do: OpenSocket, Link: l.Segment})
		}
	}
	if len(to.Sysctls) > 0 && !maps.Equal(from.Sysctls, to.Sysctls) {
		steps = append(steps, Step{Do: SetSysctls})
	}
	if !slices.Equal(from.Virtual, to.Virtual) {
		steps = append(steps, Step{Do: AddLinks})
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
	if !slices.Equal(from.Watches, to.Watches) {
		steps = append(steps, Step{Do: SetWatches})
	}
	if !from.Marking.Equal(to.Marking) {
		steps = append(steps, Step{Do: SetMarks})
	}
	if !from.SourceNAT.Equal(to.SourceNAT) {
		steps = append(steps, Step{Do: ReplaceSource})
	}
	if !from.Return.Equal(to.Return) {
		steps = append(steps, Step{Do: KeepReturn})
	}
	if !from.Table.equal(to.Table) {
		steps = append(steps, Step{Do: SetTable})
	}
	if !slices.Equal(from.TakeOvers, to.TakeOvers) {
		steps = append(steps, Step{Do: SetTakeOvers})
	}
	if from.Sync != to.Sync || !from.Quiet.equal(to.Quiet) {
		steps = append(steps, Step{Do: SetSync})
	}
	return steps
}

func move(from, to Plan) []Step {
	var steps []Step
	for _, l := range to.Links {
		if before := from.Link(l.Segment); from.has(l.Segment) && (before.Fault != "" && l.Fault == "" || l.Index != before.Index) {
			steps = append(steps, Step{Do: ReopenSocket, Link: l.Segment})
		}
	}
	if !slices.EqualFunc(from.Sessions, to.Sessions, Session.equal) {
		steps = append(steps, Step{Do: SetSessions})
	}
	if !from.Closed.Equal(to.Closed) {
		steps = append(steps, Step{Do: CloseVIPs})
	}
	steps = append(steps, setHooks(from, to)...)
	steps = append(steps, moveVIPs(from, to)...)
	for _, i := range to.Instances {
		now, before := to.Link(i.Segment), from.Link(i.Segment)
		// The kernel itself notifies the neighbours only if arp_notify is set (Documentation/networking/ip-sysctl.rst).
		// On a new interface the VIPs are added and announced again anyway.
		was, _ := from.Instance(i.ID)
		bridged := before.NoCarrier && now.Fault == "" && !was.LinkFault() // a switch has forgotten them with the link, too
		if from.has(now.Segment) && now.Index == before.Index && (now.HardwareAddr != before.HardwareAddr || bridged) {
			steps = append(steps, Step{Do: Announce, Instance: i.ID, Name: i.Config.Name})
		}
	}
	if !slices.EqualFunc(from.Groups, to.Groups, Group.equal) {
		steps = append(steps, Step{Do: SetGroups})
	}
	var starts []Step
	for _, i := range to.Instances {
		switch before, runs := from.Instance(i.ID); {
		case !runs || i.another(before):
			starts = append(starts, Step{Do: StartInstance, Instance: i.ID, Name: i.Config.Name})
		case !i.equal(before):
			steps = append(steps, Step{Do: SetInstance, Instance: i.ID, Name: i.Config.Name})
		}
	}
	return append(steps, starts...)
}

// moveVIPs stops the instances that are removed and those that become another virtual router, and passes all VIPs to
// the address loop. VIPs that move to another instance are set first, so that they are not removed in between.
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
		steps = append(steps, Step{Do: StopInstance, Instance: i.ID, Name: i.Config.Name, Heirs: heirs(i, from, to)})
	}
	return append(steps, Step{Do: SetVIPs, VIPs: next})
}

// heirs returns the instances of the second plan that have all VIPs of an instance of the first and that go on running.
func heirs(old Instance, from, to Plan) []config.InstanceID {
	var all []config.InstanceID
	for _, p := range old.Config.Held() {
		at := slices.IndexFunc(to.Instances, func(i Instance) bool {
			before, runs := from.Instance(i.ID)
			return i.ID != old.ID && runs && !i.another(before) && i.Config.On(p.Addr()) == old.Config.On(p.Addr()) && slices.Contains(i.Config.Held(), p)
		})
		if at < 0 {
			return nil
		}
		if id := to.Instances[at].ID; !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// Release is the last part of Transition: it releases what only the first plan needs. After a failed step it also
// undoes what earlier steps have acquired, as the transition from the failed plan back to the old one.
func Release(from, to Plan) []Step {
	var steps []Step
	for _, l := range from.Links {
		if !to.has(l.Segment) {
			steps = append(steps, Step{Do: CloseSocket, Link: l.Segment})
		}
	}
	if slices.ContainsFunc(from.Virtual, func(v kernel.VirtualLink) bool { return !slices.Contains(to.Virtual, v) }) {
		steps = append(steps, Step{Do: RemoveLinks})
	}
	if len(without(from.Records, to.Records)) > 0 {
		steps = append(steps, Step{Do: Forget})
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(from.Sysctls)), func(key string) bool { _, stays := to.Sysctls[key]; return !stays }) {
		steps = append(steps, Step{Do: GiveBack})
	}
	if len(endingHooks(from, to)) > 0 {
		steps = append(steps, Step{Do: DropHooks})
	}
	return steps
}

func (p Plan) has(on vrrp.Segment) bool {
	return slices.ContainsFunc(p.Links, func(l Link) bool { return l.Segment == on })
}

func (i Instance) equal(b Instance) bool {
	return i.Config.Name == b.Config.Name && i.Params == b.Params && slices.Equal(i.Advertised, b.Advertised) && slices.Equal(i.Excluded, b.Excluded) && i.Peers.Equal(b.Peers) && i.Fault() == b.Fault() && i.NotReady == b.NotReady && i.Empty == b.Empty && i.Gate == b.Gate && i.Unfit == b.Unfit &&
		i.Config.Announcements.ConflictCheck == b.Config.Announcements.ConflictCheck && i.Config.Lease == b.Config.Lease && // which stalls are measured by
		i.Config.DeafDelay == b.Config.DeafDelay
}

func sameVIPs(a, b VIPs) bool {
	return a.Instance == b.Instance && a.Name == b.Name && a.Interface == b.Interface && a.Base == b.Base && a.Lease == b.Lease && a.Announcements == b.Announcements &&
		slices.Equal(a.Addresses, b.Addresses) && maps.Equal(a.Placements, b.Placements) &&
		slices.Equal(a.Routes, b.Routes) && slices.Equal(a.Rules, b.Rules)
}

func without(list, gone []kernel.IfAddr) []kernel.IfAddr {
	there := make(map[kernel.IfAddr]bool, len(gone))
	for _, g := range gone {
		there[g] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(a kernel.IfAddr) bool { return there[a] })
}
