package election

import (
	"maps"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Snapshot is the state of an instance at one moment.
type Snapshot struct {
	State           vrrp.State
	Reason          string
	Since           time.Time
	Priority        uint8
	AdvertsSent     uint64
	AdvertsReceived uint64
	Dropped         map[string]uint64 // by vrrp.DropReason; not to be modified
	Source          netip.Addr        // of our adverts
	// Master is the other director that holds the VIPs, according to the last advert received; invalid if none is
	// known.
	Master         netip.Addr
	MasterPriority uint8
	// Contends: it takes the VIPs from the MASTER as soon as it is ready; see vrrp.Machine.
	Contends  bool
	Flood     string // describes a flood of ignored packets; "" if there is none
	SendError string // why adverts cannot be sent; "" if they can
	Echo      bool   // packets from our own address were received recently (recentFor)
	// Gate is why this director must not become MASTER, "" if it may. HeldBack: it would be MASTER otherwise.
	Gate           string
	HeldBack       bool
	AdvertInterval time.Duration
	// DueFor is for how long it would have been MASTER if it were alone: it waits for the other members of its sync group.
	DueFor   time.Duration
	Lateness Lateness // of the periodic adverts
	Late     Late     // of the recent ones
	// FalseAlarms is how many of the peers that BFD found to be gone were alive after all, in a row, and DoubtedFor for how
	// long this director will ignore BFD because of that; 0 if it does not.
	FalseAlarms int
	DoubtedFor  time.Duration
	Handover    Handover
	// DeafFor is for how long no other machine has been heard since the link came up; 0 if one has. Deafened: therefore this
	// director does not become MASTER now.
	DeafFor  time.Duration
	Deafened bool
	// Listening says that no MASTER is heard, and that this director does not become it yet.
	Listening vrrp.Listening
	// SilentPeer is the router whose silence has made this director MASTER, until a router is heard; otherwise invalid.
	SilentPeer netip.Addr
	// Heard is the last router of which an advert was received; invalid if there is none.
	Heard netip.Addr
	// Neighbours is what is wrong with the other routers heard.
	Neighbours []vrrp.Finding
	// UnicastPeers are those to which adverts are sent; none with multicast.
	UnicastPeers []UnicastPeer
}

// View returns the newest published view, which is at most a second old or has not changed since, apart from the counts of
// adverts. It must not be modified. It never waits.
func (a *Actor) View() *Snapshot { return a.snapshot.Load() }

// Snapshot returns a copy of View with the current counts of adverts; it never waits.
func (a *Actor) Snapshot() Snapshot {
	s := *a.View()
	s.AdvertsSent, s.AdvertsReceived = a.sent.Load(), a.received.Load()
	return s
}

// entered returns when the current state was entered. The machine's clock includes the time for which this host was
// suspended, which the clocks of a time.Time do not.
func (a *Actor) entered() time.Time {
	if since := a.machine.Since(); a.since.IsZero() || since != a.sinceAt {
		a.sinceAt, a.since = since, time.Now()
	}
	return a.since
}

// publishAfter is the age from which a snapshot is replaced although only counts and times have changed.
const publishAfter = 250 * time.Millisecond

// current reports whether the published snapshot need not be replaced yet: nothing has changed but counts and times, or
// nothing at all.
func (a *Actor) current() bool {
	s := a.snapshot.Load()
	master, priority := a.machine.Master()
	return (a.quiet || time.Since(a.epoch)-a.published < publishAfter) && s.State == a.machine.State() && a.sinceAt == a.machine.Since() &&
		s.Reason == a.machine.Reason() && s.Handover.Pending == (a.machine.HandingOver() || a.machine.Retains()) && s.SendError == a.sendError && (s.State == vrrp.Master || s.Master == master && s.MasterPriority == priority)
}

func (a *Actor) publish() {
	dropped := maps.Clone(a.dropped)
	if n := a.inbox.overflow(); n > 0 {
		dropped["overflow"] = n
	}
	s := &Snapshot{
		State: a.machine.State(), DueFor: a.machine.DueFor(a.now()), Reason: a.machine.Reason(), Since: a.entered(),
		Priority: a.machine.EffectiveParams().Priority, Dropped: dropped,
		AdvertInterval: a.params.AdvertInterval, Lateness: a.lateness, Late: a.late.count(a.now(), a.params.AdvertInterval),
	}
	s.Gate, s.HeldBack = a.machine.Gate()
	s.Contends = a.machine.Contends()
	count, until := a.machine.FalseAlarms()
	s.FalseAlarms, s.DoubtedFor = count, max(until-a.now(), 0)
	s.Handover = a.handover()
	s.DeafFor, s.Deafened = a.machine.DeafFor(a.now())
	stays := false
	s.Listening, stays = a.machine.Listening(a.now())
	s.Heard, _ = a.machine.Master()
	s.SilentPeer = a.machine.SilentPeer()
	a.addNeighbours(s)
	a.quiet = stays && s.quiet()
	a.snapshot.Store(s)
}

// quiet reports whether nothing in the snapshot of a BACKUP changes by the passing of time alone.
func (s *Snapshot) quiet() bool {
	return s.State == vrrp.Backup && s.Gate == "" && !s.HeldBack && s.DueFor == 0 && s.DeafFor == 0 && s.Late.Adverts == 0 && s.FalseAlarms == 0 &&
		s.DoubtedFor == 0 && s.Flood == "" && !s.Echo && s.Neighbours == nil && s.UnicastPeers == nil
}
