package kernel

import (
	"cmp"
	"net/netip"
	"slices"
)

// MarkTable is the name of the nf_tables table, of the family inet, with the rules for Marking. Every table of this name is ours;
// no other is touched.
const MarkTable = "lvs_director_marks"

// OwnTable reports whether a table of the family inet is one of this program.
func OwnTable(name string) bool {
	return name == ClosedTable || name == MarkTable || name == QuietTable || name == ReturnTable || name == SourceNATTable
}

// Marking says which packets get a firewall mark before IPVS sees them. The zero value marks none, and needs no rules.
type Marking struct {
	Endpoints []MarkedEndpoint // sorted, each endpoint once
	// Local are the endpoints whose real server this host is, too, with forward: dr; sorted, without duplicates. Packets to
	// them that another director sends have been balanced already and get LocalMark, and so do those of programs of this
	// host that have the endpoint's address as their source: no other host would answer them.
	Local []Endpoint
	// Directors are addresses of the other directors, sorted, without duplicates; Hardware are the hardware addresses
	// found for them (pkg/kernel/neighbours), likewise.
	Directors []netip.Addr
	Hardware  []HardwareAddr
}

// LocalMark is the mark of packets that this host delivers to itself: "LVS". No virtual server of a cluster file may have it.
const LocalMark = 0x4c5653

// HardwareAddr is an Ethernet address.
type HardwareAddr [6]byte

// MarkedEndpoint is an endpoint, and the mark of the packets to it.
type MarkedEndpoint struct {
	Endpoint
	Mark uint32 // never 0
}

// Compare orders marked endpoints.
func (m MarkedEndpoint) Compare(b MarkedEndpoint) int {
	return cmp.Or(m.Endpoint.Compare(b.Endpoint), cmp.Compare(m.Mark, b.Mark))
}

// None reports whether no packet is marked.
func (m Marking) None() bool { return len(m.Endpoints) == 0 && len(m.Local) == 0 }

// Equal reports whether both need the same rules.
func (m Marking) Equal(b Marking) bool {
	return slices.Equal(m.Endpoints, b.Endpoints) && slices.Equal(m.Local, b.Local) && slices.Equal(m.Directors, b.Directors) && slices.Equal(m.Hardware, b.Hardware)
}
