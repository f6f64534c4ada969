package suite

import "time"

// An Order tells a worker to run a job. Orders and Messages are JSON, one a line.
type Order struct {
	Binary string
	Dir    string
	Args   []string
	Spoils bool // it may take modules away, for nothing runs in the guest afterwards
	// Limit is how long it may take by the guest's clock. Then the process is made to show its goroutines and ended.
	Limit time.Duration
}

// A Message is what a worker says: that it is ready, a piece of what the job prints, or how the job ended. One of the
// fields is set.
type Message struct {
	Ready  bool   `json:",omitempty"` // once, before the first order
	Output []byte `json:",omitempty"`
	Ended  *Ended `json:",omitempty"`
}

// Ended is how a job ended.
type Ended struct {
	Code     int           // exit code; 128+n = ended by signal n; -1 = Trouble has why there is none
	Took     time.Duration // by the guest's clock
	Overtime bool          // it reached its limit
	Left     []string      // what it left in the guest
	Trouble  string        // why the worker could not run it, or not see it end
}
