package suite

// Capacity returns how many guests a machine can run at a time: one per CPU, as far as the memory suffices, and at
// least one. memory is the available memory of the machine and perGuest that of a guest, in MiB.
func Capacity(cpus, memory, perGuest int) int {
	return max(1, min(cpus, memory/max(1, perGuest)))
}
