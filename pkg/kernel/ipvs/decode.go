package ipvs

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/moby/ipvs"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// nested returns the attributes inside an attribute of an answer.
func nested(body []byte, kind uint16) (attributes, error) {
	outer, err := parseAttributes(body)
	if err != nil {
		return attributes{}, err
	}
	inner := outer[kind]
	if inner == nil {
		return attributes{}, fmt.Errorf("%w: no attribute %d", errMalformed, kind)
	}
	return parseAttributes(inner)
}

// decodeService decodes an answer to GET_SERVICE (ip_vs_genl_fill_service).
func decodeService(body []byte) (lvs.Service, error) {
	attr, err := nested(body, attrService)
	if err != nil {
		return lvs.Service{}, err
	}
	v := attr.u16(svcFamily)
	service := lvs.Service{Scheduler: attr.text(svcScheduler)}
	if mark := attr.u32(svcMark); mark != 0 {
		of, known := families[v]
		if !known {
			return lvs.Service{}, fmt.Errorf("%w: mark %d in family %d", errMalformed, mark, v)
		}
		service.Key = lvs.Marked(of, mark)
	} else {
		address, err := addressOf(attr[svcAddress], v)
		if err != nil {
			return lvs.Service{}, err
		}
		service.Key = lvs.Key{Protocol: protocolName(attr.u16(svcProtocol)), Address: address, Port: attr.be16(svcPort)}
	}
	var stray []string
	flags := attr.u32(svcFlags)
	service.Flags = lvs.Flags(flags & flagsSched / flagSched1)
	service.OnePacket = flags&flagOnePacket != 0
	if other := flags &^ (flagPersistent | flagHashed | flagsSched | flagOnePacket); other != 0 {
		stray = append(stray, fmt.Sprintf("flags %#x", other))
	}
	service.Engine = attr.text(svcEngine)
	if flags&flagPersistent != 0 {
		service.Persistence = time.Duration(attr.u32(svcTimeout)) * time.Second
		var ok bool
		if service.Netmask, ok = prefix(attr.u32(svcNetmask), families[v]); !ok || service.Persistence == 0 {
			stray = append(stray, fmt.Sprintf("persistence of %v by netmask %#x", service.Persistence, attr.u32(svcNetmask)))
			service.Netmask = service.Address.BitLen()
		}
	}
	service.Stray = strings.Join(stray, ", ")
	service.Traffic, err = decodeTraffic(&attr, svcStats64, svcStats)
	return service, err
}

// decodeServer decodes an answer to GET_DEST (ip_vs_genl_fill_dest) about a service of that family.
func decodeServer(body []byte, service netip.Addr) (lvs.Server, error) {
	attr, err := nested(body, attrDest)
	if err != nil {
		return lvs.Server{}, err
	}
	v := attr.u16(destFamily)
	if v == 0 { // before Linux 3.18: always the family of the service
		v = family(service)
	}
	address, err := addressOf(attr[destAddress], v)
	if err != nil {
		return lvs.Server{}, err
	}
	server := lvs.Server{
		Address:             address,
		Port:                attr.be16(destPort),
		Forward:             forwardName(attr.u32(destForward)),
		Weight:              int(int32(attr.u32(destWeight))),
		ActiveConnections:   int(attr.u32(destActive)),
		InactiveConnections: int(attr.u32(destInactive)),
		Upper:               attr.u32(destUpperThreshold),
		Lower:               attr.u32(destLowerThreshold),
	}
	server.Tunnel, server.Stray = decodeTunnel(attr.u8(destTunnelType), attr.be16(destTunnelPort), attr.u16(destTunnelFlags))
	server.Traffic, err = decodeTraffic(&attr, destStats64, destStats)
	return server, err
}

// decodeTraffic decodes the statistics of an entry in 64 bits (ip_vs_genl_fill_stats64), which wrap around in no
// server's life, or those of kernels before 4.1, whose numbers have 32 bits except for the bytes. nil: there are none.
func decodeTraffic(entry *attributes, wide, narrow uint16) (*lvs.Traffic, error) {
	body := entry[wide]
	if body == nil {
		body = entry[narrow]
	}
	if body == nil {
		return nil, nil
	}
	a, err := parseAttributes(body)
	if err != nil {
		return nil, err
	}
	return &lvs.Traffic{
		Connections: a.number(statsConnections), PacketsIn: a.number(statsPacketsIn), PacketsOut: a.number(statsPacketsOut),
		BytesIn: a.number(statsBytesIn), BytesOut: a.number(statsBytesOut),
		ConnectionRate: a.number(statsConnectionRate), PacketRateIn: a.number(statsPacketRateIn), PacketRateOut: a.number(statsPacketRateOut),
		ByteRateIn: a.number(statsByteRateIn), ByteRateOut: a.number(statsByteRateOut),
	}, nil
}

// addressOf decodes a union nf_inet_addr: 16 bytes, of which IPv4 uses the first four.
func addressOf(b []byte, family uint16) (netip.Addr, error) {
	switch {
	case family == unix.AF_INET && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b)), nil
	case family == unix.AF_INET6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b)), nil
	default:
		return netip.Addr{}, fmt.Errorf("%w: address of %d bytes in family %d", errMalformed, len(b), family)
	}
}

func protocolName(number uint16) string {
	for name, n := range protocols {
		if n == number {
			return name
		}
	}
	return fmt.Sprintf("protocol-%d", number)
}

func forwardName(flags uint32) config.Forward {
	for name, n := range forwards {
		if n == flags&ipvs.ConnFwdMask {
			return name
		}
	}
	return config.Forward(fmt.Sprintf("forward-%d", flags&ipvs.ConnFwdMask))
}
