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
		at := &doc.VirtualServers[i]
		for one := range v.Services() {
			service := measured[lvs.KeyOf(one)]
			if service == nil {
				continue
			}
			at.Traffic = addedTraffic(at.Traffic, service.Traffic)
			servers := make(map[netip.AddrPort]*lvs.Traffic, len(service.Servers))
			for j := range service.Servers {
				servers[service.Servers[j].AddrPort()] = service.Servers[j].Traffic
			}
			for j, r := range one.RealServers {
				at.RealServers[j].Traffic = addedTraffic(at.RealServers[j].Traffic, servers[netip.AddrPortFrom(r.Address, r.Port)])
			}
		}
		if i%giveWayEvery == giveWayEvery-1 {
			runtime.Gosched()
		}
	}
	doc.TrafficReadAt = s.readAt
}

// addedTraffic adds the counters of a service to those of the other services of the virtual server.
func addedTraffic(sum *status.Traffic, t *lvs.Traffic) *status.Traffic {
	if t == nil {
		return sum
	}
	if sum == nil {
		sum = &status.Traffic{}
	}
	sum.Connections += t.Connections
	sum.PacketsIn += t.PacketsIn
	sum.PacketsOut += t.PacketsOut
	sum.BytesIn += t.BytesIn
	sum.BytesOut += t.BytesOut
	sum.ConnectionRate += t.ConnectionRate
	sum.PacketRateIn += t.PacketRateIn
	sum.PacketRateOut += t.PacketRateOut
	sum.ByteRateIn += t.ByteRateIn
	sum.ByteRateOut += t.ByteRateOut
	return sum
}
