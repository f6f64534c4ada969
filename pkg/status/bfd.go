package status

import "time"

// BFDSession is a BFD session with a neighbour on a link.
type BFDSession struct {
	Name      string    `json:"name"` // of the session in the cluster file, or of the director
	Address   string    `json:"address"`
	Interface string    `json:"interface"`
	State     string    `json:"state"` // AdminDown, Down, Init, Up
	Reason    string    `json:"reason"`
	Since     time.Time `json:"since"`
	// Interval is that at which this director sends now, and DetectionTime how long the neighbour may be silent, absent
	// before it was heard; in milliseconds.
	Interval      float64           `json:"interval_ms"`
	DetectionTime float64           `json:"detection_time_ms,omitempty"`
	Instances     []string          `json:"vrrp_instances"` // that depend on it
	Sent          uint64            `json:"packets_sent"`
	Received      uint64            `json:"packets_received"`
	Dropped       map[string]uint64 `json:"dropped,omitempty"` // ignored packets of the neighbour, by reason
}
