package nftable

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// First is the register that the key of a lookup begins in, which holds 16 bytes.
const First = unix.NFT_REG_1

// Family is what differs between the address families.
type Family struct {
	Name                string // ipv4 or ipv6, for names of sets and chains
	Protocol            byte   // NFPROTO_…
	Address             nftables.SetDatatype
	source, destination uint32 // in the IP header, in bytes
	size                uint32 // of an address, in bytes
}

// Families returns IPv4 and IPv6.
func Families() []Family {
	return []Family{
		{"ipv4", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 12, 16, 4},
		{"ipv6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 8, 24, 16},
	}
}

// Has reports whether an address is of the family.
func (f Family) Has(a netip.Addr) bool { return a.BitLen() == int(f.size)*8 }

// Is matches the packets of the family. nft(8) needs it, too, to show the addresses of a rule.
func (f Family) Is() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: First}, Equal(f.Protocol)}
}

// Source loads the source address of a packet into First.
func (f Family) Source() expr.Any { return f.load(f.source) }

// Destination loads the destination address of a packet into First.
func (f Family) Destination() expr.Any { return f.load(f.destination) }

func (f Family) load(at uint32) expr.Any {
	return &expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: f.size, DestRegister: First}
}

// Endpoint loads the destination address, protocol and port of a packet, from First on; with every port without the last. The
// registers are those after the address, numbered as the kernel prints them (nft_dump_register in nf_tables_api.c): after the
// first one, which holds 16 bytes, or within it by 4.
func (f Family) Endpoint(every bool) []expr.Any {
	protocol, port := uint32(unix.NFT_REG32_01), uint32(unix.NFT_REG32_02)
	if f.size == 16 {
		protocol, port = unix.NFT_REG_2, unix.NFT_REG32_05
	}
	all := []expr.Any{f.Destination(), &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: protocol}}
	if every {
		return all
	}
	return append(all, &expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2, DestRegister: port})
}

// OriginallyTo matches the packets of a connection whose first packet was sent to an address. A packet whose connection is not tracked
// does not match. The key for addresses of one family has no direction in the library; with this one nft(8) shows no concatenation.
func OriginallyTo(a netip.Addr) []expr.Any {
	return []expr.Any{&expr.Ct{Key: expr.CtKeyDST, Register: First}, Equal(a.AsSlice()...)}
}

// OriginalPort loads the protocol of a packet, and the port to which the first packet of its connection was sent, into First; with
// every port without the port.
func OriginalPort(every bool) []expr.Any {
	all := []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: First}}
	if every {
		return all
	}
	return append(all, &expr.Ct{Key: expr.CtKeyPROTODST, Register: unix.NFT_REG32_01})
}

// OriginalPorts returns the set for OriginalPort.
func OriginalPorts(name string, every bool, endpoints []kernel.Endpoint) (Set, error) {
	if every {
		s := Set{Set: nftables.Set{Name: name, KeyType: nftables.TypeInetProto}}
		for _, e := range endpoints {
			s.Elements = append(s.Elements, nftables.SetElement{Key: []byte{e.Protocol}})
		}
		return s, nil
	}
	keys, err := nftables.ConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
	s := Set{Set: nftables.Set{Name: name, KeyType: keys, Concatenation: true, KeyByteOrder: binaryutil.BigEndian}}
	for _, e := range endpoints {
		s.Elements = append(s.Elements, nftables.SetElement{Key: append(binary.BigEndian.AppendUint16([]byte{e.Protocol, 0, 0, 0}, e.At.Port()), 0, 0)})
	}
	return s, err
}

// Equal matches packets for which First begins with these bytes.
func Equal(data ...byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: First, Data: data}
}

// In matches packets for which the key in First is in a set.
func In(set string) expr.Any { return &expr.Lookup{SourceRegister: First, SetName: set} }

// Addresses returns the set of those addresses that are of the family.
func (f Family) Addresses(name string, addresses []netip.Addr) Set {
	s := Set{Set: nftables.Set{Name: name, KeyType: f.Address, KeyByteOrder: binaryutil.BigEndian}}
	for _, a := range addresses {
		if f.Has(a) {
			s.Elements = append(s.Elements, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	return s
}

// Endpoints returns the set of those endpoints that are of the family: those with every port, or those with one.
func (f Family) Endpoints(name string, every bool, endpoints []kernel.Endpoint) (Set, error) {
	parts := []nftables.SetDatatype{f.Address, nftables.TypeInetProto}
	if !every {
		parts = append(parts, nftables.TypeInetService)
	}
	keys, err := nftables.ConcatSetType(parts...)
	s := Set{Set: nftables.Set{Name: name, KeyType: keys, Concatenation: true, KeyByteOrder: binaryutil.BigEndian}}
	for _, e := range endpoints {
		if f.Has(e.At.Addr()) && every == (e.At.Port() == 0) {
			s.Elements = append(s.Elements, nftables.SetElement{Key: endpointKey(e)})
		}
	}
	return s, err
}

// endpointKey is an endpoint in a set: each part fills a multiple of 4 bytes.
func endpointKey(e kernel.Endpoint) []byte {
	k := append(e.At.Addr().AsSlice(), e.Protocol, 0, 0, 0)
	if e.At.Port() == 0 {
		return k
	}
	return append(binary.BigEndian.AppendUint16(k, e.At.Port()), 0, 0)
}
