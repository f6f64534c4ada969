package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stillFor is a time without CPU that no guest of ours causes: this process looks from outside, with the highest
	// priority that it may have. Scenarios work with adverts every 100 ms and time-outs of some hundred.
	stillFor = 100 * time.Millisecond
	// stolenOften is, in a second, what a hypervisor that has others to serve takes from a virtual machine. A quiet one
	// loses a hundredth of it.
	stolenOften = 200 * time.Millisecond
)

// An absence is what this machine kept from everybody who ran on it.
type absence struct {
	stills  int           // how often a CPU did nothing for stillFor
	longest time.Duration // of these
	stolen  time.Duration // by the hypervisor, of all CPUs together, in the worst second (proc_stat(5), steal)
}

// felt says whether there was enough of it to be felt in a scenario.
func (a absence) felt() bool { return a.stills > 0 || a.stolen >= stolenOften }

func (a absence) String() string {
	return fmt.Sprintf("stood still %d times, for %s at most, and lost %s of its CPUs in the worst second",
		a.stills, a.longest.Round(time.Millisecond), a.stolen)
}

// absences watches the machine from now on, until it is asked.
func absences() (result func() absence) {
	var enough atomic.Bool
	all := make(chan absence)
	watches := []func() absence{func() absence { return absence{stolen: stolen(&enough)} }}
	for cpu := range runtime.NumCPU() {
		watches = append(watches, func() absence { return stills(&enough, cpu) })
	}
	for _, w := range watches {
		go func() {
			runtime.LockOSThread()                          // never unlocked: the thread, with its priority, ends with the goroutine
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20) // as root
			all <- w()
		}()
	}
	return func() (sum absence) {
		enough.Store(true)
		for range watches {
			a := <-all
			sum.stills, sum.longest, sum.stolen = sum.stills+a.stills, max(sum.longest, a.longest), max(sum.stolen, a.stolen)
		}
		return sum
	}
}

// stills counts how often a CPU was late by stillFor.
func stills(enough *atomic.Bool, cpu int) (a absence) {
	var only unix.CPUSet
	only.Set(cpu)
	_ = unix.SchedSetaffinity(0, &only) // a CPU may be closed to us: then we look at any
	const tick = 10 * time.Millisecond
	for !enough.Load() {
		begun := time.Now()
		rest(tick)
		if late := time.Since(begun) - tick; late >= stillFor {
			a.stills, a.longest = a.stills+1, max(a.longest, late)
		}
	}
	return a
}

// stolen is what the hypervisor took in the worst second.
func stolen(enough *atomic.Bool) (most time.Duration) {
	const looks = 10 // a second
	var last [looks]time.Duration
	first := steal()
	for i := range last {
		last[i] = first
	}
	for i := 0; !enough.Load(); i++ {
		rest(time.Second / looks)
		now := steal()
		most = max(most, now-last[i%looks])
		last[i%looks] = now
	}
	return most
}

// rest sleeps in the kernel: a timer of the runtime's would wait for its other threads.
func rest(d time.Duration) {
	length := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&length, nil)
}

// steal is the time that all CPUs lost to the hypervisor since the start; 0 where there is none, or it does not tell.
func steal() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	return stealOf(line)
}

func stealOf(line string) time.Duration {
	const field, tick = 8, time.Second / 100 // USER_HZ
	fields := strings.Fields(line)
	if len(fields) <= field || fields[0] != "cpu" {
		return 0
	}
	ticks, err := strconv.ParseInt(fields[field], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ticks) * tick
}
