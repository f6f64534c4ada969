package vrrp

// DropReason says why a packet was ignored. The zero value is DropNone: it was not.
type DropReason uint8

// The reasons, in the order in which the rules are tried.
const (
	DropNone         DropReason = iota
	DropOwnPacket               // came from our own source address: looped back, or a duplicate address
	DropTTL                     // TTL is not 255: it crossed a router, or was forged
	DropVersion                 // not the instance's version, or none that exists
	DropLength                  // truncated, or longer than its address count says
	DropChecksum                // wrong in every form
	DropType                    // not an advertisement
	DropVRID                    // of a virtual router that is not configured here
	DropAddressCount            // names no VIP
	DropAuth                    // version 2 with an authentication type that is not ours
	DropInterval                // version 2 with another advertisement interval than ours, or an interval of 0
	DropFlood                   // within the rules, and too many of its kind; see Guard
	DropResignation             // a resignation of one who is not MASTER, or one too many; see Guard
	DropUnknown                 // for the shell: it could not tell what the packet is, for instance its TTL
	dropReasons
)

var dropNames = [dropReasons]string{
	DropNone: "none", DropOwnPacket: "own_packet", DropTTL: "ttl", DropVersion: "version", DropLength: "length",
	DropChecksum: "checksum", DropType: "type", DropVRID: "vrid", DropAddressCount: "address_count", DropAuth: "auth",
	DropInterval: "interval", DropFlood: "flood", DropResignation: "resignation", DropUnknown: "unknown",
}

// String returns the short snake_case name that counters carry.
func (r DropReason) String() string {
	if r >= dropReasons {
		return "unknown"
	}
	return dropNames[r]
}

// DropReasons returns every reason for which a packet can be ignored, without DropNone.
func DropReasons() []DropReason {
	all := make([]DropReason, 0, dropReasons-1)
	for r := DropNone + 1; r < dropReasons; r++ {
		all = append(all, r)
	}
	return all
}
