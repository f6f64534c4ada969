package priority

import (
	"github.com/lvs-director/lvs-director/pkg/config"
)

// Owner is the priority of an address owner, which no track changes (RFC 9568, section 5.2.4).
const Owner = 255

const (
	lowest, highest = 1, 254
	// The number in a file, times the weight, is a fault from here on down; further up it is limited.
	fileFault, fileMost = -254, 253
)

// Result is what is known about a track. The zero value is an unknown one.
type Result struct {
	Known bool
	Up    bool
	Value int // the number in a file
}

// Effect is what a track does to an instance. At most one of the fields is set.
type Effect struct {
	Points int  // added to the priority
	Fault  bool // the instance is in FAULT
	Shut   bool // it does not become MASTER
}

// Of returns the effect of a track with this result on an instance that depends on it in this way. The rules are
// keepalived's (vrrp_track.c): a positive weight is added while the track is up, a negative one while it is down, both
// with the other sign if reversed; without a weight the instance is in FAULT while it is down. The number in a file is
// multiplied by the weight; without a weight any number but 0 is a fault. A track of which nothing is known has no
// effect. gate says that the track is one with `when: becoming_master`.
func Of(use config.TrackUse, kind config.CheckType, gate bool, r Result) Effect {
	switch {
	case !r.Known:
		return Effect{}
	case kind == config.File:
		return ofFile(use, gate, r.Value)
	case use.Weight == 0:
		return stop(r.Up == use.Reverse, gate)
	case (use.Weight > 0) == r.Up:
		return Effect{Points: signed(use.Weight, use.Reverse)}
	}
	return Effect{}
}

func ofFile(use config.TrackUse, gate bool, value int) Effect {
	if use.Weight == 0 {
		return stop((value != 0) != use.Reverse, gate)
	}
	points := value * signed(use.Weight, use.Reverse)
	if points <= fileFault {
		return stop(true, gate)
	}
	return Effect{Points: min(points, fileMost)}
}

func stop(yes, gate bool) Effect { return Effect{Fault: yes && !gate, Shut: yes && gate} }

func signed(weight int, reverse bool) int {
	if reverse {
		return -weight
	}
	return weight
}

// Effective returns the priority of an instance with this one in the cluster file, to which so many points are added:
// at least 1, at most 254. That of an address owner does not change.
func Effective(configured uint8, points int) uint8 {
	if configured == Owner {
		return Owner
	}
	return uint8(min(max(int(configured)+points, lowest), highest))
}
