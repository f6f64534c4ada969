package metrics

import (
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// syncFamilies are about connection_sync; absent without it in the cluster file.
func syncFamilies() []Family {
	family := func(name string, kind Type, help string, write func(w *writer, c *status.ConnectionSync)) Family {
		return Family{Name: name, Type: kind, Role: problem.Director, Help: help, samples: func(w *writer, n *Node) {
			if c := n.Director.Status.ConnectionSync; c != nil {
				write(w, c)
			}
		}}
	}
	return []Family{
		family("lvs_connection_sync_held_connections", Gauge, "Open connections to virtual addresses that this director holds", func(w *writer, c *status.ConnectionSync) { w.number(c.Held) }),
		family("lvs_connection_sync_learned_connections", Gauge, "Open connections to the other virtual addresses, learned from other directors", func(w *writer, c *status.ConnectionSync) { w.number(c.Learned) }),
		family("lvs_connection_sync_lacking_connections", Gauge, "Connections of MASTERs that this director lacks; they break if it takes over", func(w *writer, c *status.ConnectionSync) { w.number(c.Lacking) }),
		family("lvs_connection_sync_warm", Gauge, "1 if at one moment since its start this director lacked none", func(w *writer, c *status.ConnectionSync) { w.truth(c.Warm) }),
		family("lvs_connection_sync_sent_again_total", Counter, "Connections sent again because other directors lacked them", func(w *writer, c *status.ConnectionSync) { w.count(c.SentAgain) }),
	}
}
