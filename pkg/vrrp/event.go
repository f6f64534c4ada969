package vrrp

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Event is something that happened to a virtual router. Every event is defined in every state; where it has no meaning
// it does nothing. Its String is the word and the fields that ParseEvent reads.
type Event interface {
	fmt.Stringer
	event()
}

type (
	// Startup leaves INIT: for FAULT if a fault is known, for MASTER if the address owner is ready, otherwise for BACKUP.
	Startup struct{}

	// Tick says only that time has passed. Hand over every advert that is queued on the socket before the Tick, where
	// HearFirst asks for it: after a stall, what was heard in the meantime decides, not the clock.
	Tick struct{}

	// Advert is an advert of the same virtual router that Accept let through.
	Advert struct {
		Source   netip.Addr
		Priority uint8         // 0: the sender stops being MASTER
		Interval time.Duration // the sender's; 0 or less means ours
	}

	// Shutdown leaves for INIT; a MASTER resigns first.
	Shutdown struct{}

	// Ready allows preemption (the state a machine begins with).
	Ready struct{}

	// NotReady forbids taking over from a living MASTER of lower priority. A VIP that nobody holds is taken all the
	// same, and a MASTER stays MASTER. How long a director may be not ready is for the sender to limit.
	NotReady struct{ Reason string }

	// Faulted says that this director could not serve: the machine goes to FAULT, a MASTER resigns first. Before
	// Startup it is remembered. A second one replaces the reason.
	Faulted struct{ Reason string }

	// Hindered says that a part of this director stands still although the election does not: another one serves better,
	// but a bad one is better than none. The machine goes to FAULT, a MASTER resigns first. It does not preempt there,
	// and takes VIPs that nobody holds after a master-down interval. An empty Reason ends it.
	Hindered struct{ Reason string }

	// Recover ends a fault.
	Recover struct{}

	// Lost says that the VIPs are gone because their lease lapsed: a MASTER steps back, says nothing, and listens for a
	// full master-down interval. But when this director stood still just now, that is why they lapsed, and the adverts
	// that were heard have decided already: a MASTER takes them again at once.
	Lost struct{ Reason string }

	// Reconfigure brings other Params without leaving the state. VRID and Version cannot change, for that would be
	// another virtual router: those two fields are ignored.
	Reconfigure struct{ Params Params }
)

func (Startup) event()     {}
func (Tick) event()        {}
func (Advert) event()      {}
func (Shutdown) event()    {}
func (Ready) event()       {}
func (NotReady) event()    {}
func (Faulted) event()     {}
func (Hindered) event()    {}
func (Recover) event()     {}
func (Lost) event()        {}
func (Reconfigure) event() {}

func (Startup) String() string    { return "startup" }
func (Tick) String() string       { return "tick" }
func (Shutdown) String() string   { return "shutdown" }
func (Ready) String() string      { return "ready" }
func (e NotReady) String() string { return "not_ready " + strconv.Quote(e.Reason) }
func (e Faulted) String() string  { return "fault " + strconv.Quote(e.Reason) }
func (Recover) String() string    { return "recover" }
func (e Hindered) String() string { return "hindered " + strconv.Quote(e.Reason) }
func (e Lost) String() string     { return "lost " + strconv.Quote(e.Reason) }

func (e Advert) String() string {
	return fmt.Sprintf("advert source=%s priority=%d interval=%s", formatAddr(e.Source), e.Priority, e.Interval)
}
func (e Reconfigure) String() string { return "reconfigure " + e.Params.String() }

// String returns the parameters as key=value words, in the order of the struct.
func (p Params) String() string {
	return fmt.Sprintf("vrid=%d version=%d priority=%d interval=%s preempt=%t preempt_delay=%s source=%s",
		p.VRID, p.Version, p.Priority, p.AdvertInterval, p.Preempt, p.PreemptDelay, formatAddr(p.Source))
}
