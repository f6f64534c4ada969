package guest

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// keepToOneCPU keeps this thread, and what it starts, to the CPU with the fewest guests, for as long as the result is
// open. A guest runs one of its processes at a time; on two CPUs, its kernel would see the time go by while the other
// one, with a process of the guest on it, stands still. No error: a guest on all CPUs is only less exact.
func keepToOneCPU() net.Listener {
	var all unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil {
		return nil
	}
	for guests := range 64 {
		for cpu := range len(all) * 64 {
			if !all.IsSet(cpu) {
				continue
			}
			// An abstract name is a lock that nobody has to clear away (unix(7)).
			taken, err := net.Listen("unix", fmt.Sprintf("@lvs-lab/cpu/%d/%d", cpu, guests))
			if err != nil {
				continue
			}
			var one unix.CPUSet
			one.Set(cpu)
			_ = unix.SchedSetaffinity(0, &one)
			return taken
		}
	}
	return nil
}
