package suite

import "time"

// An Order tells a worker to run a job. Orders and Messages are JSON, one per line.
type Order struct {
	Binary    string
	Dir       string
	Args      []string
	Exclusive bool // it may remove modules, because nothing runs in the guest afterwards
	// Limit is how long the job may take by the guest's clock. After that, the worker makes the process print its
	// goroutines and ends it.
	Limit time.Duration
}

// A Message is sent by a worker: it is ready, a piece of the job's output, or how the job ended. Exactly one field is
// set.
type Message struct {
	Ready  bool   `json:",omitempty"` // once, before the first order
	Output []byte `json:",omitempty"`
	Ended  *Ended `json:",omitempty"`
}

// Ended is how a job ended.
type Ended struct {
	Code     int           // exit code; 128+n = killed by signal n; -1 = none, see Error
	Took     time.Duration // by the guest's clock
	Overtime bool          // it reached its limit
	Left     []string      // what it left behind in the guest
	Error    string        // why the worker could not run it, or could not see it end; "" = it could
}
