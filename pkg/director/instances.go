package director

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// instances are the elections of a director. start, set and stop are called only from the director's own goroutine; the
// other methods may be called from any goroutine and do not block.
type instances struct {
	group     *task.Group
	sockets   *sockets
	holder    election.Holder
	suspended func() time.Duration
	told      func(config.InstanceID, event.Event) // called for each state change
	outranked func(config.InstanceID)              // called for each advert of lower rank that a MASTER has received
	log       *slog.Logger

	alarm    *election.Alarm
	starting bool // the daemon is starting: startup_delay counts
	epoch    election.Epoch
	groups   []syncGroup

	mu      sync.Mutex // guards all and retired; never held while waiting for an election
	all     map[config.InstanceID]*instance
	retired []retired
}

// syncGroup is a sync group of the plan with the actors that belong to it.
type syncGroup struct {
	plan.Group
	actors *election.Group
}

type instance struct {
	wanted  plan.Instance
	actor   *election.Actor
	running *task.Running
}

// start starts an instance, one of this many.
func (s *instances) start(i plan.Instance, all int) {
	s.replaceRetired(i)
	var delay time.Duration
	if s.starting {
		delay = i.Config.StartupDelay
	}
	link := s.sockets.link(i.Segment)
	starting := s.starting
	deaf := func() time.Duration {
		if starting && link.Listening() {
			return i.Config.DeafDelay
		}
		return deafLeft(i, link)
	}
	a := election.New(election.Options{
		ID: i.ID, Name: i.Config.Name, Params: i.Params, Addresses: i.Advertised, Excluded: i.Excluded, Peers: i.Peers, Wire: link, Holder: s.holder,
		Log: s.log, Suspended: s.suspended, Record: func(e event.Event) { s.told(i.ID, e) }, Outranked: func() { s.outranked(i.ID) },
		Epoch: s.epoch, StartupDelay: delay, Deaf: deaf, Alarm: s.alarm, Recorded: recordedOf(all),
	})
	if g := s.groupOf(i.ID); g != nil {
		a.Join(g)
	}
	s.sockets.attach(i.Segment, i.Params.VRID, a)
	a.Set(desired(i))
	started := &instance{wanted: i, actor: a, running: s.group.Start(a)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[i.ID] = started
}

// recordedEvents is how many events of all instances together are kept, about 2 MB.
const recordedEvents = 16384

// recordedOf returns how many events of an instance are kept if there are this many instances.
func recordedOf(all int) int { return min(election.MaxRecorded, recordedEvents/max(all, 1)) }

// deafLeft returns for how long an instance on a link that is silent still waits, counted from when that came up: an instance that a
// reload adds or changes does not wait anew. It is at least 1 ns, which is no wait, so that link_silent is reported; 0 if the link is
// not silent, or that does not matter.
func deafLeft(i plan.Instance, link *election.Link) time.Duration {
	if link == nil {
		return 0
	}
	since := link.ListeningFor()
	if since == 0 || i.Config.DeafDelay == 0 {
		return 0
	}
	return max(i.Config.DeafDelay-since, 1)
}

func desired(i plan.Instance) election.Desired {
	return election.Desired{
		Name: i.Config.Name, Params: i.Params, Addresses: i.Advertised, Excluded: i.Excluded, Peers: i.Peers, ConflictCheck: i.Config.Announcements.ConflictCheck,
		Fault: i.Fault(), NotReady: i.NotReady, Empty: i.Empty, Gate: i.Gate, Unfit: i.Unfit,
	}
}

// arrange makes these the sync groups. An instance that is in another one than before keeps its state.
func (s *instances) arrange(groups []plan.Group) {
	s.mu.Lock()
	running := maps.Clone(s.all)
	s.mu.Unlock()
	before := s.groups
	s.groups = nil
	for _, g := range groups {
		next := syncGroup{Group: g, actors: election.NewGroup()}
		if at := slices.IndexFunc(before, func(b syncGroup) bool { return b.Name == g.Name }); at >= 0 {
			next.actors = before[at].actors
		}
		s.groups = append(s.groups, next)
	}
	for _, g := range s.groups {
		for _, id := range g.Members {
			if i := running[id]; i != nil {
				i.actor.Join(g.actors)
				delete(running, id)
			}
		}
	}
	for _, i := range running {
		i.actor.Join(nil)
	}
	for _, g := range s.groups {
		g.actors.SetSize(len(g.Members))
	}
}

// groupOf returns the sync group of an instance; nil if it has none.
func (s *instances) groupOf(id config.InstanceID) *election.Group {
	at := slices.IndexFunc(s.groups, func(g syncGroup) bool { return slices.Contains(g.Members, id) })
	if at < 0 {
		return nil
	}
	return s.groups[at].actors
}

// set passes the desired state to a running instance.
func (s *instances) set(i plan.Instance) {
	s.mu.Lock()
	running := s.all[i.ID]
	rerouted, sooner := false, false
	if running != nil {
		sooner = i.Config.DeafDelay < running.wanted.Config.DeafDelay && running.actor.View().DeafFor > 0
		rerouted = !running.wanted.Peers.Transport.Equal(i.Peers.Transport)
		running.wanted = i
	}
	s.mu.Unlock()
	if running != nil {
		running.actor.Set(desired(i))
	}
	if sooner { // it may stop waiting for its link
		running.actor.Tell(vrrp.Deaf{For: max(deafLeft(i, s.sockets.link(i.Segment)), 1)})
	}
	if rerouted { // the socket needs other groups
		s.sockets.attach(i.Segment, i.Params.VRID, running.actor)
	}
}

// stop resigns and waits until the election has ended. If other instances, heirs, hold all its VIPs, it is retired
// instead.
func (s *instances) stop(id config.InstanceID, heirs []config.InstanceID) {
	s.mu.Lock()
	i := s.all[id]
	s.mu.Unlock()
	if s.retire(id, heirs) {
		i.actor.Join(nil) // it leaves its sync group
		return
	}
	defer func() { s.endRetired(time.Now()) }() // it may have been an heir
	if i == nil {
		return
	}
	i.running.Stop()
	s.sockets.attach(i.wanted.Segment, i.wanted.Params.VRID, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

// stopAll stops all instances at once, so that none waits for the resignation of another.
func (s *instances) stopAll() {
	s.group.Stop()
	s.mu.Lock()
	ids := slices.Collect(maps.Keys(s.all))
	s.mu.Unlock()
	for _, id := range ids {
		s.stop(id, nil)
	}
	s.endRetiredIf(func(retired) bool { return true })
}

// tell passes one event to an election, bypassing the director's own goroutine.
func (s *instances) tell(id config.InstanceID, event vrrp.Event) {
	s.mu.Lock()
	i := s.all[id]
	s.mu.Unlock()
	if i != nil {
		i.actor.Tell(event)
	}
}

// lost tells an election that a peer is gone. It does not block.
func (s *instances) lost(id config.InstanceID, e vrrp.PeerLost) {
	s.mu.Lock()
	i := s.all[id]
	s.mu.Unlock()
	if i != nil {
		i.actor.PeerLost(e)
	}
}

// snapshots returns the states of all instances, which must not be modified. Their counts of adverts may be old.
func (s *instances) snapshots() map[config.InstanceID]*election.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[config.InstanceID]*election.Snapshot, len(s.all))
	for id, i := range s.all {
		all[id] = i.actor.View()
	}
	return all
}

// counted returns the states of all instances with the current counts of adverts.
func (s *instances) counted() map[config.InstanceID]*election.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[config.InstanceID]*election.Snapshot, len(s.all))
	for id, i := range s.all {
		one := i.actor.Snapshot()
		all[id] = &one
	}
	return all
}

