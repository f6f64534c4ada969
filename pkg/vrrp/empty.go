package vrrp

import (
	"net/netip"
	"time"
)

// givesWayEmpty reports whether this MASTER gives way to a MASTER of lower rank: no real server of its own takes
// connections, so that the other one, which may have better ones, is the better choice. A degraded one is not.
//
// It does so once. If it has become MASTER again soon after, because the other one gave way at the same moment or has gone,
// the priorities decide as usual, so that two directors without real servers do not pass the VIPs to each other.
func (m *Machine) givesWayEmpty(priority uint8) bool {
	s := &m.mem
	switch {
	case s.State != Master || !s.Empty || s.Degraded != "" || s.Handover.Begun || s.Now < s.GaveWayUntil:
		return false
	case priority == PriorityDegraded || priority == PriorityResign:
		return false
	}
	return !m.p.OwnerIgnoresAdverts || m.p.Priority != PriorityOwner
}

// giveWayEmpty goes to BACKUP. It resigns, because the other MASTER may have heard our advert first, and may have given way
// to it already: then it takes over again after its skew. Otherwise it learns that the clients may have our MAC address.
func (m *Machine) giveWayEmpty(source netip.Addr, priority uint8, interval time.Duration) []Action {
	acts := []Action{SendAdvert{Priority: PriorityResign}}
	why := stateReason{Kind: emptyPool, Peer: source, Priority: priority}
	acts = append(acts, m.stepBack(why, CauseSilentPeer, interval)...)
	m.gaveWayEmpty()
	return acts
}

// gaveWayEmpty notes that this director, which is BACKUP now, has given way because of its empty pool.
func (m *Machine) gaveWayEmpty() {
	m.mem.GaveWayUntil = m.mem.Now + holdOffMin + m.MasterDownInterval()
}
