package status

import "time"

// ConnectionSync is the synchronization of connections with other directors. Connections are open ones to virtual servers.
type ConnectionSync struct {
	Held    int `json:"held"`    // to virtual addresses that this director holds, older than 5 s
	Learned int `json:"learned"` // to the other virtual addresses
	// Lacking is how many connections this director lacks of those that MASTERs hold. They break if it takes over.
	Lacking int `json:"lacking"`
	// Warm: at one moment since its start this director lacked none.
	Warm bool `json:"warm"`
	// NoMaster: it is not warm, but MASTER, and there is no other MASTER from which it could learn connections.
	NoMaster  bool   `json:"no_master,omitempty"`
	SentAgain uint64 `json:"sent_again"` // by this director, because others lacked them
	// ReadAt is when the reading of the connections began that Held and Learned are from, and ReadingSeconds how long it took.
	// ReadAt is absent if there is none of the current role: then the numbers are 0, and mean nothing.
	ReadAt         *time.Time `json:"read_at,omitempty"`
	ReadingSeconds float64    `json:"reading_seconds"`
	// ComparedAt is when the connections were read that Lacking is about; absent: they could not be compared yet.
	ComparedAt *time.Time `json:"compared_at,omitempty"`
	Peers      []SyncPeer `json:"peers"`
}

// SyncPeer is a host that sends synchronization messages. Only another lvs-director says what it has.
type SyncPeer struct {
	Address   string    `json:"address"`
	LastHeard time.Time `json:"last_heard"`
	Received  uint64    `json:"received"` // connections in its messages, also those that were received before
	Director  bool      `json:"director"`
	Master    bool      `json:"master,omitempty"`
	Uncounted bool      `json:"uncounted,omitempty"` // it does not know at the moment what it has
	Held      int       `json:"held,omitempty"`
	Learned   int       `json:"learned,omitempty"`
	Lacking   int       `json:"lacking,omitempty"` // how many connections of this director it lacks, and of other MASTERs
}
