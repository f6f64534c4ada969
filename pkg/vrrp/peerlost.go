package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// PeerLost says that another protocol, BFD, has found that a router at this address is gone, sooner than missing
// adverts tell. A BACKUP whose MASTER it is takes over at once; in any other state, and for any other router, it does
// nothing. The caller must first pass in every advert that is queued on the socket.
//
// If the router then sends an advert, it was a false alarm: it is alive. The election settles that as usual, and further
// alarms are ignored for a time that doubles with each false one; see doubtAlarms.
type PeerLost struct {
	Source netip.Addr
	Silent time.Duration // for how long it has been silent
}

func (PeerLost) event() {}

func (e PeerLost) String() string {
	return fmt.Sprintf("peer_lost source=%s silent=%s", formatAddr(e.Source), e.Silent)
}

// alarms is what a machine remembers of the PeerLost that made it MASTER.
type alarms struct {
	// Blamed is the router whose loss made this director take over, at BlamedAt; invalid if that is settled.
	Blamed   netip.Addr    `json:"blamed"`
	BlamedAt time.Duration `json:"blamed_at"`
	// False counts the false alarms in a row, the last one at FalseAt; alarms are ignored until DoubtUntil.
	False      int           `json:"false"`
	FalseAt    time.Duration `json:"false_at"`
	DoubtUntil time.Duration `json:"doubt_until"`
}

// losePeer handles PeerLost. A router that refuses our adverts is left alone: should it be alive, it would not give way.
func (m *Machine) losePeer(e PeerLost) []Action {
	s := &m.mem
	e.Source = e.Source.Unmap()
	switch {
	case s.State != Backup || s.Now < s.Alarms.DoubtUntil || s.Now < max(s.NotBefore, m.deafUntil()):
		return nil
	case s.Heard != e.Source || s.HeardPriority == PriorityResign || s.Cause == CauseAlone || s.StateReason.Kind == refusedPeer:
		return nil
	}
	s.Alarms.Blamed, s.Alarms.BlamedAt = e.Source, s.Now
	why := stateReason{Kind: lostPeer, Peer: e.Source, For: e.Silent}
	if s.Gate != "" || m.p.Grouped {
		s.StateReason, s.DownFrom, s.Resigned, s.Due = why, s.Now-m.MasterDownInterval(), false, true
		return nil
	}
	return m.takeOver(nil, CauseSilentPeer, why)
}

// doubtAlarms notes that a router is heard. If its loss made this director take over less than a master-down interval
// ago, that was a false alarm: after the first one, alarms are ignored for holdOffMin, as after a loss of the VIPs.
func (m *Machine) doubtAlarms(source netip.Addr, priority uint8) {
	s := &m.mem.Alarms
	if source != s.Blamed || priority == PriorityResign {
		return
	}
	s.Blamed = netip.Addr{}
	if now := m.mem.Now; now-s.BlamedAt < downAdverts*max(m.mem.HeardInterval, m.p.AdvertInterval) {
		if s.False > 0 && now-s.FalseAt >= lossWindow {
			s.False = 0
		}
		s.FalseAt, s.DoubtUntil = now, now+holdOffFor(s.False)
		s.False++
	}
}

// FalseAlarms returns how many PeerLost in a row have been false, and until when further ones are ignored, on the clock of
// Step.
func (m *Machine) FalseAlarms() (count int, ignoredUntil time.Duration) {
	return m.mem.Alarms.False, m.mem.Alarms.DoubtUntil
}
