package metrics

import (
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

var ofRealServer = []string{"virtual_server", "real_server"}

// eachServer returns the samples of a family with some for each real server.
func eachServer(f func(w *writer, v string, r *status.RealServer)) func(*writer, *Node) {
	return func(w *writer, n *Node) {
		for i := range n.Director.Status.VirtualServers {
			v := &n.Director.Status.VirtualServers[i]
			for j := range v.RealServers {
				f(w, v.Name, &v.RealServers[j])
			}
		}
	}
}

func realServerFamilies() []Family {
	number := func(name, help string, of func(*status.RealServer) int) Family {
		return Family{
			Name: name, Type: Gauge, Role: problem.Director, Labels: ofRealServer, Help: help,
			samples: eachServer(func(w *writer, v string, r *status.RealServer) { w.number(of(r), v, r.Name) }),
		}
	}
	return append([]Family{
		{
			Name: "lvs_real_server_info", Type: Gauge, Role: problem.Director, Labels: []string{"virtual_server", "real_server", "address", "port", "forward", "role"},
			Help: "Always 1; what the real server is; the role is sorry or standby, or empty",
			samples: eachServer(func(w *writer, v string, r *status.RealServer) {
				w.count(1, v, r.Name, r.Address, strconv.Itoa(r.Port), r.Forward, r.Role)
			}),
		},
		{
			Name: "lvs_real_server_state", Type: Gauge, Role: problem.Director, Labels: []string{"virtual_server", "real_server", "state"},
			Help: "1 for the state of the real server, 0 for the other states",
			samples: eachServer(func(w *writer, v string, r *status.RealServer) {
				w.oneOf(r.State, []string{"up", "down", "draining", "disabled", "unknown"}, v, r.Name)
			}),
		},
		{
			Name: "lvs_real_server_checked", Type: Gauge, Role: problem.Director, Labels: ofRealServer,
			Help:    "1 once its checks have had their first results",
			samples: eachServer(func(w *writer, v string, r *status.RealServer) { w.truth(r.Checked, v, r.Name) }),
		},
		number("lvs_real_server_weight", "The weight in the table of the kernel; 0 if it has no entry", func(r *status.RealServer) int { return r.Weight }),
		number("lvs_real_server_configured_weight", "The weight in the cluster file", func(r *status.RealServer) int { return r.ConfiguredWeight }),
		number("lvs_real_server_active_connections", "Established connections, as of lvs_traffic_read_timestamp_seconds", func(r *status.RealServer) int { return r.ActiveConnections }),
		number("lvs_real_server_inactive_connections", "Other connections that the kernel remembers, as of the same time", func(r *status.RealServer) int { return r.InactiveConnections }),
	}, trafficFamilies([...]string{
		"lvs_real_server_connections_total", "lvs_real_server_incoming_packets_total", "lvs_real_server_outgoing_packets_total", "lvs_real_server_incoming_bytes_total", "lvs_real_server_outgoing_bytes_total",
	}, ofRealServer, func(n *Node, f func(t *status.Traffic, values ...string)) {
		for i := range n.Director.Status.VirtualServers {
			v := &n.Director.Status.VirtualServers[i]
			for j := range v.RealServers {
				f(v.RealServers[j].Traffic, v.Name, v.RealServers[j].Name)
			}
		}
	})...)
}
