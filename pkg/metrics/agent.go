package metrics

import (
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// agentFamilies are those of the agent on a real server.
func agentFamilies() []Family {
	return []Family{
		{
			Name: "lvs_realserver_virtual_server_up", Type: Gauge, Role: problem.Agent, Labels: []string{"virtual_server", "address", "port", "forward"},
			Help:    "1 if everything is in place for the virtual server on this real server, 0 if not",
			samples: memberships,
		},
		{
			Name: "lvs_realserver_setting_right", Type: Gauge, Role: problem.Agent, Labels: []string{"setting"},
			Help: "1 if an address or a sysctl is as it must be, 0 if not",
			samples: func(w *writer, n *Node) {
				for _, k := range n.Agent.Addresses {
					w.truth(k.Problem == "", k.Name)
				}
				for _, k := range n.Agent.Sysctls {
					w.truth(k.Problem == "", k.Name)
				}
			},
		},
		{
			Name: "lvs_realserver_repairs_total", Type: Counter, Role: problem.Agent, Labels: []string{"setting"},
			Help: "How often the agent has set it right again after it had been changed, since its start",
			samples: func(w *writer, n *Node) {
				for _, k := range n.Agent.Addresses {
					w.number(k.Repairs, k.Name)
				}
				for _, k := range n.Agent.Sysctls {
					w.number(k.Repairs, k.Name)
				}
			},
		},
	}
}

// memberships writes a sample for each virtual server, address and port, of which this node can be more than one real server.
func memberships(w *writer, n *Node) {
	type place struct{ name, address, port, forward string }
	var order []place
	up := map[place]bool{}
	for _, m := range n.Agent.VirtualServers {
		at := place{m.Name, m.Address, strconv.Itoa(m.Port), m.Forward}
		before, known := up[at]
		if !known {
			order = append(order, at)
		}
		up[at] = m.State == "up" && (before || !known)
	}
	for _, at := range order {
		w.truth(up[at], at.name, at.address, at.port, at.forward)
	}
}
