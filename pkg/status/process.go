package status

// Process is what a daemon's process uses, for graphs and for finding leaks.
type Process struct {
	PID        int    `json:"pid"`
	Goroutines int    `json:"goroutines"`
	HeapBytes  uint64 `json:"heap_bytes"`  // of living objects and of those not collected yet
	TotalBytes uint64 `json:"total_bytes"` // that the runtime has from the system
	Collected  uint64 `json:"collections"` // of garbage, since the start
}
