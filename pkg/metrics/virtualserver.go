package metrics

import (
	"maps"
	"slices"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

var ofVirtualServer = []string{"virtual_server"}

// eachService returns the samples of a family with some for each virtual server.
func eachService(f func(w *writer, v *status.VirtualServer)) func(*writer, *Node) {
	return func(w *writer, n *Node) {
		for i := range n.Director.Status.VirtualServers {
			f(w, &n.Director.Status.VirtualServers[i])
		}
	}
}

func virtualServerFamilies() []Family {
	truth := func(name, help string, is func(*status.VirtualServer) bool) Family {
		return Family{
			Name: name, Type: Gauge, Role: problem.Director, Labels: ofVirtualServer, Help: help,
			samples: eachService(func(w *writer, v *status.VirtualServer) { w.truth(is(v), v.Name) }),
		}
	}
	return slices.Concat([]Family{
		{
			Name: "lvs_virtual_server_info", Type: Gauge, Role: problem.Director,
			Labels: []string{"virtual_server", "address", "port", "fwmark", "protocol", "scheduler", "forward"},
			Help:   "Always 1; what the virtual server is. Of several addresses and ports it has the first",
			samples: eachService(func(w *writer, v *status.VirtualServer) {
				mark := ""
				if v.FirewallMark != 0 {
					mark = strconv.FormatUint(uint64(v.FirewallMark), 10)
				}
				w.count(1, v.Name, v.Address, strconv.Itoa(v.Port), mark, v.Protocol, v.Scheduler, v.Forward)
			}),
		},
		{
			Name: "lvs_virtual_server_state", Type: Gauge, Role: problem.Director, Labels: []string{"virtual_server", "state"},
			Help: "1 for the state of the virtual server, 0 for the other states",
			samples: eachService(func(w *writer, v *status.VirtualServer) {
				w.oneOf(v.State, []string{"up", "degraded", "down"}, v.Name)
			}),
		},
		truth("lvs_virtual_server_quorum_lost", "1 if fewer real servers are up than its quorum", func(v *status.VirtualServer) bool { return v.Quorum == "lost" }),
		truth("lvs_virtual_server_sorry_server_used", "1 if sorry servers have the clients", func(v *status.VirtualServer) bool { return v.SorryServerUsed }),
		truth("lvs_virtual_server_standby_used", "1 if the standby servers have taken the place of the primary ones", func(v *status.VirtualServer) bool { return v.StandbyUsed }),
		truth("lvs_virtual_server_below_panic_threshold", "1 if real servers whose checks fail keep their entries", func(v *status.VirtualServer) bool { return v.BelowPanicThreshold }),
		{
			Name: "lvs_virtual_server_verdicts", Type: Gauge, Role: problem.Director, Labels: []string{"virtual_server", "code"},
			Help: "The number of its real servers by the code of their verdict, such as ok, refused, timeout",
			samples: eachService(func(w *writer, v *status.VirtualServer) {
				have := map[string]int{"ok": 0}
				for i := range v.RealServers {
					have[v.RealServers[i].Code]++
				}
				for _, code := range slices.Sorted(maps.Keys(have)) {
					w.number(have[code], v.Name, code)
				}
			}),
		},
	}, tableFamilies(), trafficFamilies([...]string{
		"lvs_virtual_server_connections_total", "lvs_virtual_server_incoming_packets_total", "lvs_virtual_server_outgoing_packets_total", "lvs_virtual_server_incoming_bytes_total", "lvs_virtual_server_outgoing_bytes_total",
	}, ofVirtualServer, func(n *Node, f func(t *status.Traffic, values ...string)) {
		for i := range n.Director.Status.VirtualServers {
			v := &n.Director.Status.VirtualServers[i]
			f(v.Traffic, v.Name)
		}
	}))
}

// tableFamilies are about all virtual servers together.
func tableFamilies() []Family {
	return []Family{
		{
			Name: "lvs_traffic_read_timestamp_seconds", Type: Gauge, Role: problem.Director,
			Help:    "When the counters and connections of virtual servers and real servers were read from the kernel",
			samples: func(w *writer, n *Node) { w.moment(n.Director.Status.TrafficReadAt) },
		},
		{
			Name: "lvs_overrides", Type: Gauge, Role: problem.Director, Labels: []string{"kind"}, Help: "What operators have decided, and is in effect",
			samples: func(w *writer, n *Node) {
				have := map[string]int{}
				for _, o := range n.Director.Status.Overrides {
					have[o.Kind]++
				}
				for _, kind := range []string{"drain", "disable", "weight"} {
					w.number(have[kind], kind)
				}
			},
		},
	}
}

// trafficFamilies are the counters of the kernel of virtual servers or real servers, which all calls f for.
func trafficFamilies(names [5]string, labels []string, all func(n *Node, f func(t *status.Traffic, values ...string))) []Family {
	family := func(name int, help string, of func(*status.Traffic) uint64) Family {
		return Family{
			Name: names[name], Type: Counter, Role: problem.Director, Labels: labels, Help: help + ", since the entry was added to the IPVS table",
			samples: func(w *writer, n *Node) {
				all(n, func(t *status.Traffic, values ...string) {
					if t != nil {
						w.count(of(t), values...)
					}
				})
			},
		}
	}
	return []Family{
		family(0, "Connections", func(t *status.Traffic) uint64 { return t.Connections }),
		family(1, "Packets of clients", func(t *status.Traffic) uint64 { return t.PacketsIn }),
		family(2, "Packets to clients; 0 with forward dr and tun, whose answers do not pass through the director", func(t *status.Traffic) uint64 { return t.PacketsOut }),
		family(3, "Bytes of clients", func(t *status.Traffic) uint64 { return t.BytesIn }),
		family(4, "Bytes to clients; 0 with forward dr and tun", func(t *status.Traffic) uint64 { return t.BytesOut }),
	}
}
