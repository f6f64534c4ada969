package status

// SyncGroup is a set of instances that move together.
type SyncGroup struct {
	Name string `json:"name"`
	// State is that of all instances, or MIXED.
	State string `json:"state"`
	// Reason is that of the instance which determines the state, and begins with its name.
	Reason    string   `json:"reason"`
	Instances []string `json:"vrrp_instances"`
	// HeldBackBy are the instances because of which the others are in FAULT, or, though they hear no MASTER to which they give
	// way, BACKUP; absent if there are none.
	HeldBackBy []string `json:"held_back_by,omitempty"`
}
