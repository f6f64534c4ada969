package director

import (
	"net/netip"
	"runtime"

	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// addTraffic adds the counters of the table loop's last complete read: a status request does not read the table for them,
// because that takes a third of a second with 1 000 virtual servers.
func addTraffic(doc *status.Director, s snapshots) {
	if !s.counted || !s.known || s.measured == nil {
		return // the problem monitor needs none
	}
	measured := make(map[lvs.Key]*lvs.Service, len(s.measured))
	for i := range s.measured {
		measured[s.measured[i].Key] = &s.measured[i]
	}
	for i, v := range s.plan.Config.VirtualServers {
		service := measured[lvs.KeyOf(v)]
		if service == nil {
			continue
		}
		doc.VirtualServers[i].Traffic = trafficStatus(service.Traffic)
		servers := make(map[netip.AddrPort]*lvs.Traffic, len(service.Servers))
		for j := range service.Servers {
			servers[service.Servers[j].AddrPort()] = service.Servers[j].Traffic
		}
		for j, r := range v.RealServers {
			doc.VirtualServers[i].RealServers[j].Traffic = trafficStatus(servers[netip.AddrPortFrom(r.Address, r.Port)])
		}
		if i%giveWayEvery == giveWayEvery-1 {
			runtime.Gosched()
		}
	}
	doc.TrafficReadAt = s.readAt
}

func trafficStatus(t *lvs.Traffic) *status.Traffic {
	if t == nil {
		return nil
	}
	return &status.Traffic{
		Connections: t.Connections, PacketsIn: t.PacketsIn, PacketsOut: t.PacketsOut, BytesIn: t.BytesIn, BytesOut: t.BytesOut,
		ConnectionRate: t.ConnectionRate, PacketRateIn: t.PacketRateIn, PacketRateOut: t.PacketRateOut,
		ByteRateIn: t.ByteRateIn, ByteRateOut: t.ByteRateOut,
	}
}
