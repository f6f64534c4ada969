package metrics

import (
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// segmentFamilies are about interfaces with VRRP, tracks, BFD sessions and sync groups.
func segmentFamilies() []Family {
	return append([]Family{
		{
			Name: "lvs_vrrp_packets_received_total", Type: Counter, Role: problem.Director, Labels: []string{"interface", "family"},
			Help: "VRRP packets received on an interface",
			samples: func(w *writer, n *Node) {
				for _, i := range n.Director.Status.Interfaces {
					w.count(i.Received, i.Name, i.Family)
				}
			},
		},
		{
			Name: "lvs_vrrp_packets_dropped_total", Type: Counter, Role: problem.Director, Labels: []string{"interface", "family", "reason"},
			Help: "Those that were ignored, by reason",
			samples: func(w *writer, n *Node) {
				for _, i := range n.Director.Status.Interfaces {
					for _, reason := range slices.Sorted(maps.Keys(i.Dropped)) {
						w.count(i.Dropped[reason], i.Name, i.Family, reason)
					}
				}
			},
		},
		{
			Name: "lvs_track_state", Type: Gauge, Role: problem.Director, Labels: []string{"track", "state"},
			Help: "1 for the state of the track, 0 for the other states",
			samples: func(w *writer, n *Node) {
				for _, t := range n.Director.Status.Tracks {
					w.oneOf(t.State, []string{"up", "down", "unknown"}, t.Name)
				}
			},
		},
		{
			Name: "lvs_sync_group_state", Type: Gauge, Role: problem.Director, Labels: []string{"group", "state"},
			Help: "1 for the state of all instances of the sync group, MIXED if they differ; 0 for the other states",
			samples: func(w *writer, n *Node) {
				for _, g := range n.Director.Status.SyncGroups {
					w.oneOf(g.State, append(instanceStates(), "MIXED"), g.Name)
				}
			},
		},
	}, sessionFamilies()...)
}

func sessionFamilies() []Family {
	of := []string{"session", "interface"}
	return []Family{
		{
			Name: "lvs_bfd_session_state", Type: Gauge, Role: problem.Director, Labels: append(of[:2:2], "state"),
			Help: "1 for the state of the BFD session, 0 for the other states",
			samples: func(w *writer, n *Node) {
				for _, s := range n.Director.Status.BFDSessions {
					w.oneOf(s.State, []string{"AdminDown", "Down", "Init", "Up"}, s.Name, s.Interface)
				}
			},
		},
		{
			Name: "lvs_bfd_packets_sent_total", Type: Counter, Role: problem.Director, Labels: of, Help: "BFD packets sent",
			samples: func(w *writer, n *Node) {
				for _, s := range n.Director.Status.BFDSessions {
					w.count(s.Sent, s.Name, s.Interface)
				}
			},
		},
		{
			Name: "lvs_bfd_packets_received_total", Type: Counter, Role: problem.Director, Labels: of, Help: "BFD packets received and used",
			samples: func(w *writer, n *Node) {
				for _, s := range n.Director.Status.BFDSessions {
					w.count(s.Received, s.Name, s.Interface)
				}
			},
		},
		{
			Name: "lvs_bfd_packets_dropped_total", Type: Counter, Role: problem.Director, Labels: append(of[:2:2], "reason"), Help: "BFD packets of the neighbour that were ignored, by reason",
			samples: func(w *writer, n *Node) {
				for _, s := range n.Director.Status.BFDSessions {
					for _, reason := range slices.Sorted(maps.Keys(s.Dropped)) {
						w.count(s.Dropped[reason], s.Name, s.Interface, reason)
					}
				}
			},
		},
	}
}
