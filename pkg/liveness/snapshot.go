package liveness

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/bfd"
)

// Snapshot is the state of a session at one moment.
type Snapshot struct {
	Neighbour     netip.Addr
	Source        netip.Addr // of our packets; invalid if there is none
	State         bfd.State
	Diag          bfd.Diag // why the state was entered
	Since         time.Time
	DownSince     time.Time // when the session was last Up, or created; zero while it is Up
	EverUp        bool      // since the session was created
	Failed        bool      // the session was up and is lost; see bfd.Session.Failed
	Remote        bfd.State
	RemoteDiag    bfd.Diag
	Heard         bool          // within the detection time
	Interval      time.Duration // at which this host sends, before jitter
	DetectionTime time.Duration // 0 if the neighbour was never heard
	Sent          uint64
	Received      uint64
	Dropped       map[string]uint64 // packets of the neighbour that were ignored, by bfd.DropReason
	// SendError is why packets cannot be sent, or what the neighbour's host answers to them; "" if there is nothing.
	SendError string
}

// Reason describes the state as a sentence for the operator.
func (s Snapshot) Reason() string {
	text := ""
	switch {
	case s.State == bfd.Up:
		return "up: " + s.Neighbour.String() + " answers within " + s.DetectionTime.String()
	case s.State == bfd.AdminDown:
		return "switched off"
	case s.State == bfd.Init:
		text = fmt.Sprintf("%s is heard and has not yet heard this host", s.Neighbour)
	case s.Remote == bfd.AdminDown:
		text = fmt.Sprintf("%s has switched BFD off (AdminDown)", s.Neighbour)
	case s.Heard && s.Diag == bfd.DiagNeighbourDown:
		text = fmt.Sprintf("%s says that its session is down (%s)", s.Neighbour, s.RemoteDiag)
	case s.EverUp:
		text = fmt.Sprintf("nothing is heard from %s any more", s.Neighbour)
	default:
		text = fmt.Sprintf("nothing has been heard from %s: does it run BFD with this host's address, and does a packet filter let UDP port 3784 through?", s.Neighbour)
	}
	if s.SendError != "" {
		text += "; " + s.SendError
	}
	return "down: " + text
}
