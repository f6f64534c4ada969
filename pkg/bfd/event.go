package bfd

import "time"

// Event is something that happened to a session. Every event is defined in every state.
type Event interface{ event() }

type (
	// Tick says only that time has passed. If DrainFirst returns true, pass in every packet that is queued on the socket
	// before it: after a stall the packets received in the meantime decide, not the clock.
	Tick struct{}

	// Received is a packet of the neighbour that Parse accepted.
	Received struct{ Packet Packet }

	// Disable goes to AdminDown, which the neighbour does not take for a failure of the path; Enable ends that.
	Disable struct{}
	Enable  struct{}

	// Reconfigure changes the Params without a change of state. The Discriminator of a session cannot change: that field
	// is ignored.
	Reconfigure struct{ Params Params }
)

func (Tick) event()        {}
func (Received) event()    {}
func (Disable) event()     {}
func (Enable) event()      {}
func (Reconfigure) event() {}

// Action is something the owner of a session must do, in the order in which Step returns them.
type Action interface{ action() }

type (
	// Send sends a packet to the neighbour now.
	Send struct{ Packet Packet }

	// Change reports a change of state. Diag is the reason, Remote the last state received from the neighbour.
	Change struct {
		From, To State
		Diag     Diag
		Remote   State
		Lasted   time.Duration // how long the state From lasted
		Silent   time.Duration // how long nothing was received, with DiagDetection
	}
)

func (Send) action()   {}
func (Change) action() {}

// Lost reports whether the neighbour or the path to it has failed: the session was Up, and nothing was received for the
// detection time. A neighbour that signals Down or AdminDown is alive. A session that was Up for less than a second is no
// evidence: packets that overtake each other during the handshake end it, too.
func (c Change) Lost() bool {
	return c.From == Up && c.To == Down && c.Diag == DiagDetection && c.Lasted >= slowInterval
}
