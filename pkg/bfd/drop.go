package bfd

import "strconv"

// DropReason is why a received packet is discarded.
type DropReason uint8

// The reasons, with the section of RFC 5880 or RFC 5881 that requires it.
const (
	DropNone          DropReason = iota
	DropTTL                      // TTL or hop limit not 255: the sender is not on the link (5881 section 5)
	DropNeighbour                // from an address without a session
	DropVersion                  // not version 1 (5880 section 6.8.6, like all below)
	DropLength                   // shorter than a control packet, or than its own length field
	DropAuth                     // authenticated, and the session uses no authentication
	DropMultiplier               // a detection multiplier of 0
	DropMultipoint               // the multipoint bit is set
	DropDiscriminator            // the sender's is 0, ours is 0 although the sender hears us, or it is of no session
	DropAdminDown                // this session is switched off
)

// String returns a word for counters, such as "ttl".
func (r DropReason) String() string {
	names := [...]string{"none", "ttl", "neighbour", "version", "length", "auth", "multiplier", "multipoint", "discriminator", "admin_down"}
	if int(r) < len(names) {
		return names[r]
	}
	return "DropReason(" + strconv.Itoa(int(r)) + ")"
}
