package metrics

import (
	"maps"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

var ofInstance = []string{"vrrp_instance"}

// instanceStates are the states of an instance.
func instanceStates() []string { return []string{"INIT", "BACKUP", "MASTER", "FAULT"} }

// each returns the samples of a family with one for each instance.
func each(f func(w *writer, i *status.Instance)) func(*writer, *Node) {
	return func(w *writer, n *Node) {
		for i := range n.Director.Status.Instances {
			f(w, &n.Director.Status.Instances[i])
		}
	}
}

func instanceFamilies() []Family {
	return slices.Concat(stateFamilies(), []Family{
		{
			Name: "lvs_vrrp_adverts_sent_total", Type: Counter, Role: problem.Director, Labels: ofInstance, Help: "Adverts sent",
			samples: each(func(w *writer, i *status.Instance) { w.count(i.AdvertsSent, i.Name) }),
		},
		{
			Name: "lvs_vrrp_adverts_received_total", Type: Counter, Role: problem.Director, Labels: ofInstance, Help: "Adverts received and obeyed",
			samples: each(func(w *writer, i *status.Instance) { w.count(i.AdvertsReceived, i.Name) }),
		},
		{
			Name: "lvs_vrrp_adverts_dropped_total", Type: Counter, Role: problem.Director, Labels: []string{"vrrp_instance", "reason"},
			Help: "Packets with the virtual router id of the instance that were ignored, by reason",
			samples: each(func(w *writer, i *status.Instance) {
				for _, reason := range slices.Sorted(maps.Keys(i.Dropped)) {
					w.count(i.Dropped[reason], i.Name, reason)
				}
			}),
		},
		{
			Name: "lvs_vrrp_advert_lateness_seconds", Type: Histogram, Role: problem.Director, Labels: ofInstance,
			Help: "How long after their due time adverts were sent",
			samples: each(func(w *writer, i *status.Instance) {
				if l := i.AdvertLateness; l != nil {
					w.histogram(latenessBuckets(l), milliseconds(l.Sum), i.Name)
				}
			}),
		},
		{
			Name: "lvs_vrrp_advert_lateness_max_seconds", Type: Gauge, Role: problem.Director, Labels: ofInstance,
			Help: "The longest of these delays since the start of the instance",
			samples: each(func(w *writer, i *status.Instance) {
				if l := i.AdvertLateness; l != nil {
					w.seconds(milliseconds(l.Max), i.Name)
				}
			}),
		},
		{
			Name: "lvs_vrrp_bfd_false_alarms", Type: Gauge, Role: problem.Director, Labels: ofInstance,
			Help:    "How many times in a row this director took over because of BFD although its peer was alive",
			samples: each(func(w *writer, i *status.Instance) { w.number(i.FalseAlarms, i.Name) }),
		},
	})
}

// stateFamilies are about what an instance is.
func stateFamilies() []Family {
	return []Family{
		{
			Name: "lvs_vrrp_state", Type: Gauge, Role: problem.Director, Labels: []string{"vrrp_instance", "state"},
			Help:    "1 for the state of the instance, 0 for the other states",
			samples: each(func(w *writer, i *status.Instance) { w.oneOf(i.State, instanceStates(), i.Name) }),
		},
		{
			Name: "lvs_vrrp_state_change_timestamp_seconds", Type: Gauge, Role: problem.Director, Labels: ofInstance,
			Help:    "Since when the instance is in its state",
			samples: each(func(w *writer, i *status.Instance) { w.moment(i.Since, i.Name) }),
		},
		{
			Name: "lvs_vrrp_transitions_total", Type: Counter, Role: problem.Director, Labels: []string{"vrrp_instance", "state"},
			Help:    "How often the instance has entered a state since the start of the daemon",
			samples: transitions,
		},
		{
			Name: "lvs_vrrp_priority", Type: Gauge, Role: problem.Director, Labels: ofInstance, Help: "The priority in the cluster file",
			samples: each(func(w *writer, i *status.Instance) { w.number(i.Priority, i.Name) }),
		},
		{
			Name: "lvs_vrrp_effective_priority", Type: Gauge, Role: problem.Director, Labels: ofInstance,
			Help:    "The priority in the elections, with what tracks add to it",
			samples: each(func(w *writer, i *status.Instance) { w.number(i.EffectivePriority, i.Name) }),
		},
		{
			Name: "lvs_vrrp_virtual_addresses", Type: Gauge, Role: problem.Director, Labels: ofInstance, Help: "The number of virtual addresses",
			samples: each(func(w *writer, i *status.Instance) {
				w.number(len(i.VirtualAddresses)+len(i.ExcludedAddresses), i.Name)
			}),
		},
		{
			Name: "lvs_vrrp_virtual_addresses_held", Type: Gauge, Role: problem.Director, Labels: ofInstance,
			Help: "1 if this director holds the virtual addresses of the instance, 0 if not",
			samples: func(w *writer, n *Node) {
				for _, i := range n.Director.Status.Instances {
					_, held := n.Director.Leases[i.Name]
					w.truth(held, i.Name)
				}
			},
		},
		{
			Name: "lvs_vrrp_lease_remaining_seconds", Type: Gauge, Role: problem.Director, Labels: ofInstance,
			Help: "After what time the kernel removes the virtual addresses if the daemon does not renew them; absent if it holds none",
			samples: func(w *writer, n *Node) {
				for _, i := range n.Director.Status.Instances {
					if left, held := n.Director.Leases[i.Name]; held {
						w.seconds(max(left, 0), i.Name)
					}
				}
			},
		},
		{
			Name: "lvs_vrrp_handed_over", Type: Gauge, Role: problem.Director, Labels: ofInstance,
			Help:    "1 while the instance preempts nobody because it was handed over, until lvsctl failover --release",
			samples: each(func(w *writer, i *status.Instance) { w.truth(i.HandedOverSince != nil, i.Name) }),
		},
	}
}

func transitions(w *writer, n *Node) {
	type change struct{ instance, to string }
	counts := map[change]uint64{}
	for _, e := range n.Events {
		if e.Kind == event.InstanceState {
			counts[change{e.Subject, e.To}] += e.Count
		}
	}
	for _, i := range n.Director.Status.Instances {
		for _, state := range instanceStates() {
			w.count(counts[change{i.Name, state}], i.Name, state)
		}
	}
}

// milliseconds is a duration from a status document.
func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func latenessBuckets(l *status.Lateness) []Bucket {
	all := make([]Bucket, len(l.Buckets))
	for i, b := range l.Buckets {
		all[i] = Bucket{milliseconds(b.Bound), b.Count}
	}
	return all
}
