package ipvs

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"github.com/moby/ipvs"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// protocols are the protocols that IPVS balances (ip_vs_proto_init).
var protocols = map[string]uint16{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// forwards are the values of IP_VS_CONN_F_FWD_MASK; a cluster file can name the first three.
var forwards = map[config.Forward]uint32{
	config.NAT: ipvs.ConnFwdMasq,
	config.TUN: ipvs.ConnFwdTunnel,
	config.DR:  ipvs.ConnFwdDirectRoute,
	"local":    ipvs.ConnFwdLocalNode,
	"bypass":   ipvs.ConnFwdBypass,
}

// toService converts a virtual server to the type of moby/ipvs.
func toService(s lvs.Service) ipvs.Service {
	service := ipvs.Service{
		AddressFamily: family(s.Address),
		SchedName:     s.Scheduler,
		Netmask:       netmask(s.Address.BitLen(), s.Family()),
	}
	if s.Protocol == lvs.FirewallMark {
		service.FWMark = s.Mark
	} else {
		service.Protocol, service.Address, service.Port = protocols[s.Protocol], s.Address.AsSlice(), s.Port
	}
	if s.Persistence > 0 {
		service.Flags = flagPersistent
		service.Timeout = uint32(max(s.Persistence/time.Second, 1))
		service.PEName = s.Engine
		if s.Netmask > 0 {
			service.Netmask = netmask(s.Netmask, s.Family())
		}
	}
	service.Flags |= uint32(s.Flags) * flagSched1
	if s.OnePacket {
		service.Flags |= flagOnePacket
	}
	return service
}

// encodeServer encodes the real server attribute, with its tunnel, which moby/ipvs does not know.
func encodeServer(s lvs.Server) *nl.RtAttr {
	attr := encodeDestination(toDestination(s))
	encodeTunnel(attr, s.Tunnel)
	return attr
}

func toDestination(s lvs.Server) ipvs.Destination {
	return ipvs.Destination{
		AddressFamily:   family(s.Address),
		Address:         s.Address.AsSlice(),
		Port:            s.Port,
		ConnectionFlags: forwards[s.Forward],
		Weight:          s.Weight,
		UpperThreshold:  s.Upper,
		LowerThreshold:  s.Lower,
	}
}

// families are the address families that IPVS balances, by the kernel's numbers.
var families = map[uint16]kernel.Family{unix.AF_INET: kernel.IPv4, unix.AF_INET6: kernel.IPv6}

func family(a netip.Addr) uint16 {
	if kernel.FamilyOf(a) == kernel.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// netmask returns the kernel's u32: for IPv4 the bytes of the mask in memory order, for IPv6 the prefix length.
func netmask(prefix int, of kernel.Family) uint32 {
	if of == kernel.IPv6 {
		return uint32(prefix)
	}
	mask := binary.BigEndian.AppendUint32(make([]byte, 0, 4), ^uint32(0)<<(32-min(prefix, 32)))
	return binary.NativeEndian.Uint32(mask)
}

// prefix is the inverse of netmask; false if the result is not a prefix length of at least 1.
func prefix(mask uint32, of kernel.Family) (int, bool) {
	if of == kernel.IPv6 {
		return int(mask), mask >= 1 && mask <= 128
	}
	memory := binary.NativeEndian.AppendUint32(make([]byte, 0, 4), mask)
	n := bits.LeadingZeros32(^binary.BigEndian.Uint32(memory))
	return n, n > 0 && netmask(n, of) == mask
}

// encodeService encodes the service attribute for ip_vs_genl_parse_service. It writes all flags, so that stray ones are
// cleared.
func encodeService(s ipvs.Service) *nl.RtAttr {
	attr := nl.NewRtAttr(attrService, nil)
	attr.AddRtAttr(svcFamily, nl.Uint16Attr(s.AddressFamily))
	if s.FWMark != 0 {
		attr.AddRtAttr(svcMark, nl.Uint32Attr(s.FWMark))
	} else {
		attr.AddRtAttr(svcProtocol, nl.Uint16Attr(s.Protocol))
		attr.AddRtAttr(svcAddress, s.Address)
		attr.AddRtAttr(svcPort, nl.BEUint16Attr(s.Port))
	}
	attr.AddRtAttr(svcScheduler, nl.ZeroTerminated(s.SchedName))
	attr.AddRtAttr(svcFlags, append(nl.Uint32Attr(s.Flags), nl.Uint32Attr(^uint32(0))...))
	attr.AddRtAttr(svcTimeout, nl.Uint32Attr(s.Timeout))
	attr.AddRtAttr(svcNetmask, nl.Uint32Attr(s.Netmask))
	if s.PEName != "" { // without it the kernel clears the engine
		attr.AddRtAttr(svcEngine, nl.ZeroTerminated(s.PEName))
	}
	return attr
}

// encodeDestination encodes the real server attribute for ip_vs_genl_parse_dest. It includes the address family, which
// moby/ipvs omits: a real server of the other family would be stored as its first four bytes (moby/ipvs#22).
func encodeDestination(d ipvs.Destination) *nl.RtAttr {
	attr := nl.NewRtAttr(attrDest, nil)
	attr.AddRtAttr(destAddress, d.Address)
	attr.AddRtAttr(destPort, nl.BEUint16Attr(d.Port))
	attr.AddRtAttr(destForward, nl.Uint32Attr(d.ConnectionFlags&ipvs.ConnFwdMask))
	attr.AddRtAttr(destWeight, nl.Uint32Attr(uint32(d.Weight)))
	attr.AddRtAttr(destUpperThreshold, nl.Uint32Attr(d.UpperThreshold))
	attr.AddRtAttr(destLowerThreshold, nl.Uint32Attr(d.LowerThreshold))
	attr.AddRtAttr(destFamily, nl.Uint16Attr(d.AddressFamily))
	return attr
}
