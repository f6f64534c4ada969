package guest

import (
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxCPUs is what kernels are built for at most (CONFIG_NR_CPUS). A smaller set would be refused on a machine that has
	// more.
	maxCPUs = 8192
	// maxGuests is up to how many guests on one CPU are counted.
	maxGuests = 64
)

// keepToOneCPU keeps this thread, and what it starts, to the CPU with the fewest guests, for as long as the result is
// open. A guest runs one of its processes at a time; on two CPUs, its kernel would see the time go by while the other
// one, with a process of the guest on it, stands still. nil: a guest on all CPUs is only less exact.
func keepToOneCPU() net.Listener {
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

// candidates are the CPUs that are allowed, from the given one on. Guests in other network namespaces, as those of other
// containers are, cannot be counted, and would all take the first CPU; where this thread is, the kernel found room.
func candidates(allowed func(cpu int) bool, first int) []int {
	var cpus []int
	for i := range maxCPUs {
		if cpu := (first + i) % maxCPUs; allowed(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// claim takes the first of the CPUs that have the fewest guests, until the result is closed. An abstract name is a lock
// that nobody has to clear away (unix(7)).
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

// currentCPU is where this thread runs at the moment.
func currentCPU() int {
	var cpu uint32
	_, _, _ = unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return int(cpu)
}
