package vrrp

import "fmt"

// DropReason is why a packet was dropped. The zero value, DropNone, means that it was accepted.
type DropReason uint8

// The reasons, in the order in which the rules are applied.
const (
	DropNone             DropReason = iota
	DropOwnPacket                   // sent from our own source address: looped back, or a duplicate address
	DropTTL                         // TTL is not 255: the packet crossed a router or is forged
	DropDestination                 // sent to no possible destination of adverts
	DropVersion                     // not the instance's version, or not a valid version
	DropLength                      // truncated, or longer than its address count implies
	DropChecksum                    // invalid in every form
	DropType                        // not an advertisement
	DropVRID                        // a virtual router that is not configured here
	DropAddressCount                // lists no VIP, and the instance has some
	DropAuth                        // version 2 with another authentication type or password than ours
	DropInterval                    // version 2 with an advertisement interval other than ours, or an interval of 0
	DropUnicast                     // sent by unicast to a router that uses multicast
	DropMulticast                   // sent by multicast to a router that uses unicast
	DropGroup                       // sent to another multicast group than ours
	DropNotPeer                     // from an address that is no peer of a router that uses unicast
	DropForeignAddresses            // lists none of our VIPs, and comes from no director of the cluster file
	DropFlood                       // valid, but over the rate limit; see Guard
	DropResignation                 // a resignation from a router that is not MASTER, or over the rate limit; see Guard
	DropUnknown                     // for callers: the packet could not be classified, for instance because its TTL is unknown
	dropReasons
)

var dropNames = [dropReasons]string{
	DropNone: "none", DropOwnPacket: "own_packet", DropTTL: "ttl", DropDestination: "destination", DropVersion: "version", DropLength: "length",
	DropChecksum: "checksum", DropType: "type", DropVRID: "vrid", DropAddressCount: "address_count", DropAuth: "auth",
	DropInterval: "interval", DropUnicast: "unicast", DropMulticast: "multicast", DropGroup: "group", DropNotPeer: "not_peer",
	DropForeignAddresses: "foreign_addresses", DropFlood: "flood", DropResignation: "resignation", DropUnknown: "unknown",
}

// String returns the short snake_case name used in counters.
func (r DropReason) String() string {
	if r >= dropReasons {
		return "unknown"
	}
	return dropNames[r]
}

// DropReasons returns every reason except DropNone.
func DropReasons() []DropReason {
	all := make([]DropReason, 0, dropReasons-1)
	for r := DropNone + 1; r < dropReasons; r++ {
		all = append(all, r)
	}
	return all
}

// parseDropReason is the inverse of String.
func parseDropReason(s string) (DropReason, error) {
	for r, name := range dropNames {
		if name == s {
			return DropReason(r), nil
		}
	}
	return DropNone, fmt.Errorf("no reason to drop a packet is named %q", s)
}
