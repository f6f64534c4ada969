package status

import "time"

// Explanation says why a real server is in or out, the document of `lvsctl explain`.
type Explanation struct {
	RealServer RealServer `json:"real_server"`
	// Needed is how many of Checks must pass; 0: all.
	Needed int     `json:"checks_needed"`
	Checks []Check `json:"checks"`
}

// Check is a check of a real server with its results since it was added.
type Check struct {
	Type     string `json:"type"`
	Target   string `json:"target"` // "" for none
	Interval int64  `json:"interval_ms"`
	Timeout  int64  `json:"timeout_ms"`
	// Rule is what decided its state, and what would change it.
	Rule         string    `json:"rule"`
	Total        uint32    `json:"results"`
	Good         uint32    `json:"good"`
	Inconclusive uint32    `json:"inconclusive"` // results that say nothing about the server
	Next         time.Time `json:"next"`
	// Last is the latest result; absent before the first one.
	Last *CheckResult `json:"last,omitempty"`
	// Kept is the connection that is kept beside the check; absent if it keeps none.
	Kept *KeptConnection `json:"kept_connection,omitempty"`
	// Failures are the latest results that were not good, the oldest first.
	Failures []CheckResult `json:"failures"`
}

// KeptConnection is a connection to a server whose end tells at once that the server has died.
type KeptConnection struct {
	Open  bool       `json:"open"`
	Since *time.Time `json:"since,omitempty"` // when it was opened; absent if it is not open
	// Ended says how the one before ended.
	Ended *CheckResult `json:"ended,omitempty"`
	// Again: no other is opened before this time; absent if it is open, or may be.
	Again *time.Time `json:"not_before,omitempty"`
	// Why says why none is kept although the check passes, as it was logged.
	Why string `json:"why,omitempty"`
}

// CheckResult is a result of a check.
type CheckResult struct {
	At     time.Time `json:"at"`
	Code   string    `json:"code"`
	Class  string    `json:"class"` // good, bad, full or unknown
	Cause  string    `json:"cause"`
	Took   int64     `json:"took_us"`
	Weight *int      `json:"weight,omitempty"` // that the check gives the real server
}

// Probe is a check that was made once, without effect on the state of its real server; a part of the document of `lvsctl
// probe`.
type Probe struct {
	Type   string      `json:"type"`
	Target string      `json:"target"` // "" for none
	Result CheckResult `json:"result"`
	Trace  []string    `json:"trace"` // what was done, with the time since the start of the check
}
