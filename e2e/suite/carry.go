package suite

// Carry is how many guests a machine carries at a time: one on each CPU, as far as the memory suffices, and at least one.
// A guest has one CPU; memory is in MiB, that of the machine as it is available.
func Carry(cpus, memory, perGuest int) int {
	return max(1, min(cpus, memory/max(1, perGuest)))
}
