package guest

import (
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxCPUs is the most CPUs that a kernel is built for (CONFIG_NR_CPUS). A machine with more CPUs than the set holds
	// would refuse it.
	maxCPUs = 8192
	// maxGuests is the number of guests on one CPU up to which they are counted.
	maxGuests = 64
)

// pinToOneCPU pins this thread, and the processes that it starts, to the CPU with the fewest guests, which it claims
// until the result is closed. A guest runs one of its processes at a time. On two CPUs, its kernel would see time pass
// while the CPU that runs the guest's process is stalled. A nil result (not pinned) only makes the guest's clock less
// exact.
func pinToOneCPU() net.Listener {
	allowed := unix.NewCPUSet(maxCPUs)
	if unix.SchedGetaffinityDynamic(0, allowed) != nil {
		return nil
	}
	cpu, taken := claim("@lvs-lab/cpu", candidates(allowed.IsSet, currentCPU()))
	if taken == nil {
		return nil
	}
	one := unix.NewCPUSet(maxCPUs)
	one.Set(cpu)
	_ = unix.SchedSetaffinityDynamic(0, one)
	return taken
}

// candidates returns the allowed CPUs, starting at the given one. Guests in other network namespaces (those of other
// containers) are not counted, so all of them would choose the first CPU if the search did not start at the CPU that
// the scheduler chose for this thread.
func candidates(allowed func(cpu int) bool, first int) []int {
	var cpus []int
	for i := range maxCPUs {
		if cpu := (first + i) % maxCPUs; allowed(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// claim claims the first of the CPUs that have the fewest guests, until the result is closed. The lock is an abstract
// unix socket, which needs no cleanup (unix(7)).
func claim(prefix string, cpus []int) (cpu int, taken net.Listener) {
	for guests := range maxGuests {
		for _, cpu := range cpus {
			if taken, err := net.Listen("unix", fmt.Sprintf("%s/%d/%d", prefix, cpu, guests)); err == nil {
				return cpu, taken
			}
		}
	}
	return 0, nil
}

// currentCPU returns the CPU that this thread is running on.
func currentCPU() int {
	var cpu uint32
	_, _, _ = unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return int(cpu)
}
