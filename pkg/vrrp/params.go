package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// Params is the configuration of a virtual router on one director.
type Params struct {
	// VRID is the virtual router, 1-255.
	VRID uint8
	// Version is 2 or 3; 0 means 3.
	Version uint8
	// Priority is 1-255; 255 is the address owner; 0 means 100.
	Priority uint8
	// AdvertInterval is our own interval, as MASTER; 0 or less means 1 s. See CheckInterval.
	AdvertInterval time.Duration
	// Preempt allows taking over from a live MASTER of lower priority that is not degraded. An address owner always may.
	Preempt bool
	// PreemptDelay delays preemption, counted from the first advert of a lower priority received; 0: no delay. There is none
	// for a degraded MASTER.
	PreemptDelay time.Duration
	// Source is the source address of our adverts: between equal priorities the higher address wins.
	Source netip.Addr
	// AuthType is the authentication type of version 2: 0 (none) or 1 (a password).
	AuthType uint8
	// Password is that of AuthType 1. Without it nothing can be sent, and all adverts are refused.
	Password Password
	// Checksum is the form of the checksum that is sent with version 3 on IPv4. Both are accepted.
	Checksum ChecksumForm
	// DownAdverts is how many adverts in a row must be missing before the MASTER is considered down; 0 means 3 (RFC 9568
	// 6.1).
	DownAdverts uint8
	// HigherPrioNoAdvert: a MASTER that gives way to one of higher rank does not send a last advert.
	HigherPrioNoAdvert bool
	// LowerPrioNoAdvert: a MASTER does not answer an advert of lower rank with its own (RFC 5798 6.4.3, unlike RFC 9568).
	LowerPrioNoAdvert bool
	// OwnerIgnoresAdverts: an address owner that is MASTER does not give way to another one (RFC 9568 7.1, before erratum
	// 8298).
	OwnerIgnoresAdverts bool
	// Grouped: it belongs to a SyncGroup, which alone decides when it becomes MASTER (TakeOver).
	Grouped bool
}

func (p Params) withDefaults() Params {
	if p.Version == 0 {
		p.Version = 3
	}
	if p.Priority == 0 {
		p.Priority = 100
	}
	if p.AdvertInterval <= 0 {
		p.AdvertInterval = time.Second
	}
	if p.DownAdverts == 0 {
		p.DownAdverts = downAdverts
	}
	p.Source = p.Source.Unmap()
	return p
}

// Validate returns an error if no election can be run with p. Zero values that stand for a default are valid.
func (p Params) Validate() error {
	p = p.withDefaults()
	switch {
	case p.VRID == 0:
		return fmt.Errorf("VRID is 0, must be 1-255")
	case p.Version != 2 && p.Version != 3:
		return fmt.Errorf("version is %d, must be 2 or 3", p.Version)
	case !p.Source.IsValid():
		return fmt.Errorf("source address is missing")
	case p.AuthType > authPassword || p.AuthType != authNone && p.Version != 2:
		return fmt.Errorf("auth type of version %d is %d, must be 0 or, in version 2, 1", p.Version, p.AuthType)
	case p.PreemptDelay < 0:
		return fmt.Errorf("preempt delay is %s, must not be negative", p.PreemptDelay)
	}
	return CheckInterval(p.Version, p.AdvertInterval)
}

// mayPreempt reports whether the configuration allows preemption at all.
func (p Params) mayPreempt() bool { return p.Preempt || p.Priority == PriorityOwner }

// outrankedBy reports whether a router with the given priority and address wins over p: RFC 9568 6.4.3.
func (p Params) outrankedBy(priority uint8, source netip.Addr) bool {
	if priority != p.Priority {
		return priority > p.Priority
	}
	return source.Compare(p.Source) > 0
}
