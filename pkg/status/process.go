package status

// Process is the resource usage of a daemon's process, for graphs and for finding leaks.
type Process struct {
	PID        int    `json:"pid"`
	Goroutines int    `json:"goroutines"`
	HeapBytes  uint64 `json:"heap_bytes"`  // live objects and garbage that is not collected yet
	TotalBytes uint64 `json:"total_bytes"` // obtained from the system by the runtime
	Collected  uint64 `json:"collections"` // garbage collections since the start
}
