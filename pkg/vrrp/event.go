package vrrp

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Event is something that happened to a virtual router. Every event is defined in every state; one that does not apply
// to a state does nothing. String returns the text form that ParseEvent reads.
type Event interface {
	fmt.Stringer
	event()
}

type (
	// Startup leaves INIT: for FAULT if a fault is known, for MASTER if the address owner is ready, otherwise for
	// BACKUP. Before Delay has passed it becomes MASTER for no reason.
	Startup struct{ Delay time.Duration }

	// Tick says only that time has passed. If DrainFirst returns true, pass in every advert that is queued on the
	// socket before the Tick: after a stall the adverts received in the meantime decide, not the clock.
	Tick struct{}

	// Advert is an advert of the same virtual router that passed Accept.
	Advert struct {
		Source   netip.Addr
		Priority uint8         // 0: the sender stops being MASTER
		Interval time.Duration // the sender's; 0 or less means ours
	}

	// Evidence is an advert of the same virtual router that is refused. A router that sends it is alive and, as MASTER,
	// holds the VIPs, but follows no advert of ours: it must not be preempted.
	Evidence struct {
		Source   netip.Addr
		Priority uint8         // 0: the sender stops being MASTER
		Interval time.Duration // the sender's; 0 or less means ours
		// Director says that the sender is a director of the cluster file. To no other one does a MASTER give way,
		// because anybody can send such an advert without knowing the cluster.
		Director bool
		Version  uint8
		AuthType uint8 // of version 2
		Why      DropReason
	}

	// Shutdown goes to INIT; a MASTER resigns first.
	Shutdown struct{}

	// Ready allows preemption (the initial condition of a machine).
	Ready struct{}

	// NotReady forbids preempting a live MASTER of lower priority. If there is no MASTER this director takes over
	// anyway, and a MASTER stays MASTER. The sender must limit how long a director stays not ready.
	//
	// Empty says that it is known that no real server of this director takes connections. Then a MASTER gives way once to
	// another one that it hears, whatever its priority: see giveWayEmpty.
	NotReady struct {
		Reason string
		Empty  bool
	}

	// Faulted says that this director cannot serve: the machine goes to FAULT; a MASTER resigns first. A Faulted before
	// Startup is remembered. A second one replaces the reason.
	Faulted struct{ Reason string }

	// Degraded says that a part of this director has stalled while the election still runs, or that it has no way to its
	// real servers: another director serves better, but a degraded one is better than none. The machine goes to FAULT; a
	// MASTER resigns first. In FAULT it does not preempt, but takes over if there is no MASTER for a master-down interval,
	// and advertises PriorityDegraded until another director takes over. An empty Reason ends the degraded condition.
	Degraded struct{ Reason string }

	// Recover ends a fault.
	Recover struct{}

	// Lost says that the VIPs are gone because their lease expired: a MASTER steps back without sending an advert and
	// listens for a full master-down interval. If this director has just stalled, that is why the lease expired, and
	// the adverts received have already been taken into account: a MASTER then adds the VIPs again at once.
	Lost struct{ Reason string }

	// Reconfigure changes the Params without leaving the state. VRID and Version cannot change, because that would be a
	// different virtual router: those two fields are ignored.
	Reconfigure struct{ Params Params }
)

func (Startup) event()     {}
func (Tick) event()        {}
func (Advert) event()      {}
func (Evidence) event()    {}
func (Shutdown) event()    {}
func (Ready) event()       {}
func (NotReady) event()    {}
func (Faulted) event()     {}
func (Degraded) event()    {}
func (Recover) event()     {}
func (Lost) event()        {}
func (Reconfigure) event() {}

func (Tick) String() string       { return "tick" }
func (Shutdown) String() string   { return "shutdown" }
func (Ready) String() string      { return "ready" }
func (e Faulted) String() string  { return "fault " + strconv.Quote(e.Reason) }
func (Recover) String() string    { return "recover" }
func (e Degraded) String() string { return "degraded " + strconv.Quote(e.Reason) }
func (e Lost) String() string     { return "lost " + strconv.Quote(e.Reason) }

func (e NotReady) String() string {
	if e.Empty {
		return "not_ready empty " + strconv.Quote(e.Reason)
	}
	return "not_ready " + strconv.Quote(e.Reason)
}

func (e Startup) String() string {
	if e.Delay > 0 {
		return "startup delay=" + e.Delay.String()
	}
	return "startup"
}

func (e Advert) String() string {
	return fmt.Sprintf("advert source=%s priority=%d interval=%s", formatAddr(e.Source), e.Priority, e.Interval)
}

func (e Evidence) String() string {
	return fmt.Sprintf("evidence source=%s priority=%d interval=%s director=%t version=%d auth=%d why=%s",
		formatAddr(e.Source), e.Priority, e.Interval, e.Director, e.Version, e.AuthType, e.Why)
}

func (e Reconfigure) String() string { return "reconfigure " + e.Params.String() }

// switches are the parameters that are off by default, with their names in a trace.
func (p *Params) switches() [4]struct {
	name string
	on   *bool
} {
	return [4]struct {
		name string
		on   *bool
	}{
		{"higher_prio_no_advert", &p.HigherPrioNoAdvert},
		{"lower_prio_no_advert", &p.LowerPrioNoAdvert},
		{"owner_ignores_adverts", &p.OwnerIgnoresAdverts},
		{"grouped", &p.Grouped},
	}
}

// String returns the parameters as key=value pairs, in the order of the struct, without the password. Those after the
// source are left out if they are the default.
func (p Params) String() string {
	text := fmt.Sprintf("vrid=%d version=%d priority=%d interval=%s preempt=%t preempt_delay=%s source=%s",
		p.VRID, p.Version, p.Priority, p.AdvertInterval, p.Preempt, p.PreemptDelay, formatAddr(p.Source))
	if p.AuthType != authNone {
		text += fmt.Sprintf(" auth=%d", p.AuthType)
	}
	if p.DownAdverts != 0 && p.DownAdverts != downAdverts {
		text += fmt.Sprintf(" down_adverts=%d", p.DownAdverts)
	}
	for _, key := range p.switches() {
		if *key.on {
			text += " " + key.name + "=true"
		}
	}
	return text
}