// candidates returns the elections for the stall monitor.
func (s *instances) candidates() map[config.InstanceID]candidate {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[config.InstanceID]candidate, len(s.all))
	for id, i := range s.all {
		all[id] = candidate{
			heart: i.running.Heartbeat, lease: i.wanted.Config.Lease, stalled: i.actor.Stalled, release: func() { s.holder.Release(id) },
		}
	}
	return all
}

// record returns the record of an instance, or of all instances if the name is "", each after a comment line with its
// name.
func (s *instances) record(instance string) (string, error) {
	s.mu.Lock()
	actors := make(map[string]*election.Actor, len(s.all))
	for _, i := range s.all {
		actors[i.wanted.Config.Name] = i.actor
	}
	s.mu.Unlock()
	var text strings.Builder
	names := slices.Sorted(maps.Keys(actors))
	for _, name := range names {
		if instance == "" || instance == name {
			fmt.Fprintf(&text, "# instance %s\n%s", name, actors[name].Record())
		}
	}
	switch {
	case text.Len() > 0:
		return text.String(), nil
	case len(names) == 0:
		return "", fmt.Errorf("this director has no VRRP instances")
	default:
		return "", fmt.Errorf("no VRRP instance %s here: the instances are %s", instance, strings.Join(names, ", "))
	}
}
